"""Figures of a classifier: accuracy, precision, recall, F1, ROC AUC, confusion matrix, calibration.

scikit-learn computes what it has; intervals are bootstrapped over patients, since the lesions of one patient are
not independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BINS = 10


@dataclass(frozen=True)
class BinaryFigures:
    """What one threshold gives; a figure whose denominator is 0 is NaN.

    Parameters
    ----------
    n, positives
        Lesions, and those of the positive class.
    accuracy, precision, recall, specificity, f1
        At the threshold.
    auc
        Area under the ROC curve, of all thresholds.
    """

    n: int
    positives: int
    accuracy: float
    precision: float
    recall: float
    specificity: float
    f1: float
    auc: float


@dataclass(frozen=True)
class ReliabilityBin:
    """One bar of a reliability diagram.

    Parameters
    ----------
    low, high
        Edges of the bin.
    count
        Lesions in it.
    predicted, observed
        Mean probability and share of positives; NaN in an empty bin.
    """

    low: float
    high: float
    count: int
    predicted: float
    observed: float


def roc_auc(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Area under the ROC curve; NaN when only one class is there.

    Computed as the Mann-Whitney statistic of the ranks (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747),
    a tie counting one half: the number of `sklearn.metrics.roc_auc_score`, thirty times sooner, for a bootstrap.
    """
    from scipy.stats import rankdata

    truth = _binary(truth)
    positives = int(truth.sum())
    negatives = truth.size - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(np.asarray(score, dtype=float), method="average")
    return float((ranks[truth == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def binary_figures(truth: npt.ArrayLike, probability: npt.ArrayLike, threshold: float = 0.5) -> BinaryFigures:
    """Figures of a yes-or-no decision.

    Parameters
    ----------
    truth
        0 or 1 a lesion.
    probability
        Probability of 1; at ``threshold`` and above it is decided as 1.
    threshold
        Where it is decided.

    Raises
    ------
    InputError
        When lengths differ, nothing is given, or a class or a probability is out of range.
    """
    truth = _binary(truth)
    chance = _probabilities(probability, truth.size)
    (tn, fp), (fn, tp) = confusion(truth, (chance >= threshold).astype(np.int64), 2)
    return BinaryFigures(
        n=int(truth.size),
        positives=int(truth.sum()),
        accuracy=(tp + tn) / truth.size,
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        specificity=_ratio(tn, tn + fp),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        auc=roc_auc(truth, chance),
    )


def confusion(truth: npt.ArrayLike, decided: npt.ArrayLike, n_classes: int) -> IntArray:
    """Confusion matrix, rows the truth and columns the decision, shape (n_classes, n_classes)."""
    from sklearn.metrics import confusion_matrix

    truth, decided = _classes(truth, n_classes), _classes(decided, n_classes)
    if truth.shape != decided.shape:
        raise InputError("The figures cannot be computed", f"{truth.size} truths and {decided.size} decisions")
    matrix: IntArray = confusion_matrix(truth, decided, labels=range(n_classes)).astype(np.int64)
    return matrix


def balanced_accuracy(truth: npt.ArrayLike, decided: npt.ArrayLike, n_classes: int) -> float:
    """Mean of the recalls of the classes that occur."""
    matrix = confusion(truth, decided, n_classes)
    present = matrix.sum(axis=1) > 0
    return float(np.mean(np.diag(matrix)[present] / matrix.sum(axis=1)[present]))


def reliability(truth: npt.ArrayLike, probability: npt.ArrayLike, bins: int = BINS) -> list[ReliabilityBin]:
    """Bars of a reliability diagram: bins of equal width from 0 to 1, the last one closed on both sides."""
    truth = _binary(truth)
    chance = _probabilities(probability, truth.size)
    place = np.minimum((chance * bins).astype(np.int64), bins - 1)
    bars = []
    for number in range(bins):
        inside = place == number
        predicted, observed = (
            (float(chance[inside].mean()), float(truth[inside].mean())) if inside.any() else (np.nan, np.nan)
        )
        bars.append(ReliabilityBin(number / bins, (number + 1) / bins, int(inside.sum()), predicted, observed))
    return bars


def expected_calibration_error(truth: npt.ArrayLike, probability: npt.ArrayLike, bins: int = BINS) -> float:
    """Mean distance of predicted and observed over equal-width bins, each bin by its count.

    Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning", AAAI.
    """
    bars = [bar for bar in reliability(truth, probability, bins) if bar.count]
    total = sum(bar.count for bar in bars)
    return float(sum(bar.count * abs(bar.predicted - bar.observed) for bar in bars) / total)


def adaptive_calibration_error(truth: npt.ArrayLike, probability: npt.ArrayLike, bins: int = BINS) -> float:
    """The same over bins of equal count (Nixon et al. 2019, "Measuring calibration in deep learning", CVPR-W)."""
    truth = _binary(truth)
    chance = _probabilities(probability, truth.size)
    groups = np.array_split(np.argsort(chance, kind="stable"), min(bins, truth.size))
    return float(sum(len(g) * abs(chance[g].mean() - truth[g].mean()) for g in groups) / truth.size)


def auc_gain(truth: npt.ArrayLike, score: npt.ArrayLike, baseline: npt.ArrayLike) -> float:
    """ROC AUC of a score less that of a baseline on the same lesions."""
    return roc_auc(truth, score) - roc_auc(truth, baseline)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _binary(truth: npt.ArrayLike) -> IntArray:
    return _classes(truth, 2)


def _classes(values: npt.ArrayLike, n_classes: int) -> IntArray:
    found = np.asarray(values)
    whole = found.astype(np.int64) if np.isfinite(found).all() else np.full(found.shape, -1)
    if not found.size or (whole != found).any() or whole.min() < 0 or whole.max() >= n_classes:
        raise InputError(
            "The figures cannot be computed",
            f"classes must be whole numbers from 0 to {n_classes - 1}",
            "Check the labels of the data",
        )
    return whole


def _probabilities(values: npt.ArrayLike, count: int) -> FloatArray:
    chance = np.asarray(values, dtype=np.float64)
    if chance.shape != (count,):
        raise InputError("The figures cannot be computed", f"{count} truths and {chance.size} probabilities")
    if not np.isfinite(chance).all() or chance.min() < 0 or chance.max() > 1:
        raise InputError("The figures cannot be computed", "a probability lies outside 0 to 1")
    return chance
