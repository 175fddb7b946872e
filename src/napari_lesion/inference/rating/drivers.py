"""Which measurements drove a score of boosted trees: exact Shapley values against background lesions.

The value of a coalition is the output of the trees for a lesion that has the measurements of the coalition and those
of a background lesion elsewhere, averaged over the background: interventional TreeSHAP (Lundberg 2020, Nat Mach
Intell 2:56, doi:10.1038/s42256-019-0138-9). The values of all measurements sum to the output less its mean over the
background.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.trees import LEAF, Trees

BoolArray = npt.NDArray[np.bool_]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Paths:
    """Every leaf with the questions on its way; arrays of shape (leaf, step), padded at the end.

    ``group`` numbers the features of a leaf's path; ``feature`` holds the feature of each group.
    """

    tree: IntArray
    node: IntArray
    left: BoolArray
    asked: BoolArray
    group: IntArray
    feature: IntArray
    value: DoubleArray


def shapley_values(
    trees: Trees, lesion: npt.NDArray[np.floating], background: npt.NDArray[np.floating]
) -> DoubleArray:
    """Shapley value of each measurement.

    Parameters
    ----------
    trees
        Trees with one output.
    lesion
        Measurements, shape (measure,); NaN is a value of its own.
    background
        Measurements of the background lesions, shape (lesion, measure).

    Returns
    -------
    numpy.ndarray
        Shape (measure,).
    """
    paths = _paths(trees)
    own = _passes(trees, paths, np.asarray(lesion)[None])[0]
    others = _passes(trees, paths, np.asarray(background))
    known = paths.feature >= 0
    alive = (own | others | ~known).all(axis=2)
    only_own, only_other = own & ~others & known, others & ~own & known
    a, b = only_own.sum(axis=2), only_other.sum(axis=2)
    for_own, for_other = _weights(paths.feature.shape[1])
    leaf = paths.value * alive
    parts = (only_own * (leaf * for_own[a, b])[..., None] - only_other * (leaf * for_other[a, b])[..., None]).sum(
        axis=0
    )
    values = np.bincount(paths.feature[known], parts[known], minlength=len(lesion))
    return np.asarray(values / len(background), dtype=np.float64)


def _weights(most: int) -> tuple[DoubleArray, DoubleArray]:
    """Shapley weights of a feature that must be in the coalition, and of one that must not, by how many there are."""
    first, second = np.zeros((most + 1, most + 1)), np.zeros((most + 1, most + 1))
    for a in range(most + 1):
        for b in range(most + 1 - a):
            if a:
                first[a, b] = factorial(a - 1) * factorial(b) / factorial(a + b)
            if b:
                second[a, b] = factorial(a) * factorial(b - 1) / factorial(a + b)
    return first, second


def _passes(trees: Trees, paths: _Paths, measures: npt.NDArray[np.floating]) -> BoolArray:
    """Whether lesions answer all questions about a feature as the way to a leaf asks, shape (lesion, leaf, group)."""
    given = np.asarray(measures, dtype=np.float32).astype(np.float64)
    feature = trees.feature[paths.tree, paths.node]
    value = given[:, np.maximum(feature, 0)]
    left = np.where(
        np.isnan(value),
        trees.missing_left[paths.tree, paths.node],
        value <= trees.threshold[paths.tree, paths.node],
    )
    wrong = (left != paths.left) & paths.asked
    passed = np.ones(wrong.shape, dtype=bool)
    leaves = np.arange(len(paths.value))
    for step in range(wrong.shape[2]):
        passed[:, leaves, paths.group[:, step]] &= ~wrong[:, :, step]
    return passed


def _paths(trees: Trees) -> _Paths:
    """All ways from a root to a leaf."""
    ways: list[tuple[int, int, list[tuple[int, bool]]]] = []
    for tree in range(len(trees.feature)):
        open_nodes: list[tuple[int, list[tuple[int, bool]]]] = [(0, [])]
        while open_nodes:
            node, way = open_nodes.pop()
            if trees.feature[tree, node] == LEAF:
                ways.append((tree, node, way))
                continue
            for below, left in ((trees.left[tree, node], True), (trees.right[tree, node], False)):
                open_nodes.append((int(below), [*way, (node, left)]))
    steps = max([1, *(len(way) for _, _, way in ways)])
    shape = (len(ways), steps)
    paths = _Paths(
        tree=np.repeat(np.array([tree for tree, _, _ in ways])[:, None], steps, axis=1),
        node=np.zeros(shape, dtype=np.int64),
        left=np.zeros(shape, dtype=bool),
        asked=np.zeros(shape, dtype=bool),
        group=np.zeros(shape, dtype=np.int64),
        feature=np.full(shape, LEAF, dtype=np.int64),
        value=np.array([float(trees.value[tree, leaf]) for tree, leaf, _ in ways]),
    )
    for row, (tree, _, way) in enumerate(ways):
        features = list(dict.fromkeys(int(trees.feature[tree, node]) for node, _ in way))
        paths.feature[row, : len(features)] = features
        for step, (node, left) in enumerate(way):
            paths.node[row, step], paths.left[row, step], paths.asked[row, step] = node, left, True
            paths.group[row, step] = features.index(int(trees.feature[tree, node]))
    return paths
