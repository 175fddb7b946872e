"""Lesions of one slice: cc3d 4.1.1 refuses some thin arrays of truth values, so bytes are handed to it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_lesion.core.grid import Grid
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.inference.candidates import find_candidates

THIN = st.tuples(st.just(1), st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=60, deadline=None)
@given(mask=THIN.flatmap(lambda shape: hnp.arrays(np.bool_, shape)), axis=st.integers(0, 2))
def test_marks_of_one_slice_are_counted_like_scipy_does(mask: np.ndarray, axis: int) -> None:
    mask = np.ascontiguousarray(np.moveaxis(mask, 0, axis))
    grid = Grid(mask.shape[::-1], (1.0, 1.0, 1.0))
    probability = ProbabilityMap.from_dense(mask.astype(np.uint8) * 250, grid)
    labels, lesions = find_candidates(probability, 0.5, 0.0)
    expected, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    assert len(lesions) == count
    assert np.array_equal(labels.array > 0, expected > 0)
