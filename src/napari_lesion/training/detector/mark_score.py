"""The probability that a mark as a whole is a nodule: a logistic model fitted on marks of held-out patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.inference.marks import probability_of_mark
from napari_lesion.models.bundle import MARK_FEATURES, MarkScore
from napari_lesion.training.detector.measure import MIN_VOXELS, SeenCase, SeenMark
from napari_lesion.training.mine import AIR_HU
from napari_lesion.training.scoring import HIT_IOU


def fit_mark_score(cases: Sequence[SeenCase], level: float) -> MarkScore:
    """Fit the model on all marks of these cases.

    Parameters
    ----------
    cases
        Measured by networks that saw nothing of their patients. Marks in doubt, and those that only touch the
        outlined nodule, are left out.
    level
        Probability from which a voxel belongs to a mark.

    Raises
    ------
    InputError
        When there are no nodules, or no other marks, among them.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    marks = [mark for case in cases for mark in case.marks[str(level)] if is_hit(mark) or is_other(mark)]
    truth = np.array([is_hit(mark) for mark in marks], dtype=np.int64)
    if len(np.unique(truth)) < 2:
        raise InputError("Marks cannot be told apart", "there are only nodules, or only other marks, to learn from")
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(np.array([mark.features for mark in marks]), truth)
    scaler, logistic = model[0], model[1]
    weights = logistic.coef_[0] / scaler.scale_
    return MarkScore(
        level=level,
        min_voxels=MIN_VOXELS,
        air_below=AIR_HU,
        intercept=float(logistic.intercept_[0] - weights @ scaler.mean_),
        weights=dict(zip(MARK_FEATURES, map(float, weights), strict=True)),
    )


def score_of(mark: SeenMark, rule: MarkScore) -> float:
    """Probability of one mark."""
    features: npt.NDArray[np.float64] = np.array(mark.features)
    return probability_of_mark(features, rule)


def is_hit(mark: SeenMark) -> bool:
    """Whether the mark finds the outlined nodule."""
    return mark.iou > HIT_IOU


def is_other(mark: SeenMark) -> bool:
    """Whether the mark lies off every nodule and every place where one may be."""
    return not mark.overlap and not mark.doubtful
