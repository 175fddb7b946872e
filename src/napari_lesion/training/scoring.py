"""How good a network is on held-out cases: Dice of nodules, and marks on whole scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_lesion.evaluation.segmentation import dice as mask_dice
from napari_lesion.inference.components import components
from napari_lesion.training.network import predict_probability
from napari_lesion.training.scenes import IGNORE, LESION, Scene

if TYPE_CHECKING:
    import torch

HIT_IOU = 0.1
AGREED_READERS = 3

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """What one threshold gives on one case.

    Parameters
    ----------
    name
        Name of the case.
    threshold
        Probability from which a voxel is marked.
    dice
        Dice of the lesion that was outlined and the marks that touch it, 0 when missed; NaN where nothing
        was outlined.
    found
        Whether one mark has an intersection over union above 0.1 with the lesion.
    other_marks
        Marks that touch neither the lesion nor a doubtful place.
    probability
        Largest probability inside the lesion; NaN where nothing was outlined.
    """

    name: str
    threshold: float
    dice: float
    found: bool
    other_marks: int
    probability: float


def probability_of(network: torch.nn.Module, scene: Scene, roi: int, fast: bool = False) -> FloatArray:
    """Probability inside the search region of a scene (0 elsewhere), shape (x, y, z).

    The windows cover the box of the search region and 8 voxels around it.
    """
    import torch

    where = np.argwhere(scene.lung)
    probability = np.zeros(scene.image.shape, dtype=np.float32)
    if not len(where):
        return probability
    low = np.maximum(where.min(0) - 8, 0)
    high = where.max(0) + 9
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    image = torch.from_numpy(scene.image[box].astype(np.float32))
    probability[box] = predict_probability(network, image, roi, fast).numpy()
    return np.where(scene.lung, probability, np.float32(0))


def marks_of(probability: FloatArray, threshold: float, min_voxels: int) -> npt.NDArray[np.uint32]:
    """Label the connected marks (26 neighbours) that hold at least ``min_voxels`` voxels."""
    import cc3d

    labels = components(probability >= threshold, connectivity=26).astype(np.uint32, copy=False)
    marks: npt.NDArray[np.uint32] = cc3d.dust(labels, min_voxels, connectivity=26)
    return marks


def score_scene(scene: Scene, probability: FloatArray, threshold: float, min_voxels: int = 30) -> Score:
    """Score one case at one threshold."""
    lesion = scene.label == LESION
    marks = marks_of(probability, threshold, min_voxels)
    touching = set(np.unique(marks[lesion]).tolist()) - {0}
    doubtful = set(np.unique(marks[scene.label == IGNORE]).tolist())
    others = set(np.unique(marks).tolist()) - {0} - touching - doubtful
    if not lesion.any():
        return Score(scene.case.name, threshold, float("nan"), False, len(others), float("nan"))
    found = any(_iou(marks == mark, lesion) > HIT_IOU for mark in touching)
    dice = mask_dice(lesion, np.isin(marks, list(touching))) if found else 0.0
    return Score(scene.case.name, threshold, dice, found, len(others), float(probability[lesion].max()))


def _iou(first: BoolArray, second: BoolArray) -> float:
    return float((first & second).sum() / (first | second).sum())


@dataclass(frozen=True)
class Summary:
    """Scores of many cases at one threshold; nodules of three and more readers only.

    Parameters
    ----------
    threshold
        Probability.
    n_nodules
        Nodules that count.
    dice
        Mean, a missed nodule counting 0.
    dice_median, dice_sd
        Median and standard deviation over the same nodules.
    sensitivity
        Share found at an intersection over union above 0.1.
    marks_per_cube
        Other marks in a 51 mm cube.
    marks_per_scan
        Other marks in a whole scan; NaN without one.
    """

    threshold: float
    n_nodules: int
    dice: float
    dice_median: float
    dice_sd: float
    sensitivity: float
    marks_per_cube: float
    marks_per_scan: float


def summarise(scenes: Sequence[Scene], scores: Sequence[Score]) -> Summary:
    """Summarise the scores of the scenes, all at one threshold."""
    pairs = list(zip(scenes, scores, strict=True))
    cubes = [(scene, score) for scene, score in pairs if scene.case.kind == "cube"]
    agreed = [score for scene, score in cubes if scene.case.n_readers >= AGREED_READERS]
    scans = [score.other_marks for scene, score in pairs if scene.case.kind == "scan"]
    dice = np.array([score.dice for score in agreed])
    return Summary(
        threshold=scores[0].threshold,
        n_nodules=len(agreed),
        dice=float(dice.mean()),
        dice_median=float(np.median(dice)),
        dice_sd=float(dice.std()),
        sensitivity=float(np.mean([score.found for score in agreed])),
        marks_per_cube=float(np.mean([score.other_marks for _, score in cubes])),
        marks_per_scan=float(np.mean(scans)) if scans else float("nan"),
    )
