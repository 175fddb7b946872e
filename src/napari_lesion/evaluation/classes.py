"""Figures of a question over many cases: decisions, a curve, a reliability diagram, with intervals by patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from napari_lesion.evaluation.bootstrap import Interval, bootstrap
from napari_lesion.evaluation.classification import (
    ReliabilityBin,
    balanced_accuracy,
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
    n, patients
        Cases and patients.
    classes
        Words for the classes.
    figures
        Of a yes-or-no question accuracy, precision, recall, specificity, F1, ROC AUC and expected calibration error;
        of more classes accuracy and balanced accuracy.
    confusion
        Rows the truth, columns the decision.
    threshold
        Probability from which a case is called 1; NaN with more classes.
    roc
        Points (false positive rate, true positive rate) of the ROC curve; none with more classes.
    bins
        Bars of the reliability diagram; none with more classes.
    """

    n: int
    patients: int
    classes: tuple[str, ...]
    figures: dict[str, Interval]
    confusion: tuple[tuple[int, ...], ...]
    threshold: float = float("nan")
    roc: tuple[tuple[float, float], ...] = ()
    bins: tuple[ReliabilityBin, ...] = ()


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
        patients=len(set(patients)),
        classes=("0", "1"),
        threshold=threshold,
        figures=figures,
        confusion=_rows(matrix),
        roc=_roc(truth, chance),
        bins=tuple(reliability(truth, chance)),
    )


def summarise_kinds(
    truth: npt.ArrayLike, decided: npt.ArrayLike, patients: Sequence[str], classes: Sequence[str]
) -> ClassSummary:
    """Summarise a question with several classes, given by their numbers.

    Raises
    ------
    InputError
        When a class is out of range.
    """
    truth, decided = np.asarray(truth), np.asarray(decided)
    matrix = confusion(truth, decided, len(classes))
    figures = {
        "accuracy": bootstrap(_accuracy, patients, truth, decided),
        "balanced_accuracy": bootstrap(partial(_balanced, len(classes)), patients, truth, decided),
    }
    return ClassSummary(int(truth.size), len(set(patients)), tuple(classes), figures, _rows(matrix))


def _accuracy(truth: npt.NDArray[np.int64], decided: npt.NDArray[np.int64]) -> float:
    return float(np.mean(truth == decided))


def _balanced(n_classes: int, truth: npt.NDArray[np.int64], decided: npt.NDArray[np.int64]) -> float:
    return balanced_accuracy(truth, decided, n_classes)


def _rows(matrix: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(count) for count in row) for row in matrix)


def _binary(name: str, threshold: float, truth: npt.NDArray[np.int64], chance: npt.NDArray[np.float64]) -> float:
    return float(getattr(binary_figures(truth, chance, threshold), name))


def _roc(truth: npt.NDArray[np.int64], chance: npt.NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """Points of the curve; none when only one class is there."""
    from sklearn.metrics import roc_curve

    if not 0 < truth.sum() < truth.size:
        return ()
    false, true, _ = roc_curve(truth, chance)
    return tuple((float(x), float(y)) for x, y in zip(false, true, strict=True))
