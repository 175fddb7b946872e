"""How good a network is on held-out cases, on the grid of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.evaluation.detection import DetectionCounts, match_lesions
from napari_lesion.evaluation.segmentation import dice
from napari_lesion.inference.components import components
from napari_lesion.training.network import predict_probability
from napari_lesion.training.scenes import IGNORE, LESION
from napari_lesion.training.scoring import marks_of
from napari_lesion.training.segmenter.config import SegmenterConfig
from napari_lesion.training.segmenter.prepare import PreparedCase

if TYPE_CHECKING:
    import torch

THRESHOLDS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Standing:
    """How good a network is at one threshold.

    Parameters
    ----------
    threshold
        Probability from which a voxel is marked.
    dice
        Mean Dice of the cases that hold a lesion; 0 for one in which nothing is marked.
    sensitivity
        Share of the lesions that a mark hits.
    false_marks_per_case
        Marks that hit nothing.
    cases, lesions
        How many.
    """

    threshold: float
    dice: float
    sensitivity: float
    false_marks_per_case: float
    cases: int
    lesions: int


def standings(
    network: torch.nn.Module,
    cases: Sequence[PreparedCase],
    config: SegmenterConfig,
    thresholds: Sequence[float] = (0.5,),
    fast: bool = False,
) -> list[Standing]:
    """Run a network over the cases once, and score it at each threshold.

    Parameters
    ----------
    network
        On its device; it is put into evaluation mode.
    cases, config
        Held-out cases, window and smallest lesion.
    thresholds
        Probabilities.
    fast
        Compute in bfloat16.
    """
    import torch

    network.eval()
    scored: list[list[tuple[float, DetectionCounts]]] = [[] for _ in thresholds]
    for case in cases:
        image = torch.from_numpy(np.array(case.image, dtype=np.float32))
        probability = predict_probability(network, image, config.roi_size, fast).numpy()
        for row, threshold in zip(scored, thresholds, strict=True):
            row.append(_score(case, probability, threshold, config))
    return [_standing(threshold, row) for threshold, row in zip(thresholds, scored, strict=True)]


def _score(
    case: PreparedCase, probability: npt.NDArray[np.float32], threshold: float, config: SegmenterConfig
) -> tuple[float, DetectionCounts]:
    voxel = float(np.prod(config.spacing_mm))
    ignored = np.asarray(case.label) == IGNORE
    marks = marks_of(np.where(ignored, 0, probability), threshold, max(1, round(config.min_volume_mm3 / voxel)))
    truth = np.asarray(case.label) == LESION
    scores = dict.fromkeys(np.unique(marks).tolist(), 1.0)
    matching = match_lesions(components(truth, 26), marks, scores, voxel, ignored)
    return dice(truth, marks > 0), matching.counts


def _standing(threshold: float, scored: Sequence[tuple[float, DetectionCounts]]) -> Standing:
    known = [value for value, _ in scored if np.isfinite(value)]
    lesions = sum(counts.lesions for _, counts in scored)
    return Standing(
        threshold=threshold,
        dice=float(np.mean(known)),
        sensitivity=sum(counts.found for _, counts in scored) / lesions,
        false_marks_per_case=float(np.mean([counts.false for _, counts in scored])),
        cases=len(scored),
        lesions=lesions,
    )
