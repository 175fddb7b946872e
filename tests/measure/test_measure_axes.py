"""Long and short axis: rectangles, discs, non-convex shapes, lines, single pixels and ties with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import find_contours, label

from napari_lesion.measure.axes import in_plane_axes
from napari_lesion.measure.planar import convex_hull


def stack(*slices: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(part, dtype=bool) for part in slices])


def brute_force(mask: np.ndarray, spacing: tuple[float, float]) -> tuple[float, float]:
    """Longest distance of segment midpoints of scikit-image's outline, and the best sampled perpendicular chord."""
    best = (0.0, 0.0)
    for part in mask:
        components = label(part, connectivity=2)
        for number in range(1, components.max() + 1):
            one = np.pad(components == number, 1)
            points = outline(one) * spacing
            distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
            if distances.max() > best[0] + 1e-9:
                i, j = np.unravel_index(distances.argmax(), distances.shape)
                best = (float(distances.max()), sampled_chord(points, points[i], points[j]))
    return best


def outline(component: np.ndarray) -> np.ndarray:
    contours = find_contours(component.astype(float), 0.5, fully_connected="high")
    rows, columns = np.nonzero(component)
    if np.ptp(rows) == 0 or np.ptp(columns) == 0:
        return np.concatenate(contours)
    return np.concatenate([(c[1:] + c[:-1]) / 2 for c in contours])


def sampled_chord(points: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    from scipy.spatial import ConvexHull

    axis = (other - one) / np.linalg.norm(other - one)
    across = np.array([-axis[1], axis[0]])
    equations = ConvexHull(points).equations
    # clip the lines one + at*axis + t*across against every half plane of the hull
    at = np.linspace(0, np.linalg.norm(other - one), 4001)
    base = equations[:, :2] @ (one[:, None] + at * axis[:, None]) + equations[:, 2:]
    slope = (equations[:, :2] @ across)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -base / slope
    high = np.where(slope > 1e-12, t, np.inf).min(axis=0)
    low = np.where(slope < -1e-12, t, -np.inf).max(axis=0)
    return float((high - low).max())


def test_rectangle() -> None:
    axes = in_plane_axes(stack(np.ones((6, 10))), (1.0, 1.0))
    # the outline cuts the corners: its midpoint there lies a quarter of a pixel outside the corner pixel's centre
    assert axes.long_mm == pytest.approx(math.hypot(9.5, 5.5), rel=1e-12)
    assert (axes.long_mm, axes.short_mm) == pytest.approx(brute_force(stack(np.ones((6, 10))), (1.0, 1.0)), rel=1e-4)


def test_one_pixel_is_as_long_as_its_larger_side() -> None:
    axes = in_plane_axes(stack([[1]]), (0.7, 0.9))
    assert (axes.long_mm, axes.short_mm) == pytest.approx((0.9, 0.7), rel=1e-12)
    assert axes.long_ends.tolist() == [[0.0, -0.5], [0.0, 0.5]]


def test_line_is_as_long_as_its_pixels() -> None:
    axes = in_plane_axes(stack(np.ones((1, 12))), (0.8, 0.7))
    assert (axes.long_mm, axes.short_mm) == pytest.approx((12 * 0.7, 0.8), rel=1e-12)


def test_disc_is_within_half_a_pixel() -> None:
    rows, columns = np.mgrid[-30:31, -30:31]
    axes = in_plane_axes(stack(np.hypot(rows, columns) <= 25.3), (0.7, 0.7))
    assert axes.long_mm == pytest.approx(2 * 25.3 * 0.7, abs=0.5)
    assert axes.short_mm == pytest.approx(2 * 25.3 * 0.7, abs=0.5)


def test_components_are_never_bridged() -> None:
    part = np.zeros((20, 40))
    part[5:10, 2:8] = part[5:10, 30:37] = 1
    axes = in_plane_axes(stack(part), (1.0, 1.0))
    assert axes.long_mm == pytest.approx(math.hypot(6.5, 4.5), rel=1e-12)
    assert axes.long_ends[:, 1].min() > 20


def test_longest_axis_of_a_crescent_spans_its_horns() -> None:
    rows, columns = np.mgrid[-20:21, -20:21]
    crescent = (np.hypot(rows, columns) <= 18) & (np.hypot(rows, columns - 9) > 14)
    mask = stack(crescent)
    expected = brute_force(mask, (0.6, 0.9))
    axes = in_plane_axes(mask, (0.6, 0.9))
    assert axes.long_mm == pytest.approx(expected[0], rel=1e-12)
    assert axes.short_mm == pytest.approx(expected[1], rel=1e-3)


def test_tie_goes_to_the_larger_slice_then_the_lower_one() -> None:
    line = np.zeros((6, 9))
    line[2, :] = 1
    wide = line.copy()
    wide[3, 3] = 1
    thick = np.zeros((6, 9))
    thick[2, :] = 1
    thick[5, 4] = 1  # a second component: the same axis, a larger area
    assert in_plane_axes(stack(line, thick), (1.0, 1.0)).slice_index == 1
    assert in_plane_axes(stack(line, line), (1.0, 1.0)).slice_index == 0


@settings(max_examples=60, deadline=None)
@given(
    mask=hnp.arrays(bool, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))),
    spacing=st.tuples(st.sampled_from([0.5, 0.7, 1.0, 2.0]), st.sampled_from([0.5, 0.8, 1.0])),
)
def test_agrees_with_scikit_image_outlines(mask: np.ndarray, spacing: tuple[float, float]) -> None:
    mask[0, 0, 0] = True
    axes = in_plane_axes(mask, spacing)
    longest, _ = brute_force(mask, spacing)
    assert axes.long_mm == pytest.approx(longest, rel=1e-9)
    assert 0 < axes.short_mm <= axes.long_mm * (1 + 1e-9)
    along = (axes.long_ends[1] - axes.long_ends[0]) * spacing
    across = (axes.short_ends[1] - axes.short_ends[0]) * spacing
    assert np.hypot(*along) == pytest.approx(axes.long_mm)
    assert np.hypot(*across) == pytest.approx(axes.short_mm)
    assert abs(along @ across) < 1e-9 * axes.long_mm * axes.short_mm


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(bool, st.tuples(st.integers(2, 10), st.integers(2, 10))))
def test_short_axis_is_the_longest_perpendicular_chord(part: np.ndarray) -> None:
    part[:2, :2] = True
    mask = part[None] & (label(part, connectivity=2) == 1)
    axes = in_plane_axes(mask, (0.7, 0.9))
    ends = axes.long_ends * (0.7, 0.9)
    points = outline(np.pad(mask[0], 1)) * (0.7, 0.9) - np.array([0.7, 0.9])
    assert axes.short_mm == pytest.approx(sampled_chord(points, *ends), rel=2e-3)


def test_hull_is_exact_and_strict() -> None:
    points = np.array([[0, 0], [0, 4], [0, 2], [4, 0], [4, 4], [2, 2], [2, 4], [4, 2]])
    assert sorted(map(tuple, convex_hull(points).tolist())) == [(0, 0), (0, 4), (4, 0), (4, 4)]
    assert convex_hull(np.array([[1, 1]])).tolist() == [[1, 1]]
    assert len(convex_hull(np.array([[0, 0], [2, 2], [1, 1]]))) == 2
