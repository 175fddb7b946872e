"""Boosted decision trees as plain arrays: no pickle, no scikit-learn, NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import ModelError

LEAF: Final = -1
"""Feature of a node that is a leaf."""

MAX_NODES: Final = 10_000_000


@dataclass(frozen=True, eq=False)
class Trees:
    """Trees whose leaf values are added to a baseline.

    Parameters
    ----------
    feature
        Feature that a node asks for, `LEAF` at a leaf, shape (tree, node).
    threshold
        A lesion goes left when its value is not above this, shape (tree, node).
    missing_left
        Whether a lesion without a value goes left, shape (tree, node).
    left, right
        Nodes below, shape (tree, node).
    value
        Value of a leaf, shape (tree, node).
    output
        Output that a tree adds to, shape (tree,).
    baseline
        Value before any tree, shape (output,).
    """

    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float64]
    missing_left: npt.NDArray[np.bool_]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float32]
    output: npt.NDArray[np.int32]
    baseline: npt.NDArray[np.float64]

    def __call__(self, measures: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Sum of the leaves that lesions end in.

        Parameters
        ----------
        measures
            Shape (lesion, feature); NaN is a value of its own. Compared as float32, as in training.

        Returns
        -------
        ndarray
            Shape (lesion, output).
        """
        given = np.asarray(measures, dtype=np.float32).astype(np.float64)
        tree = np.arange(len(self.feature))
        node = np.zeros((len(given), len(tree)), dtype=np.int64)
        lesion = np.arange(len(given))[:, None]
        for _ in range(self.feature.shape[1]):
            feature = self.feature[tree, node]
            inside = feature != LEAF
            if not inside.any():
                break
            value = given[lesion, np.maximum(feature, 0)]
            missing = np.isnan(value)
            goes_left = np.where(missing, self.missing_left[tree, node], value <= self.threshold[tree, node])
            below = np.where(goes_left, self.left[tree, node], self.right[tree, node])
            node = np.where(inside, below, node)
        leaves = self.value[tree, node].astype(np.float64)
        sums = np.stack(
            [leaves[:, self.output == number].sum(axis=1) for number in range(len(self.baseline))], axis=1
        )
        return np.asarray(self.baseline + sums)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays by name, for ``numpy.savez``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], n_features: int) -> Trees:
        """Read what `to_arrays` gave, from a file that may be damaged.

        Raises
        ------
        ModelError
            When an array is missing, or a node or a feature lies outside.
        """
        try:
            trees = cls(*(np.asarray(arrays[field.name]) for field in fields(cls)))
            shape = trees.feature.shape
            alike = (trees.threshold, trees.missing_left, trees.left, trees.right, trees.value)
            sound = len(shape) == 2 and trees.feature.size <= MAX_NODES and all(a.shape == shape for a in alike)
            sound = sound and trees.output.shape == shape[:1] and trees.baseline.ndim == 1
            sound = sound and _within(trees.feature, LEAF, n_features) and _within(trees.left, 0, shape[1])
            sound = sound and _within(trees.right, 0, shape[1]) and _within(trees.output, 0, len(trees.baseline))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                "The decision trees of the model are not usable", f"{error} is missing or garbled"
            ) from error
        if not sound:
            raise ModelError("The decision trees of the model are not usable", "a node or a feature lies outside")
        return trees


def _within(values: npt.NDArray[Any], low: int, stop: int) -> bool:
    return values.dtype.kind == "i" and bool(((values >= low) & (values < stop)).all())
