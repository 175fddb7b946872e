"""From scores to probabilities: fitted on patients that neither trained the networks nor are reported on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError

FloatArray = npt.NDArray[np.float64]

METHODS = ("temperature", "platt", "isotonic")
STRENGTH = 10.0
"""Inverse L2 penalty of the logistic fits; weak, so that a perfect separation stays finite."""


@dataclass(frozen=True, eq=False)
class Logistic:
    """Softmax or sigmoid of a linear map of scores.

    Parameters
    ----------
    weights
        Shape (class, score); one row stands for the second of two classes.
    bias
        Shape (class,).
    """

    weights: FloatArray
    bias: FloatArray

    def __call__(self, scores: npt.NDArray[np.floating]) -> FloatArray:
        """Probabilities: of the second class, shape (lesion,), with one row; of each class otherwise."""
        from scipy.special import expit, softmax

        linear = np.asarray(scores, dtype=np.float64) @ self.weights.T + self.bias
        probability: FloatArray = expit(linear[:, 0]) if len(self.weights) == 1 else softmax(linear, axis=1)
        return probability

    def to_json(self) -> dict[str, Any]:
        """Plain values for a bundle."""
        return {"kind": "logistic", "weights": self.weights.tolist(), "bias": self.bias.tolist()}


@dataclass(frozen=True, eq=False)
class Steps:
    """Isotonic regression of one score: linear between points, flat outside.

    Parameters
    ----------
    scores, probabilities
        The points, ascending.
    """

    scores: FloatArray
    probabilities: FloatArray

    def __call__(self, scores: npt.NDArray[np.floating]) -> FloatArray:
        """Probability of the second class, shape (lesion,)."""
        probability: FloatArray = np.interp(np.asarray(scores)[:, 0], self.scores, self.probabilities)
        return probability

    def to_json(self) -> dict[str, Any]:
        """Plain values for a bundle."""
        return {"kind": "steps", "scores": self.scores.tolist(), "probabilities": self.probabilities.tolist()}


Calibration = Logistic | Steps


def calibration_from_json(content: dict[str, Any]) -> Calibration:
    """Read what `to_json` wrote."""
    if content["kind"] == "logistic":
        return Logistic(np.asarray(content["weights"], dtype=float), np.asarray(content["bias"], dtype=float))
    return Steps(np.asarray(content["scores"], dtype=float), np.asarray(content["probabilities"], dtype=float))


def fit_calibration(
    method: str, scores: npt.NDArray[np.floating], truth: npt.NDArray[Any], balanced: bool = False
) -> Calibration:
    """Fit one method.

    Parameters
    ----------
    method
        ``temperature`` (one factor), ``platt`` (factors and a bias; any number of scores and classes) or
        ``isotonic`` (one score, two classes).
    scores
        Shape (lesion, score).
    truth
        Class of each lesion.
    balanced
        Whether each class weighs the same, as a balanced accuracy asks for.

    Raises
    ------
    InputError
        When the method is unknown or only one class is there.
    """
    truth = np.asarray(truth).astype(int)
    if len(np.unique(truth)) < 2:
        raise InputError("The probabilities cannot be calibrated", "only one class occurs")
    if method == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        model = IsotonicRegression(y_min=0.005, y_max=0.995, out_of_bounds="clip").fit(scores[:, 0], truth)
        return Steps(np.asarray(model.X_thresholds_, float), np.asarray(model.y_thresholds_, float))
    if method not in METHODS:
        raise InputError(f"There is no calibration called {method!r}", todo=f"Choose one of {', '.join(METHODS)}")
    from sklearn.linear_model import LogisticRegression

    logistic = LogisticRegression(
        C=STRENGTH,
        fit_intercept=method == "platt",
        class_weight="balanced" if balanced else None,
        max_iter=2000,
    ).fit(scores, truth)
    return Logistic(
        np.asarray(logistic.coef_, float), np.broadcast_to(logistic.intercept_, len(logistic.coef_)) + 0.0
    )


def choose_method(
    scores: npt.NDArray[np.floating],
    truth: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    methods: Sequence[str] = METHODS,
) -> str:
    """Method of the smallest log loss when each group is left out in turn.

    Parameters
    ----------
    scores, truth
        As for `fit_calibration`, two classes.
    groups
        Fold of each lesion.
    methods
        Methods to choose from.
    """
    from sklearn.metrics import log_loss

    def loss(method: str) -> float:
        chance = np.empty(len(truth))
        for group in np.unique(groups):
            out = groups == group
            chance[out] = fit_calibration(method, scores[~out], truth[~out])(scores[out])
        return float(log_loss(truth, chance, labels=[0, 1]))

    return min(methods, key=loss)
