"""From scores to probabilities: fitted on patients that neither trained the networks nor are reported on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.inference.rating.heads import Calibration, Logistic, Steps

METHODS = ("temperature", "platt", "isotonic")
STRENGTH = 10.0
"""Inverse L2 penalty of the logistic fits; weak, so that a perfect separation stays finite."""


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
