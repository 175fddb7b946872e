"""Gradient boosting on the measures of the engine, and its export to plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.rating.scores import BoostedModel
from napari_lesion.inference.trees import LEAF, Trees
from napari_lesion.training.classifier.slices import MAX_READERS, NoduleSlice
from napari_lesion.training.classifier.targets import calcified, texture_classes

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

BOOSTING: dict[str, Any] = {
    "max_iter": 200,
    "learning_rate": 0.05,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 20,
    "l2_regularization": 1.0,
    "max_features": 0.3,
    "random_state": 2026,
}
"""Arguments of scikit-learn's histogram gradient boosting; fixed beforehand, not searched."""


def fit_boosted(nodules: Sequence[NoduleSlice], measures: FloatArray, train: IntArray) -> BoostedModel:
    """Train on some nodules, each weighing its readers.

    Parameters
    ----------
    nodules, measures
        All nodules, and their measures, shape (nodule, measure); NaN is a value of its own.
    train
        Indices to learn from.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    weight = np.array([min(nodule.n_readers, MAX_READERS) for nodule in nodules], dtype=float)

    def fitted(model: Any, target: npt.NDArray[Any], known: npt.NDArray[np.bool_]) -> Trees:
        rows = train[known[train]]
        return export_trees(model.fit(measures[rows], target[rows], sample_weight=weight[rows]))

    rating = np.array([nodule.mean("malignancy") for nodule in nodules])
    texture, chalk = texture_classes(nodules), calcified(nodules)
    return BoostedModel(
        fitted(HistGradientBoostingRegressor(**BOOSTING), rating, ~np.isnan(rating)),
        fitted(HistGradientBoostingClassifier(class_weight="balanced", **BOOSTING), texture, texture >= 0),
        fitted(HistGradientBoostingClassifier(**BOOSTING), chalk, ~np.isnan(chalk)),
    )


def export_trees(model: Any) -> Trees:
    """Arrays of a fitted histogram gradient boosting model of scikit-learn, without categories.

    Its ``predict`` (regression) or raw ``decision_function`` (classes) is what the trees give.
    """
    grown = [tree.nodes for iteration in model._predictors for tree in iteration]
    outputs = [number for iteration in model._predictors for number in range(len(iteration))]
    width = max(len(nodes) for nodes in grown)

    def table(field: str, dtype: Any) -> npt.NDArray[Any]:
        rows = np.zeros((len(grown), width), dtype=dtype)
        for row, nodes in zip(rows, grown, strict=True):
            row[: len(nodes)] = nodes[field]
        return rows

    leaf = table("is_leaf", bool)
    return Trees(
        feature=np.where(leaf, LEAF, table("feature_idx", np.int32)).astype(np.int32),
        threshold=table("num_threshold", np.float64),
        missing_left=table("missing_go_to_left", bool),
        left=table("left", np.int32),
        right=table("right", np.int32),
        value=table("value", np.float32),
        output=np.array(outputs, dtype=np.int32),
        baseline=np.asarray(model._baseline_prediction, dtype=np.float64).ravel(),
    )
