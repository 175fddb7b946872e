"""The view is anatomical, is a view, and leads back to the native array."""

from __future__ import annotations

import numpy as np
import pytest
from grids import ALIGNED, NAMES, ORIGIN, SIZE, SPACING, aligned_grid, directions
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_lesion.core.display import AXIS_LABELS, AnatomicalView, Box
from napari_lesion.core.grid import Grid

LEFT, POSTERIOR, SUPERIOR = np.eye(3)
GRIDS = [aligned_grid(direction) for direction in ALIGNED]
by_orientation = pytest.mark.parametrize("grid", GRIDS, ids=NAMES)


@st.composite
def turned_grids(draw: st.DrawFn) -> Grid:
    grid = draw(st.sampled_from(GRIDS))
    turn = Rotation.random(random_state=draw(st.integers(0, 2**32 - 1))).as_matrix()
    return Grid(SIZE, SPACING, ORIGIN, directions(turn @ grid.matrix))


def marked(grid: Grid, toward: np.ndarray) -> np.ndarray:
    """Array with 1 in the voxel that lies furthest toward a direction of the patient."""
    index = np.indices(grid.shape).reshape(3, -1).T
    array = np.zeros(grid.shape, np.uint8)
    heights = grid.to_physical(index) @ toward
    # all voxels of the furthest plane
    for place in index[heights > heights.max() - 1e-6]:
        array[tuple(place)] = 1
    return array


@by_orientation
def test_left_is_right_on_the_screen_anterior_on_top_and_the_head_up(grid: Grid) -> None:
    view = AnatomicalView.of(grid)
    # Display axes: slices from head to feet, rows from the top, columns from the left of the screen.
    assert view.apply(marked(grid, LEFT))[:, :, -1].all()
    assert view.apply(marked(grid, POSTERIOR))[:, -1, :].all()
    assert view.apply(marked(grid, SUPERIOR))[0, :, :].all()
    assert view.apply(marked(grid, LEFT)).sum() == view.display_shape[0] * view.display_shape[1]
    assert AXIS_LABELS == ("S-I", "A-P", "R-L")


@by_orientation
def test_the_view_in_3d_is_not_mirrored(grid: Grid) -> None:
    """Display axes (inferior, posterior, left) have the hand that napari's camera (z, y, x) expects."""
    view = AnatomicalView.of(grid)
    origin, *ends = grid.to_physical(view.to_native([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]))
    steps = np.array([end - origin for end in ends])
    np.testing.assert_allclose(np.sign(steps) * (np.abs(steps) > 1e-9), [[0, 0, -1], [0, 1, 0], [1, 0, 0]])


@by_orientation
def test_spacing_follows_the_axes(grid: Grid) -> None:
    view = AnatomicalView.of(grid)
    for axis in range(3):
        one, other = np.zeros((2, 3))
        other[axis] = 1
        step = grid.to_physical(view.to_native(other)) - grid.to_physical(view.to_native(one))
        assert np.linalg.norm(step) == pytest.approx(view.spacing[axis])
    assert sorted(view.spacing) == sorted(SPACING)
    assert np.prod(view.display_shape) == np.prod(SIZE)


@by_orientation
def test_the_view_copies_nothing_and_painting_in_it_is_painting_in_the_array(grid: Grid) -> None:
    view = AnatomicalView.of(grid)
    native = np.zeros(grid.shape, np.uint16)
    shown = view.apply(native)
    assert np.shares_memory(native, shown)
    assert shown.shape == view.display_shape
    shown[1, 2, 3] = 7
    assert native[tuple(view.to_native((1, 2, 3)).astype(int))] == 7
    assert native.sum() == 7


@given(st.sampled_from(GRIDS) | turned_grids(), st.data())
def test_points_go_both_ways(grid: Grid, data: st.DataObject) -> None:
    view = AnatomicalView.of(grid)
    point = np.array([data.draw(st.floats(-3, n + 3)) for n in grid.shape])
    np.testing.assert_allclose(view.to_native(view.to_display(point)), point, atol=1e-12)
    np.testing.assert_allclose(view.to_display(view.to_native(point)), point, atol=1e-12)
    many = np.stack([point, point + 1])
    np.testing.assert_array_equal(view.to_display(many)[0], view.to_display(point))


@given(st.sampled_from(GRIDS) | turned_grids(), st.data())
def test_a_voxel_has_one_value_in_both(grid: Grid, data: st.DataObject) -> None:
    view = AnatomicalView.of(grid)
    native = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    index = tuple(data.draw(st.integers(0, n - 1)) for n in grid.shape)
    assert view.apply(native)[tuple(view.to_display(index).astype(int))] == native[index]


def _box(data: st.DataObject, shape: tuple[int, ...]) -> Box:
    parts = []
    for n in shape:
        start = data.draw(st.integers(0, n - 1))
        parts.append(slice(start, data.draw(st.integers(start + 1, n))))
    return parts[0], parts[1], parts[2]


@given(st.sampled_from(GRIDS) | turned_grids(), st.data())
def test_boxes_go_both_ways_and_hold_the_same_voxels(grid: Grid, data: st.DataObject) -> None:
    view = AnatomicalView.of(grid)
    native = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    box = _box(data, grid.shape)
    shown = view.box_to_display(box)
    assert view.box_to_native(shown) == box
    np.testing.assert_array_equal(np.sort(view.apply(native)[shown].ravel()), np.sort(native[box].ravel()))
    np.testing.assert_array_equal(view.apply(native)[shown], AnatomicalView.of(grid.cropped(box)).apply(native[box]))


@given(turned_grids())
def test_an_oblique_grid_is_shown_in_its_nearest_orientation(grid: Grid) -> None:
    """Each display axis runs towards inferior, posterior, left, not away from them."""
    view = AnatomicalView.of(grid)
    origin, *ends = grid.to_physical(view.to_native([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]))
    for end, toward in zip(ends, (-SUPERIOR, POSTERIOR, LEFT), strict=True):
        assert (end - origin) @ toward >= 0


@pytest.mark.parametrize("angle", [44.9, 45.0, 45.1])
def test_a_turn_by_45_degrees_still_gives_every_axis_once(angle: float) -> None:
    matrix = Rotation.from_euler("zx", [angle, angle], degrees=True).as_matrix()
    view = AnatomicalView.of(Grid(SIZE, SPACING, ORIGIN, directions(matrix)))
    assert sorted(view.axes) == [0, 1, 2]
