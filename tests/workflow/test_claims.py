"""Several masks in one label map: each is whole when its turn comes, and shared voxels are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import LabelMap
from napari_lesion.workflow.claims import Claims

SHAPE = (3, 4, 5)
GRID = Grid(SHAPE[::-1], (1.0, 1.0, 1.0))
masks = st.lists(hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 0, 0, 1, 2, 200])), min_size=1, max_size=4)


def claims_of(arrays: list[np.ndarray]) -> Claims:
    claims = Claims(GRID)
    for array in arrays:
        claims.add(LabelMap(array, GRID))
    return claims


@settings(max_examples=80, deadline=None)
@given(arrays=masks)
def test_each_mask_is_whole_and_overlaps_are_known(arrays: list[np.ndarray]) -> None:
    before = [array.copy() for array in arrays]
    claims = claims_of(arrays)
    numbered = [np.where(a > 0, a.astype(int) + m.first, 0) for a, m in zip(arrays, claims.masks, strict=True)]
    labels = [set(np.unique(array)) - {0} for array in numbered]
    assert sum(len(own) for own in labels) == len(set().union(*labels)), "no number is given twice"
    for own, mask in zip(numbered, claims.masks, strict=True):
        assert set(mask.boxes) == set(np.unique(own)) - {0}
        others = np.any([np.zeros(SHAPE, bool), *(o > 0 for o in numbered if o is not own)], axis=0)
        with claims.shown(mask) as shown:
            assert np.array_equal(np.where(own > 0, shown.array, 0), own)
            assert np.array_equal((shown.array > 0) & (own == 0), others & (own == 0))
            for label, box in mask.boxes.items():
                assert (shown.array == label).sum() == (shown.array[box] == label).sum()
    claimed = np.sum([own > 0 for own in numbered], axis=0) > 1
    assert claims.overlapping == set().union(*(set(np.unique(own[claimed])) - {0} for own in numbered))
    assert all(np.array_equal(array, former) for array, former in zip(arrays, before, strict=True))


def test_a_mask_in_another_order_of_memory() -> None:
    first, second = np.zeros(SHAPE, np.uint8, order="F"), np.zeros(SHAPE, np.uint8, order="F")
    first[0, :2, :2] = 1
    second[0, 1:3, 1:3] = 255
    claims = claims_of([first, second])
    with claims.shown(claims.masks[1]) as shown:
        assert (shown.array == 256).sum() == 4
        assert (shown.array == 1).sum() == 3
    with claims.shown(claims.masks[0]) as shown:
        assert (shown.array == 1).sum() == 4
        assert (shown.array == 256).sum() == 3
    assert claims.overlapping == {1, 256}


def test_a_single_mask_is_not_copied() -> None:
    array = np.ones(SHAPE, np.uint8)
    claims = claims_of([array])
    with claims.shown(claims.masks[0]) as shown:
        assert np.shares_memory(shown.array, array)


def test_a_mask_is_put_back_when_measuring_fails() -> None:
    one = np.ones(SHAPE, np.uint8)
    claims = claims_of([one, one])

    def fail() -> None:
        with claims.shown(claims.masks[1]) as shown:
            assert (shown.array == 2).all()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with claims.shown(claims.masks[0]) as shown:
        assert (shown.array == 1).all()
