"""Where a lesion is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lesion.workflow.edit_split import split_mask

SPACING = (2.0, 0.8, 0.8)


def ball(shape: tuple[int, int, int], centre_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return np.linalg.norm(index * np.asarray(SPACING) - np.asarray(centre_mm), axis=-1) <= radius_mm


def test_components_become_parts_by_size() -> None:
    mask = np.zeros((4, 20, 20), dtype=bool)
    mask[1, 1:3, 1:3] = True
    mask[1:3, 8:14, 8:14] = True
    mask[3, 14, 14] = True  # touches the large one by a corner: the same component
    mask[0, 18, 18] = True
    parts = split_mask(mask, SPACING)
    assert parts.max() == 3
    assert (parts[1:3, 8:14, 8:14] == 1).all()
    assert parts[3, 14, 14] == 1
    assert (parts[1, 1:3, 1:3] == 2).all()
    assert parts[0, 18, 18] == 3


def test_two_overlapping_balls_are_cut_at_their_neck() -> None:
    shape = (20, 60, 90)
    left = ball(shape, (20.0, 24.0, 22.0), 12.0)
    right = ball(shape, (20.0, 24.0, 42.0), 10.0)
    parts = split_mask(left | right, SPACING)
    assert parts.max() == 2
    only_left, only_right = left & ~right, right & ~left
    assert (parts[only_left] == 1).mean() > 0.99
    assert (parts[only_right] == 2).mean() > 0.99


def test_large_body_is_cut_on_a_coarser_grid() -> None:
    shape = (30, 170, 260)
    left = ball(shape, (30.0, 66.0, 60.0), 45.0)
    right = ball(shape, (30.0, 66.0, 140.0), 40.0)
    parts = split_mask(left | right, SPACING)
    assert parts.max() == 2
    assert (parts[left & ~right] == 1).mean() > 0.98
    assert (parts[right & ~left] == 2).mean() > 0.98


def test_body_without_neck_is_cut_across_its_longest_axis() -> None:
    mask = np.zeros((4, 10, 41), dtype=bool)
    mask[1:3, 3:7, 0:40] = True
    parts = split_mask(mask, SPACING)
    sizes = np.bincount(parts[mask])[1:]
    assert sizes.tolist() == [160, 160]
    x = np.argwhere(parts == 1)[:, 2]
    assert x.max() - x.min() == 19


def test_seeds_decide() -> None:
    mask = np.zeros((3, 5, 60), dtype=bool)
    mask[1, 1:4, :] = True
    parts = split_mask(mask, SPACING, seeds=[(1, 2, 3), (1, 2, 30), (1, 2, 55), (99, 0, 0)])
    assert parts.max() == 3
    assert len({parts[1, 2, 3], parts[1, 2, 30], parts[1, 2, 55]}) == 3


def test_seeds_leave_a_component_without_one_alone() -> None:
    mask = np.zeros((3, 9, 30), dtype=bool)
    mask[1, 1:4, :] = True
    mask[1, 6:8, :] = True
    parts = split_mask(mask, SPACING, seeds=[(1, 2, 2), (1, 2, 27)])
    assert parts.max() == 3
    assert len(np.unique(parts[1, 6:8, :])) == 1


@pytest.mark.parametrize(("voxels", "count"), [(0, 0), (1, 1), (2, 2)])
def test_smallest_masks(voxels: int, count: int) -> None:
    mask = np.zeros((3, 3, 3), dtype=bool)
    mask[1, 1, :voxels] = True
    assert split_mask(mask, SPACING).max() == count


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.9))
def test_parts_are_a_partition_in_order_of_size(seed: int, density: float) -> None:
    mask = np.random.default_rng(seed).random((5, 6, 7)) < density
    parts = split_mask(mask, SPACING)
    np.testing.assert_array_equal(parts > 0, mask)
    sizes = np.bincount(parts.ravel())[1:]
    assert (np.diff(sizes) <= 0).all()
    assert sizes.size >= min(2, mask.sum())
