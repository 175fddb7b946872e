"""Batches of crops as a function of the step: the same step always gives the same batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_lesion.training.detector.config import Stretch
from napari_lesion.training.detector.crops import Crop, cut
from napari_lesion.training.detector.nodules import Nodule
from napari_lesion.training.detector.transplant import Graft, Host, transplanted
from napari_lesion.training.scenes import Scene

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float64]
Points = npt.NDArray[np.int64]
Batch = dict[str, "torch.Tensor"]

KEYS = ("image", "target")


class CropBatches:
    """Map-style dataset of whole batches: item ``n`` is the batch of step ``n``.

    Parameters
    ----------
    nodules
        What to learn from, all of two or all of three axes.
    stretch
        Sizes and numbers.
    seed
        Seed of the run.
    negatives
        Scans with points (n, 3) that crops without a nodule are centred on.
    grafts, hosts
        Nodules that can be set into other places, and the scans with these places.
    """

    def __init__(
        self,
        nodules: Sequence[Nodule],
        stretch: Stretch,
        seed: int,
        negatives: Sequence[tuple[Scene, Points]] = (),
        grafts: Sequence[Graft] = (),
        hosts: Sequence[Host] = (),
    ) -> None:
        self._grafts, self._hosts = list(grafts), list(hosts)
        self._nodules = [(nodule, nodule.center) for nodule in nodules]
        self._stretch = stretch
        self._seed = seed
        self._negatives = list(negatives)
        self._shares = _shares([scene for scene, _ in self._negatives])
        self._augment = crop_augmentation(nodules[0].image.ndim)

    def __len__(self) -> int:
        return self._stretch.steps

    def __getitem__(self, step: int) -> Batch:
        import torch

        rng = np.random.default_rng([self._seed, step])
        without = self._stretch.negatives if self._negatives else 0
        crops = [self._positive(rng) for _ in range(self._stretch.batch - without)]
        crops += [self._negative(rng) for _ in range(without)]
        done = []
        for crop in crops:
            self._augment.set_random_state(seed=int(rng.integers(2**31)))
            done.append(self._augment(crop))
        return {key: torch.stack([torch.as_tensor(crop[key]) for crop in done]) for key in KEYS}

    def _positive(self, rng: np.random.Generator) -> Crop:
        if self._grafts and self._hosts and rng.random() < self._stretch.transplanted:
            nodule = transplanted(self._grafts, self._hosts, rng, self._stretch.thinned)
            center = nodule.center
        else:
            nodule, center = self._nodules[int(rng.integers(len(self._nodules)))]
        jitter = self._stretch.jitter
        return cut(
            (nodule.image, nodule.label, nodule.share),
            center + rng.integers(-jitter, jitter + 1, len(center)),
            self._stretch.roi,
        )

    def _negative(self, rng: np.random.Generator) -> Crop:
        scene, points = self._negatives[int(rng.choice(len(self._negatives), p=self._shares))]
        center = points[int(rng.integers(len(points)))] + rng.integers(
            -self._stretch.jitter, self._stretch.jitter + 1, 3
        )
        return cut((scene.image, scene.label, None), center, self._stretch.roi)


def _shares(scenes: Sequence[Scene]) -> FloatArray:
    """How often each case is drawn: all scans and slabs together as often as all cubes."""
    scan = np.array([scene.case.kind != "cube" for scene in scenes], dtype=bool)
    kinds = [kind for kind in (scan, ~scan) if kind.any()]
    shares: FloatArray = sum((kind / kind.sum() / len(kinds) for kind in kinds), np.zeros(len(scan)))
    return shares


def scan_negatives(scenes: Sequence[Scene], mined: Mapping[str, Points]) -> list[tuple[Scene, Points]]:
    """Mined false marks of each scene; scans and slabs without any give points anywhere in them."""
    pairs = [(scene, mined.get(scene.case.name, scene.background_points[:0])) for scene in scenes]
    pairs = [
        (scene, scene.background_points if scene.case.kind != "cube" and not len(points) else points)
        for scene, points in pairs
    ]
    return [(scene, points) for scene, points in pairs if len(points)]


def crop_augmentation(spatial_dims: int) -> Any:
    """MONAI transforms of a crop: geometry, slice thickness, sharpness, resolution, noise and intensity.

    The third axis runs across slices: free turns are about it, tilts are small.
    """
    from monai import transforms as mt

    tilt = 0.3
    turns = (np.pi,) if spatial_dims == 2 else (tilt, tilt, np.pi)
    flips = [mt.RandFlipd(KEYS, prob=0.5, spatial_axis=axis) for axis in range(spatial_dims)]
    affine = mt.RandAffined(
        KEYS,
        prob=0.7,
        rotate_range=turns,
        shear_range=(0.1,) * (spatial_dims * (spatial_dims - 1)),
        scale_range=(0.2,) * spatial_dims,
        mode="bilinear",
        padding_mode="reflection",
    )
    thick = {"sigma_x": (0.01, 0.02), "sigma_y": (0.01, 0.02), "sigma_z": (0.4, 1.1)}
    blur = {f"sigma_{axis}": (0.2, 0.8) for axis in "xyz"}
    return mt.Compose(
        [
            *flips,
            mt.RandRotate90d(KEYS, prob=0.5, spatial_axes=(0, 1)),
            affine,
            *([mt.RandGaussianSmoothd("image", **thick, prob=0.25)] if spatial_dims == 3 else []),
            mt.RandGaussianSmoothd("image", **blur, prob=0.2),
            mt.RandGaussianSharpend("image", prob=0.1),
            mt.RandGaussianNoised("image", prob=0.3, std=0.03),
            mt.RandScaleIntensityd("image", factors=0.1, prob=0.3),
            mt.RandShiftIntensityd("image", offsets=0.03, prob=0.3),
            mt.EnsureTyped(KEYS, dtype="float32", track_meta=False),
        ]
    )
