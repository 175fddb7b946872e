"""Scores of the cross-validation: what models that left a patient out say of him."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_lesion.training.classifier.networks import HeldOut, held_out_pairs, held_out_singles
from napari_lesion.training.classifier.slices import NoduleSlice, in_folds
from napari_lesion.training.folds import N_FOLDS

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class FoldScores(Protocol):
    """Scores to report on, and scores to fit a calibration on, fold by fold."""

    def outer(self, fold: int) -> tuple[IntArray, FloatArray]:
        """Nodules of a fold, and their scores by models that left it out."""

    def inner(self, fold: int) -> tuple[IntArray, FloatArray]:
        """Nodules of all other folds, each scored by a model that left its fold out."""


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """Scores of models that left one fold out each.

    What is fitted for a fold is fitted on the other folds' patients alone. The models that scored those had seen the
    fold; `Nested` has not even that.

    Parameters
    ----------
    nodules
        All nodules.
    scores
        Score of each nodule by the model that left its fold out, shape (nodule, output).
    """

    nodules: Sequence[NoduleSlice]
    scores: FloatArray

    def outer(self, fold: int) -> tuple[IntArray, FloatArray]:
        """Nodules of a fold and their scores."""
        chosen = in_folds(self.nodules, (fold,))
        return chosen, self.scores[chosen]

    def inner(self, fold: int) -> tuple[IntArray, FloatArray]:
        """Nodules of all other folds and their scores."""
        chosen = in_folds(self.nodules, [other for other in range(N_FOLDS) if other != fold])
        return chosen, self.scores[chosen]


@dataclass(frozen=True, eq=False)
class Nested:
    """Scores of models that left two folds out each.

    Parameters
    ----------
    nodules
        All nodules.
    pairs
        For each pair of folds, scores of the nodules in them, in the order of `slices.in_folds`; shape
        (nodule, output).
    """

    nodules: Sequence[NoduleSlice]
    pairs: Mapping[HeldOut, FloatArray]

    def outer(self, fold: int) -> tuple[IntArray, FloatArray]:
        """Nodules of a fold, and the mean of the scores of all models that left it out."""
        chosen = in_folds(self.nodules, (fold,))
        members = [self._part(pair, fold) for pair in self.pairs if fold in pair]
        return chosen, np.asarray(np.mean(members, axis=0, dtype=np.float64), dtype=np.float32)

    def inner(self, fold: int) -> tuple[IntArray, FloatArray]:
        """Nodules of all other folds, each scored by a model that saw neither its fold nor ``fold``.

        What is fitted on these knows nothing of the patients of ``fold``.
        """
        parts = []
        for pair in self.pairs:
            if fold in pair:
                other = pair[0] + pair[1] - fold
                parts.append((in_folds(self.nodules, (other,)), self._part(pair, other)))
        chosen = np.concatenate([indices for indices, _ in parts])
        return chosen, np.concatenate([scores for _, scores in parts])

    def _part(self, pair: HeldOut, fold: int) -> FloatArray:
        chosen = in_folds(self.nodules, pair)
        return self.pairs[pair][np.isin(chosen, in_folds(self.nodules, (fold,)))]


def cross_fitted(nodules: Sequence[NoduleSlice], scores_without: Callable[[HeldOut], FloatArray]) -> CrossFitted:
    """Ask for the scores of each fold that is left out, and put them together."""
    parts = {held_out: scores_without(held_out) for held_out in held_out_singles()}
    scores = np.empty((len(nodules), parts[(0,)].shape[1]), dtype=np.float32)
    for held_out, part in parts.items():
        scores[in_folds(nodules, held_out)] = part
    return CrossFitted(nodules, scores)


def nested(nodules: Sequence[NoduleSlice], scores_without: Callable[[HeldOut], FloatArray]) -> Nested:
    """Ask for the scores of each pair of folds that is left out."""
    return Nested(nodules, {pair: scores_without(pair) for pair in held_out_pairs()})
