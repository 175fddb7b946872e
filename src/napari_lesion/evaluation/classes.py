"""Figures of a yes-or-no question over many cases: a threshold, a curve, a reliability diagram, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from napari_lesion.evaluation.bootstrap import Interval, bootstrap
from napari_lesion.evaluation.classification import (
    ReliabilityBin,
    binary_figures,
    confusion,
    expected_calibration_error,
    reliability,
    roc_auc,
)

BINARY = ("accuracy", "precision", "recall", "specificity", "f1")


@dataclass(frozen=True)
class ClassSummary:
    """Everything that is said of one question.

    Parameters
    ----------
    n, positives, patients
        Cases, cases of class 1, patients.
    threshold
        Probability from which a case is called 1.
    figures
        Accuracy, precision, recall, specificity, F1, ROC AUC and expected calibration error.
    confusion
        Rows the truth, columns the decision.
    roc
        Points (false positive rate, true positive rate) of the ROC curve.
    bins
        Bars of the reliability diagram.
    """

    n: int
    positives: int
    patients: int
    threshold: float
    figures: dict[str, Interval]
    confusion: tuple[tuple[int, int], ...]
    roc: tuple[tuple[float, float], ...]
    bins: tuple[ReliabilityBin, ...]


def summarise_classes(
    truth: npt.ArrayLike, chance: npt.ArrayLike, patients: Sequence[str], threshold: float = 0.5
) -> ClassSummary:
    """Summarise a yes-or-no question.

    Parameters
    ----------
    truth
        0 or 1 a case.
    chance
        Probability of 1.
    patients
        Patient of each case; intervals resample them.
    threshold
        Probability from which a case is called 1.

    Raises
    ------
    InputError
        When a class or a probability is out of range.
    """
    truth, chance = np.asarray(truth), np.asarray(chance, dtype=float)
    binary_figures(truth, chance, threshold)  # complains of classes and probabilities out of range
    truth = truth.astype(np.int64)
    figures = {name: bootstrap(partial(_binary, name, threshold), patients, truth, chance) for name in BINARY}
    figures["roc_auc"] = bootstrap(roc_auc, patients, truth, chance)
    figures["ece"] = bootstrap(expected_calibration_error, patients, truth, chance)
    matrix = confusion(truth, (chance >= threshold).astype(np.int64), 2)
    return ClassSummary(
        n=int(truth.size),
        positives=int(truth.sum()),
        patients=len(set(patients)),
        threshold=threshold,
        figures=figures,
        confusion=tuple((int(row[0]), int(row[1])) for row in matrix),
        roc=_roc(truth, chance),
        bins=tuple(reliability(truth, chance)),
    )


def _binary(name: str, threshold: float, truth: npt.NDArray[np.int64], chance: npt.NDArray[np.float64]) -> float:
    return float(getattr(binary_figures(truth, chance, threshold), name))


def _roc(truth: npt.NDArray[np.int64], chance: npt.NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """Points of the curve; none when only one class is there."""
    from sklearn.metrics import roc_curve

    if not 0 < truth.sum() < truth.size:
        return ()
    false, true, _ = roc_curve(truth, chance)
    return tuple((float(x), float(y)) for x, y in zip(false, true, strict=True))
