"""Rated nodules of the training set that a network finds alike: features, pictures and ratings from the bundle."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import ModelError
from napari_lesion.models.classifier import AGAIN, ClassifierInfo
from napari_lesion.models.safety import inside

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float32]

EXAMPLES: Final = "models/examples.npz"
SAME_IMAGE: Final = 0.99
"""Correlation of two crops from which they count as the same image."""
LOW_HU, HIGH_HU = -1000.0, 400.0
"""HU that are black and white in a picture."""
GREYS: Final = 64
"""Levels of grey: more would double the file with noise that nobody sees."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Rated nodules.

    Parameters
    ----------
    mean, components
        Centre and directions of the features, shapes (feature,) and (direction, feature).
    features
        Coordinates of the nodules along the directions, shape (nodule, direction).
    pictures
        Crops from `LOW_HU` to `HIGH_HU` as 0 to 255, shape (nodule, row, column).
    patients, malignancy, texture
        LIDC-IDRI patient, ratings of the readers for malignancy and for texture ("5;4;4").
    background
        Measures of lesions to compare with, shape (lesion, measure).
    """

    mean: FloatArray
    components: FloatArray
    features: FloatArray
    pictures: npt.NDArray[np.uint8]
    patients: npt.NDArray[np.str_]
    malignancy: npt.NDArray[np.str_]
    texture: npt.NDArray[np.str_]
    background: FloatArray

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays for a file; features in half precision."""
        return {
            "mean": self.mean,
            "components": self.components,
            "features": self.features.astype(np.float16),
            "pictures": self.pictures,
            "patients": self.patients,
            "malignancy": self.malignancy,
            "texture": self.texture,
            "background": self.background,
        }

    def nearest(
        self, feature: FloatArray, picture: npt.NDArray[np.uint8], count: int, excluded: Callable[[str], bool]
    ) -> list[int]:
        """Places of the nodules that lie nearest, the nearest first; never two of one patient.

        Parameters
        ----------
        feature
            Features of the lesion, shape (feature,).
        picture
            Its picture: a nodule with the same image is passed over.
        count
            How many.
        excluded
            Whether nodules of a patient are passed over.
        """
        place = (feature - self.mean) @ self.components.T
        order = np.argsort(((self.features - place) ** 2).sum(axis=1))
        found: list[int] = []
        seen: set[str] = set()
        for number in map(int, order):
            patient = str(self.patients[number])
            if patient in seen or excluded(patient) or _same(self.pictures[number], picture):
                continue
            found.append(number)
            seen.add(patient)
            if len(found) == count:
                break
        return found


def load_examples(info: ClassifierInfo) -> Examples | None:
    """Examples of a bundle; None when it has none.

    Raises
    ------
    ModelError
        When the file is damaged.
    """
    if not (info.path / EXAMPLES).is_file():
        return None
    try:
        with np.load(inside(info.path, EXAMPLES), allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        floats = ("mean", "components", "features", "background")
        as_they_are = ("pictures", "patients", "malignancy", "texture")
        examples = Examples(
            **{name: arrays[name].astype(np.float32) for name in floats},
            **{name: arrays[name] for name in as_they_are},
        )
        sound = examples.features.shape == (len(examples.pictures), len(examples.components))
        sound = sound and examples.components.shape[1:] == examples.mean.shape
        sound = sound and examples.background.shape[1:] == (len(info.measures),)
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"The examples of {info.name} cannot be used", f"{EXAMPLES} is damaged", AGAIN) from error
    if not sound:
        raise ModelError(f"The examples of {info.name} cannot be used", f"arrays of {EXAMPLES} do not fit", AGAIN)
    return examples


def picture_of(crop: FloatArray, a_min: float, a_max: float) -> npt.NDArray[np.uint8]:
    """Picture of a crop (channel, row, column) whose values 0 to 1 stand for HU from ``a_min`` to ``a_max``."""
    hu = crop[0] * (a_max - a_min) + a_min
    grey = (hu - LOW_HU) / (HIGH_HU - LOW_HU)
    levels = np.rint((GREYS - 1) * grey.clip(0, 1)).astype(np.uint8)
    picture: npt.NDArray[np.uint8] = levels * np.uint8(255 // (GREYS - 1))
    return picture


def penultimate(members: Sequence[torch.nn.Module], crops: FloatArray) -> FloatArray:
    """What the networks pass to their last layer, side by side, shape (lesion, feature).

    Parameters
    ----------
    members
        Networks with a last layer ``fc``; they are not changed.
    crops
        Shape (lesion, channel, row, column); looked at as they lie.
    """
    import torch

    kept: list[Any] = []
    parts = []
    for network in members:
        kept.clear()
        hook = network.get_submodule("fc").register_forward_pre_hook(lambda _module, given: kept.append(given[0]))
        with torch.inference_mode():
            network(torch.from_numpy(crops))
        hook.remove()
        parts.append(kept[0].numpy())
    return np.concatenate(parts, axis=1).astype(np.float32)


def _same(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> bool:
    if one.shape != other.shape:
        return False
    first, second = (picture.astype(np.float64).ravel() - picture.mean() for picture in (one, other))
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return norm > 0 and float(first @ second) / norm >= SAME_IMAGE
