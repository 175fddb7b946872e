"""What a bundle gives, as types of this program: labels and probabilities, boxes, scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import ModelError
from napari_lesion.core.grid import Grid
from napari_lesion.inference.bundles.images import native_array

FloatArray = npt.NDArray[np.float32]
BACKGROUND: Final = "background"
BOX_KEYS: Final = ("box", "boxes")
SCORE_KEYS: Final = ("label_scores", "labels_scores", "scores")
LABEL_KEYS: Final = ("label", "labels")


@dataclass(frozen=True, eq=False)
class Segmented:
    """A segmentation on the native grid.

    Parameters
    ----------
    labels
        Class of each voxel, uint16 (z, y, x), 0 for background.
    grid
        Native grid.
    meanings
        Class number to name.
    probability
        Probability of each class but the background, float32 (class, z, y, x), classes in the order of `classes`;
        None when the bundle gives none.
    classes
        Class numbers of the channels of ``probability``.
    """

    labels: npt.NDArray[np.uint16]
    grid: Grid
    meanings: Mapping[int, str]
    probability: FloatArray | None = None
    classes: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of a classifier for the whole image.

    Parameters
    ----------
    scores
        One number for each class.
    meanings
        Class number to name.
    """

    scores: npt.NDArray[np.float64]
    meanings: Mapping[int, str]

    @property
    def named(self) -> dict[str, float]:
        """Class name to score."""
        return {self.meanings.get(i, f"class {i}"): float(score) for i, score in enumerate(self.scores)}


@dataclass(frozen=True, eq=False)
class Boxed:
    """Boxes of a detector.

    Parameters
    ----------
    centres, sizes
        LPS mm, float64 (n, 3).
    scores
        Score of each box.
    meanings
        Class number to name.
    labels
        Class of each box.
    """

    centres: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    meanings: Mapping[int, str] = field(default_factory=dict)


BundleOutput = Segmented | Scored | Boxed


def interpret(prediction: Any, grid: Grid, meanings: Mapping[int, str], name: str) -> BundleOutput:
    """Types of this program for what a bundle's post-processing gave.

    Parameters
    ----------
    prediction
        Tensor (channel, x, y, z), (x, y, z) or (class,).
    grid
        Native grid.
    meanings
        Class number to name, as the metadata state them.
    name
        Name of the bundle, for errors.

    Raises
    ------
    ModelError
        When it is none of these.
    """
    shape = tuple(getattr(prediction, "shape", ()))
    if len(shape) == 3:  # a post-processing that squeezed the one channel away
        return _segmented(prediction[None], grid, meanings)
    if len(shape) == 4:
        return _segmented(prediction, grid, meanings)
    if len(shape) == 1 or (len(shape) == 2 and shape[0] == 1):
        return Scored(np.asarray(prediction.detach().cpu(), dtype=np.float64).ravel(), meanings)
    raise ModelError(
        f"The result of the model {name} is not understood",
        f"it has the shape {shape or type(prediction).__name__}",
        "Segmentations (channel, x, y, z) or (x, y, z), boxes and score vectors are",
    )


def _segmented(prediction: Any, grid: Grid, meanings: Mapping[int, str]) -> Segmented:
    """Class map of one channel of class numbers, of regions, or of probabilities or logits."""
    whole = bool((prediction == prediction.round()).all())
    array = native_array(prediction, grid, nearest=whole)
    if array.shape[0] == 1:
        labels = np.rint(array[0]) if whole else array[0] > 0.5
        alone = len(meanings) == 1 and 0 in meanings and not has_background(meanings)
        return Segmented(labels.astype(np.uint16), grid, _from_one(meanings) if alone else meanings)
    if has_background(meanings) and not _exclusive_of_nothing(array, whole=whole):
        return Segmented(array.argmax(axis=0).astype(np.uint16), grid, meanings)
    return Segmented(_smallest_region(array > 0.5), grid, _from_one(meanings))


def _from_one(meanings: Mapping[int, str]) -> dict[int, str]:
    """Names of regions, whose labels are one more than their channels."""
    return {channel + 1: name for channel, name in meanings.items()}


def _exclusive_of_nothing(array: npt.NDArray[Any], *, whole: bool) -> bool:
    """Whether binary channels leave voxels without any class: regions, not the one-hot form of classes."""
    return whole and bool((array.sum(axis=0) == 0).any())


def _smallest_region(regions: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint16]:
    """Regions that lie in each other: a voxel belongs to the smallest one that holds it."""
    labels = np.zeros(regions.shape[1:], dtype=np.uint16)
    for channel in np.argsort(-regions.sum(axis=(1, 2, 3)), kind="stable"):
        labels[regions[channel]] = channel + 1
    return labels


def has_background(meanings: Mapping[int, str]) -> bool:
    """Whether class 0 is the background."""
    return meanings.get(0, "").strip().lower() == BACKGROUND


def boxes_of(prediction: Mapping[str, Any], name: str) -> tuple[Any, npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Boxes, scores and classes in a detector's answer.

    Raises
    ------
    ModelError
        When it holds no boxes or no scores.
    """
    box = next((prediction[key] for key in BOX_KEYS if key in prediction), None)
    scores = next((prediction[key] for key in SCORE_KEYS if key in prediction), None)
    if box is None or scores is None:
        raise ModelError(
            f"The result of the model {name} is not understood", f"it holds {', '.join(map(str, prediction))}"
        )
    labels = next((prediction[key] for key in LABEL_KEYS if key in prediction), np.zeros(len(box)))
    return _plain(box), _plain(scores).astype(np.float64).ravel(), _plain(labels).astype(np.int64).ravel()


def _plain(values: Any) -> npt.NDArray[Any]:
    """An array of what is a tensor on any device, an array or a list."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
