"""Distances, interpolation and partial volume against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lesion.core.grid import Grid
from napari_lesion.phantom.space import (
    Axes,
    Canvas,
    capsule,
    coverage,
    ellipsoid,
    normalised,
    smooth_max,
    smooth_min,
    upsample,
)

GRID = Grid((41, 43, 45), (0.8, 0.8, 1.0), (-16.0, -16.8, -22.0))


def test_coarse_axes_share_the_first_voxel_and_cover_the_grid() -> None:
    fine, coarse = Axes.of(GRID), Axes.of(GRID, 2)
    assert fine.shape == GRID.shape
    for one, other in zip((fine.z, fine.y, fine.x), (coarse.z, coarse.y, coarse.x), strict=True):
        np.testing.assert_allclose(one[::2], other[: len(one[::2])], atol=1e-5)
        assert other[-1] >= one[-1] - 1e-4


def test_mesh_is_the_physical_position_of_the_grid() -> None:
    x, y, z = Axes.of(GRID).mesh()
    expected = GRID.to_physical((5, 7, 11))
    np.testing.assert_allclose([x[0, 0, 11], y[0, 7, 0], z[5, 0, 0]], expected, atol=1e-5)


def test_upsampling_keeps_a_linear_function() -> None:
    z, y, x = np.meshgrid(np.arange(4.0), np.arange(5.0), np.arange(6.0), indexing="ij")
    fine = upsample((2 * z - y + 0.5 * x).astype(np.float32))
    z, y, x = np.meshgrid(np.arange(7.0), np.arange(9.0), np.arange(11.0), indexing="ij")
    np.testing.assert_allclose(fine, (2 * z - y + 0.5 * x) / 2, atol=1e-5)


def test_sphere_and_its_implicit_function_give_distances() -> None:
    axes = Axes.of(GRID)
    x, y, z = axes.mesh()
    truth = np.sqrt(x * x + y * y + z * z) - 10
    near = np.abs(truth) < 3
    np.testing.assert_allclose(ellipsoid(axes, (0, 0, 0), (10, 10, 10))[near], truth[near], atol=1e-3)
    implicit = ((x * x + y * y + z * z) / 100 - 1).astype(np.float32)
    np.testing.assert_allclose(normalised(implicit, axes)[near], truth[near], atol=0.65)


def test_ellipsoid_is_zero_on_its_surface() -> None:
    axes = Axes.of(Grid((3, 3, 3), (8.0, 4.0, 6.0), (-8.0, -4.0, -6.0)))
    distance = ellipsoid(axes, (0, 0, 0), (8, 4, 6))
    assert distance[1, 1, 0] == pytest.approx(0, abs=1e-5)
    assert distance[1, 0, 1] == pytest.approx(0, abs=1e-5)
    assert distance[0, 1, 1] == pytest.approx(0, abs=1e-5)


def test_capsule_distance_beside_and_beyond_its_ends() -> None:
    x = np.asarray([0.0, 5.0, 14.0], dtype=np.float32).reshape(1, 1, 3)
    zero = np.zeros((1, 1, 1), dtype=np.float32)
    ends = np.asarray([(0.0, 3.0, 0.0), (10.0, 3.0, 0.0)])
    distance = capsule((x, zero, zero), ends, (1.0, 2.0))
    np.testing.assert_allclose(distance.ravel(), [2.0, 1.5, 3.0], atol=1e-5)


@given(a=st.floats(-20, 20), b=st.floats(-20, 20), radius=st.floats(0.5, 9))
def test_smooth_union_is_below_both_by_a_quarter_radius_at_most(a: float, b: float, radius: float) -> None:
    one, other = np.float32([a]), np.float32([b])
    union = smooth_min(one, other, radius)
    assert min(a, b) - radius / 4 - 1e-4 <= union[0] <= min(a, b) + 1e-4
    assert smooth_max([one, other], radius)[0] >= max(a, b) - 1e-4


@given(st.floats(3, 12), st.tuples(*[st.floats(-1, 1)] * 3))
def test_coverage_of_a_ball_adds_up_to_its_volume(radius: float, centre: tuple[float, float, float]) -> None:
    canvas = Canvas(GRID)
    share = coverage(ellipsoid(canvas.axes, centre, (radius,) * 3), canvas.width)
    volume = float(share.sum()) * GRID.voxel_volume_mm3
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.03)


def test_painting_keeps_the_mean_and_stays_inside_the_image() -> None:
    canvas = Canvas(GRID, background=-1000.0)
    canvas.fill(ellipsoid(canvas.coarse, (0, 0, 0), (9, 9, 9)), 0.0)
    inside = (canvas.hu + 1000).sum() / 1000 * GRID.voxel_volume_mm3
    assert inside == pytest.approx(4 / 3 * np.pi * 729, rel=0.04)
    before = canvas.hu.copy()
    canvas.fill(ellipsoid(canvas.coarse, (500, 0, 0), (9, 9, 9)), 100.0)
    canvas.tube(np.asarray([(500.0, 0, 0), (510.0, 0, 0)]), (2.0, 2.0), 100.0)
    np.testing.assert_array_equal(canvas.hu, before)


def test_a_thin_sheet_holds_its_thickness() -> None:
    canvas = Canvas(GRID, background=0.0)
    x, _, _ = canvas.coarse.mesh()
    surface = np.broadcast_to(x - 0.3, canvas.coarse.shape).astype(np.float32)
    canvas.sheet(surface, np.full(canvas.coarse.shape, -9.0, dtype=np.float32), 0.7, 1.0)
    per_area = canvas.hu[20, 20].sum() * GRID.spacing[0]
    assert per_area == pytest.approx(0.7, rel=0.25)
