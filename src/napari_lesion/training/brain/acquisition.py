"""What a scanner does to an image: place, bias field, resolution, noise; and the z-score that a network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.training.brain.cases import BoolArray, FloatArray
from napari_lesion.training.config import Intensity

LEVELS = 255
"""Grey levels that a stored image has."""


@dataclass(frozen=True, eq=False)
class Scan:
    """An image with its labels, as it is stored.

    Parameters
    ----------
    image
        Scaled z-scores, uint8 (x, y, z).
    lesion, brain
        Masks.
    """

    image: npt.NDArray[np.uint8]
    lesion: BoolArray
    brain: BoolArray


def scan(image: FloatArray, lesion: BoolArray, brain: BoolArray, seed: int, intensity: Intensity) -> Scan:
    """Turn and deform a head, and image it on a random scanner.

    Parameters
    ----------
    image
        White matter about 1.
    lesion, brain
        Masks of the same shape.
    seed
        Decides everything.
    intensity
        z-scores that become 0 and 1.
    """
    import torch

    # One stack, so that all of it is resampled at once.
    stack = torch.from_numpy(np.stack([image, lesion, brain]).astype(np.float32))
    place, scanner = placement(), acquisition()
    for steps in (place, scanner):
        steps.set_random_state(seed=seed)
    moved = place(stack)
    masks = moved[1:].numpy() >= 0.5
    values = scanner(moved[:1])[0].numpy()
    return Scan(stored(values, masks[1], intensity), masks[0], masks[1])


def stored(image: FloatArray, brain: BoolArray, intensity: Intensity) -> npt.NDArray[np.uint8]:
    """z-scores inside the brain, scaled to the range of the network and rounded."""
    values = image[brain & (image != 0)]
    z = (image - values.mean()) / values.std()
    scaled = (z - intensity.a_min) / (intensity.a_max - intensity.a_min)
    levels: npt.NDArray[np.uint8] = np.rint(np.clip(scaled, 0, 1) * LEVELS).astype(np.uint8)
    return levels


def placement() -> Any:
    """MONAI transforms of place and form."""
    from monai import transforms as mt

    affine = mt.RandAffine(
        prob=0.9,
        rotate_range=(0.25, 0.15, 0.2),
        shear_range=(0.05,) * 6,
        scale_range=(0.15, 0.15, 0.15),
        mode="bilinear",
        padding_mode="zeros",
    )
    distortion = mt.RandGridDistortion(
        prob=0.5, num_cells=5, distort_limit=(-0.06, 0.06), mode="bilinear", padding_mode="zeros"
    )
    return mt.Compose([affine, distortion, mt.ToTensor(track_meta=False)])


def acquisition() -> Any:
    """MONAI transforms of field, sharpness, slice thickness, resolution, noise and grey scale."""
    from monai import transforms as mt

    thin, thick = (0.01, 0.02), (0.7, 1.6)
    slices = [
        mt.RandGaussianSmooth(prob=1.0, **{f"sigma_{axis}": thick if axis == across else thin for axis in "xyz"})
        for across in "xyz"
    ]
    sharpness = mt.OneOf(
        [
            mt.Identity(),
            mt.RandGaussianSmooth(prob=1.0, **{f"sigma_{axis}": (0.3, 0.8) for axis in "xyz"}),
            mt.RandGaussianSharpen(prob=1.0, alpha=(1.0, 5.0)),
            mt.RandSimulateLowResolution(prob=1.0, zoom_range=(0.5, 1.0)),
            mt.OneOf(slices),
        ]
    )
    return mt.Compose(
        [
            mt.RandBiasField(prob=0.7, degree=3, coeff_range=(-0.12, 0.12)),
            sharpness,
            mt.RandRicianNoise(prob=0.8, std=0.07, relative=False, sample_std=True),
            mt.RandAdjustContrast(prob=0.5, gamma=(0.75, 1.35)),
        ]
    )
