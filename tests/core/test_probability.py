"""A probability map in blocks is the dense array that it was made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import Grid
from napari_lesion.core.probability import BLOCK, SCALE, ProbabilityMap, threshold_byte, to_bytes

SHAPE = (70, 130, 65)
GRID = Grid(SHAPE[::-1], (1, 1, 1))


def dense(seed: int = 0) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        start = [rng.integers(0, n - 9) for n in SHAPE]
        box = tuple(slice(s, s + 8) for s in start)
        array[box] = rng.integers(0, SCALE + 1, (8, 8, 8))
    return array


@given(st.integers(0, 1000))
@settings(max_examples=10)
def test_dense_arrays_go_both_ways(seed: int) -> None:
    array = dense(seed)
    np.testing.assert_array_equal(ProbabilityMap.from_dense(array, GRID).dense(), array)


@given(st.data())
@settings(max_examples=40)
def test_a_part_is_that_part_of_the_whole(data: st.DataObject) -> None:
    array = dense(1)
    parts = []
    for n in SHAPE:
        start = data.draw(st.integers(0, n - 1))
        parts.append(slice(start, data.draw(st.integers(start + 1, n))))
    box = parts[0], parts[1], parts[2]
    np.testing.assert_array_equal(ProbabilityMap.from_dense(array, GRID).dense(box), array[box])


@given(st.data())
@settings(max_examples=40)
def test_parts_that_are_put_in_lie_over_what_was_there(data: st.DataObject) -> None:
    array, found = dense(2), ProbabilityMap.from_dense(dense(2), GRID)
    for value in data.draw(st.lists(st.sampled_from([0, 1, SCALE]), min_size=1, max_size=4)):
        start = tuple(data.draw(st.integers(0, n - 1)) for n in SHAPE)
        shape = tuple(data.draw(st.integers(1, n - s)) for n, s in zip(SHAPE, start, strict=True))
        part = np.full(shape, value, np.uint8)
        found.insert(part, (start[0], start[1], start[2]))
        array[tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))] = value
    np.testing.assert_array_equal(found.dense(), array)


def test_nothing_is_kept_where_nothing_is() -> None:
    empty = ProbabilityMap.from_dense(np.zeros(SHAPE, np.uint8), GRID)
    assert not empty.blocks
    assert empty.nbytes == 0
    assert empty.bounds() is None
    assert not empty.dense().any()
    array = np.zeros(SHAPE, np.uint8)
    array[69, 129, 64] = 1
    corner = ProbabilityMap.from_dense(array, GRID)
    assert list(corner.blocks) == [(1, 2, 1)]
    assert corner.nbytes == (SHAPE[0] - BLOCK) * (SHAPE[1] - 2 * BLOCK) * (SHAPE[2] - BLOCK)
    assert corner.bounds() == (slice(64, 70), slice(128, 130), slice(64, 65))


def test_blocks_come_in_order_with_their_boxes() -> None:
    array = dense(3)
    found = ProbabilityMap.from_dense(array, GRID)
    boxes = []
    for box, block in found.items():
        np.testing.assert_array_equal(array[box], block)
        boxes.append(tuple(part.start for part in box))
    assert boxes == sorted(boxes)


def test_the_map_keeps_its_own_voxels() -> None:
    array = dense(4)
    found = ProbabilityMap.from_dense(array, GRID)
    before = found.dense()
    array[:] = 0
    np.testing.assert_array_equal(found.dense(), before)


def test_an_array_of_another_shape_is_refused() -> None:
    with pytest.raises(GeometryError, match="does not fit its grid"):
        ProbabilityMap.from_dense(np.zeros((3, 3, 3), np.uint8), GRID)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_threshold_of_bytes_is_that_of_probabilities_up_to_rounding(probability: float, threshold: float) -> None:
    stored = int(to_bytes(np.array([probability]))[0])
    assert 0 <= stored <= SCALE
    assert abs(stored / SCALE - probability) <= 0.5 / SCALE + 1e-12
    above = stored >= threshold_byte(threshold)
    if abs(probability - threshold) > 0.5 / SCALE + 1e-6:
        assert above == (probability > threshold)


@given(st.integers(0, SCALE))
def test_a_stored_value_passes_the_threshold_of_its_own_probability(value: int) -> None:
    assert threshold_byte(value / SCALE) == value


@pytest.mark.parametrize(("value", "stored"), [(-0.1, 0), (0.0, 0), (0.5, 125), (1.0, 250), (1.2, 250)])
def test_probabilities_are_clipped_and_rounded(value: float, stored: int) -> None:
    assert to_bytes(np.array([value]))[0] == stored
