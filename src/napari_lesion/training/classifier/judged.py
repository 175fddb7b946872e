"""What a model says of every nodule, calibrated without its fold, and the figures of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.evaluation.bootstrap import bootstrap
from napari_lesion.evaluation.classification import (
    BINS,
    adaptive_calibration_error,
    auc_gain,
    balanced_accuracy,
    binary_figures,
    confusion,
    expected_calibration_error,
    reliability,
    roc_auc,
)
from napari_lesion.inference.rating.heads import Heads, apply_heads, columns
from napari_lesion.inference.rating.scores import CALCIFIED, MALIGNANCY, N_SCORES, TEXTURE
from napari_lesion.training.classifier.calibration import METHODS, choose_method, fit_calibration
from napari_lesion.training.classifier.fold_scores import FoldScores, IntArray
from napari_lesion.training.classifier.slices import NoduleSlice
from napari_lesion.training.classifier.targets import TEXTURES, calcified, suspicious, texture_classes
from napari_lesion.training.folds import N_FOLDS

SIZE_EDGES_MM = (0, 4, 6, 8, 10, 15, 20, 100)
"""Edges of the sizes of the curve of what fails."""
WORST = 6
"""Failures of each kind that are named."""

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SIZES_MM = {"all sizes": (0.0, np.inf), "6 to 10 mm": (6.0, 10.0), "4 to 8 mm": (4.0, 8.0)}


@dataclass(frozen=True, eq=False)
class Truths:
    """What the readers said of every nodule.

    Parameters
    ----------
    names, patients, fold, diameter_mm, agreed
        Of each nodule; agreed is one of three or four readers.
    malignancy
        Mean rating, NaN where nobody rated.
    suspicious, calcified
        0 or 1, NaN where undecided or not rated.
    texture
        Class, -1 where not rated.
    """

    names: npt.NDArray[np.str_]
    patients: npt.NDArray[np.str_]
    fold: IntArray
    diameter_mm: FloatArray
    agreed: BoolArray
    malignancy: FloatArray
    suspicious: npt.NDArray[np.float32]
    texture: IntArray
    calcified: npt.NDArray[np.float32]

    @classmethod
    def of(cls, nodules: Sequence[NoduleSlice]) -> Truths:
        """Collect them."""
        return cls(
            np.array([nodule.name for nodule in nodules]),
            np.array([nodule.patient_id for nodule in nodules]),
            np.array([nodule.fold for nodule in nodules]),
            np.array([nodule.diameter_mm for nodule in nodules]),
            np.array([nodule.agreed for nodule in nodules]),
            np.array([nodule.mean("malignancy") for nodule in nodules]),
            suspicious(nodules),
            texture_classes(nodules),
            calcified(nodules),
        )


@dataclass(frozen=True, eq=False)
class Judged:
    """Probabilities of every nodule, each from models and calibrations that never saw its patient.

    Parameters
    ----------
    suspicious, calcified
        Shape (nodule,).
    texture
        Shape (nodule, class); the classes weigh the same.
    methods
        Calibration that each fold was given.
    ranking
        What ROC curves are drawn from, where that is not the probability itself.
    """

    suspicious: FloatArray
    texture: FloatArray
    calcified: FloatArray
    methods: tuple[str, ...]
    ranking: FloatArray | None = None

    @property
    def ranked(self) -> FloatArray:
        """Score of a suspicious rating by which nodules are put in order."""
        return self.suspicious if self.ranking is None else self.ranking


def fit_heads(
    scores: npt.NDArray[np.float32], truths: Truths, chosen: IntArray, methods: Sequence[str] = METHODS
) -> Heads:
    """Fit the calibrations on the nodules of three and four readers among those chosen.

    Parameters
    ----------
    scores
        Of the chosen nodules, shape (nodule, score).
    truths
        Of all nodules.
    chosen
        Their indices.
    methods
        Calibrations to choose from; the isotonic one takes a single model only.
    """
    width = scores.shape[1]
    decided = truths.agreed[chosen] & ~np.isnan(truths.suspicious[chosen])
    rated = truths.agreed[chosen] & (truths.texture[chosen] >= 0)
    chalk = truths.agreed[chosen] & ~np.isnan(truths.calcified[chosen])
    possible = [method for method in methods if method != "isotonic" or width == N_SCORES]
    malignancy = scores[:, columns(MALIGNANCY, width)][decided]
    truth, folds = truths.suspicious[chosen][decided], truths.fold[chosen][decided]
    method = choose_method(malignancy, truth, folds, possible)
    return Heads(
        fit_calibration(method, malignancy, truth),
        fit_calibration("platt", scores[:, columns(TEXTURE, width)][rated], truths.texture[chosen][rated], True),
        fit_calibration("platt", scores[:, columns(CALCIFIED, width)][chalk], truths.calcified[chosen][chalk]),
        method,
    )


def judge(scores: FoldScores, truths: Truths, methods: Sequence[str] = METHODS) -> Judged:
    """Calibrate each fold on the others and put the folds together."""
    count = len(truths.patients)
    first, texture, chalk = np.empty(count), np.empty((count, len(TEXTURES))), np.empty(count)
    chosen_methods = []
    for fold in range(N_FOLDS):
        inside, inner = scores.inner(fold)
        heads = fit_heads(inner, truths, inside, methods)
        outside, outer = scores.outer(fold)
        first[outside], texture[outside], chalk[outside] = apply_heads(heads, outer)
        chosen_methods.append(heads.method)
    return Judged(first, texture, chalk, tuple(chosen_methods))


def figures_of(judged: Judged, truths: Truths) -> dict[str, Any]:
    """All figures of one model, and what it gains over the bare diameter on the same nodules."""
    agreed = truths.agreed
    return {
        "calibration_by_fold": list(judged.methods),
        "suspicious": _suspicious_figures(judged, truths, agreed),
        "suspicious_any_readers": _suspicious_figures(judged, truths, np.ones_like(agreed)),
        "texture": _texture_figures(judged, truths, agreed),
        "texture_any_readers": _texture_figures(judged, truths, np.ones_like(agreed)),
        "calcified": _binary(judged.calcified, truths.calcified, truths, agreed, judged.calcified),
        "size_curve": size_curve(judged, truths),
        "failures": failures(judged, truths),
    }


def size_curve(judged: Judged, truths: Truths) -> list[dict[str, Any]]:
    """What is judged wrongly at a probability of one half, by size; nodules of three and four readers."""
    known = truths.agreed & ~np.isnan(truths.suspicious)
    wrong = (judged.suspicious >= 0.5) != (truths.suspicious == 1)
    curve = []
    for low, high in pairwise(SIZE_EDGES_MM):
        sized = known & (truths.diameter_mm >= low) & (truths.diameter_mm < high)
        positive = truths.suspicious == 1
        curve.append(
            {
                "from_mm": low,
                "to_mm": high,
                "suspicious": int((sized & positive).sum()),
                "missed": int((sized & positive & wrong).sum()),
                "not_suspicious": int((sized & ~positive).sum()),
                "wrongly_suspicious": int((sized & ~positive & wrong).sum()),
            }
        )
    return curve


def failures(judged: Judged, truths: Truths) -> dict[str, list[dict[str, Any]]]:
    """The nodules of three and four readers that are judged worst, the worst first."""
    error = np.where(truths.agreed, judged.suspicious - truths.suspicious, np.nan)
    order = np.argsort(np.nan_to_num(error))
    found = {"missed": order[:WORST], "wrongly_suspicious": order[::-1][:WORST]}
    return {kind: [_failure(judged, truths, int(place)) for place in places] for kind, places in found.items()}


def _failure(judged: Judged, truths: Truths, place: int) -> dict[str, Any]:
    return {
        "nodule": str(truths.names[place]),
        "patient": str(truths.patients[place]),
        "diameter_mm": float(truths.diameter_mm[place]),
        "mean_malignancy": float(truths.malignancy[place]),
        "probability": float(judged.suspicious[place]),
    }


def _suspicious_figures(judged: Judged, truths: Truths, group: BoolArray) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (low, high) in SIZES_MM.items():
        sized = group & (truths.diameter_mm >= low) & (truths.diameter_mm <= high)
        figures = _binary(judged.suspicious, truths.suspicious, truths, sized, judged.ranked)
        known = sized & ~np.isnan(truths.suspicious)
        truth, patients = truths.suspicious[known], truths.patients[known].tolist()
        gain = bootstrap(auc_gain, patients, truth, judged.ranked[known], truths.diameter_mm[known])
        found[name] = {**figures, "auc_gain_over_diameter": asdict(gain)}
    return found


def _binary(
    chance: FloatArray, truth: npt.NDArray[np.float32], truths: Truths, group: BoolArray, ranked: FloatArray
) -> dict[str, Any]:
    known = group & ~np.isnan(truth)
    answer, said, patients = truth[known].astype(int), chance[known], truths.patients[known].tolist()
    score, folds = ranked[known], truths.fold[known]
    return {
        "patients": len(set(patients)),
        **asdict(binary_figures(answer, said)),
        "auc": roc_auc(answer, score),
        "auc_interval": asdict(bootstrap(roc_auc, patients, answer, score)),
        "auc_by_fold": [roc_auc(answer[folds == fold], score[folds == fold]) for fold in np.unique(folds)],
        "bins": BINS,
        "ece": expected_calibration_error(answer, said),
        "ece_equal_count": adaptive_calibration_error(answer, said),
        "brier": float(np.mean((said - answer) ** 2)),
        "reliability": [asdict(bar) for bar in reliability(answer, said)],
        "confusion": confusion(answer, (said >= 0.5).astype(int), 2).tolist(),
    }


def _texture_figures(judged: Judged, truths: Truths, group: BoolArray) -> dict[str, Any]:
    known = group & (truths.texture >= 0)
    truth, decided = truths.texture[known], judged.texture[known].argmax(axis=1)
    patients = truths.patients[known].tolist()
    matrix = confusion(truth, decided, len(TEXTURES))

    def balanced(first: IntArray, second: IntArray) -> float:
        return balanced_accuracy(first, second, len(TEXTURES))

    return {
        "classes": list(TEXTURES),
        "n": len(truth),
        "patients": len(set(patients)),
        "confusion": matrix.tolist(),
        "accuracy": float(np.trace(matrix) / matrix.sum()),
        "recall": (np.diag(matrix) / matrix.sum(axis=1)).tolist(),
        "precision": (np.diag(matrix) / np.maximum(matrix.sum(axis=0), 1)).tolist(),
        "balanced_accuracy": asdict(bootstrap(balanced, patients, truth, decided)),
        "balanced_accuracy_by_fold": [
            balanced(truth[truths.fold[known] == fold], decided[truths.fold[known] == fold])
            for fold in range(N_FOLDS)
        ],
    }


def gains(judged: Mapping[str, Judged], truths: Truths, better: str, other: str) -> dict[str, Any]:
    """What one model gains over another in ROC AUC, nodules of three and four readers, by size."""
    found = {}
    for name, (low, high) in SIZES_MM.items():
        known = truths.agreed & ~np.isnan(truths.suspicious)
        known &= (truths.diameter_mm >= low) & (truths.diameter_mm <= high)
        pair = (judged[model].ranked[known] for model in (better, other))
        found[name] = asdict(bootstrap(auc_gain, truths.patients[known].tolist(), truths.suspicious[known], *pair))
    return found
