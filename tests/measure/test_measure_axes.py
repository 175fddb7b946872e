"""Long and short axis: rectangles, discs, non-convex shapes, lines, single pixels and ties with known answers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import find_contours, label

from napari_lesion.measure.axes import in_plane_axes
from napari_lesion.measure.planar import TIE, convex_hull


def stack(*slices: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(part, dtype=bool) for part in slices])


@dataclass(frozen=True)
class Candidate:
    """One axis that is as long as the longest: what decides between them, in this order, and its lengths."""

    rank: tuple[float, ...]
    long_mm: float
    short_mm: float


def candidates(mask: np.ndarray, spacing: tuple[float, float]) -> list[Candidate]:
    """Every pair of segment midpoints of scikit-image's outlines, all slices and components: those that tie."""
    pairs = []
    for index, part in enumerate(mask):
        components = label(part, connectivity=2)
        for number in range(1, components.max() + 1):
            points = np.unique(outline(np.pad(components == number, 1)), axis=0) - 1
            distances = np.linalg.norm((points[:, None] - points[None]) * spacing, axis=-1)
            near = np.argwhere(np.triu(distances >= distances.max() * (1 - TIE)))
            pairs += [(float(distances[i, j]), index, points, points[[i, j]]) for i, j in near]
    longest = max(pair[0] for pair in pairs)
    found = []
    for length, index, points, ends in pairs:
        if length >= longest * (1 - TIE):
            short = longest_chord(points * spacing, *(ends * spacing))
            ordered = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
            rank = (-int(mask[index].sum()), -float(f"{short:.9g}"), index, *ordered.ravel())
            found.append(Candidate(rank, length, short))
    return found


def brute_force(mask: np.ndarray, spacing: tuple[float, float]) -> tuple[float, float]:
    """Long and short axis of the best candidate."""
    best = min(candidates(mask, spacing), key=lambda candidate: candidate.rank)
    return best.long_mm, best.short_mm


def assert_exact(mask: np.ndarray, spacing: tuple[float, float]) -> None:
    """Lengths, slice and end points are those of the brute force."""
    axes = in_plane_axes(mask, spacing)
    best = min(candidates(mask, spacing), key=lambda candidate: candidate.rank)
    assert axes.long_mm == pytest.approx(best.long_mm, rel=1e-12)
    assert axes.short_mm == pytest.approx(best.short_mm, rel=1e-9)
    assert axes.slice_index == best.rank[2]
    np.testing.assert_allclose(axes.long_ends.ravel(), best.rank[3:], atol=1e-12)
    along = (axes.long_ends[1] - axes.long_ends[0]) * spacing
    across = (axes.short_ends[1] - axes.short_ends[0]) * spacing
    assert np.hypot(*along) == pytest.approx(axes.long_mm)
    assert np.hypot(*across) == pytest.approx(axes.short_mm)
    assert abs(along @ across) < 1e-9 * axes.long_mm * axes.short_mm
    assert 0 < axes.short_mm <= axes.long_mm * (1 + 1e-9)


def outline(component: np.ndarray) -> np.ndarray:
    contours = find_contours(component.astype(float), 0.5, fully_connected="high")
    rows, columns = np.nonzero(component)
    if np.ptp(rows) == 0 or np.ptp(columns) == 0:
        return np.concatenate(contours)
    return np.concatenate([(c[1:] + c[:-1]) / 2 for c in contours])


def longest_chord(points: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """Longest segment in the hull across a diameter: every line through a hull vertex, clipped by every half plane.

    The length is piecewise linear between the vertices, so that none of the other lines holds a longer one.
    """
    from scipy.spatial import ConvexHull

    axis = (other - one) / np.linalg.norm(other - one)
    across = np.array([-axis[1], axis[0]])
    hull = ConvexHull(points)
    at = (hull.points[hull.vertices] - one) @ axis
    base = hull.equations[:, :2] @ (one[:, None] + at * axis[:, None]) + hull.equations[:, 2:]
    slope = (hull.equations[:, :2] @ across)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -base / slope
    high = np.where(slope > 1e-12, t, np.inf).min(axis=0)
    low = np.where(slope < -1e-12, t, -np.inf).max(axis=0)
    return float((high - low).max())


def test_rectangle() -> None:
    axes = in_plane_axes(stack(np.ones((6, 10))), (1.0, 1.0))
    # the outline cuts the corners: its midpoint there lies a quarter of a pixel outside the corner pixel's centre
    assert axes.long_mm == pytest.approx(math.hypot(9.5, 5.5), rel=1e-12)
    assert (axes.long_mm, axes.short_mm) == pytest.approx(brute_force(stack(np.ones((6, 10))), (1.0, 1.0)), rel=1e-9)


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
    assert axes.short_mm == pytest.approx(expected[1], rel=1e-9)


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


def test_corner_has_known_axes() -> None:
    corner = np.zeros((10, 10))
    corner[:, :2] = corner[8:, :] = 1
    axes = in_plane_axes(stack(corner), (1.0, 1.0))
    # from the cut corner of one arm to that of the other; across from the inner edge to the cut corner of the knee
    assert axes.long_mm == pytest.approx(9.5 * math.sqrt(2), rel=1e-12)
    assert axes.short_mm == pytest.approx(5.5 * math.sqrt(2), rel=1e-12)
    assert axes.long_ends.tolist() == [[-0.25, -0.25], [9.25, 9.25]]


def test_what_is_hollow_or_open_has_the_axes_of_its_hull() -> None:
    whole = np.ones((10, 10))
    horseshoe, frame = whole.copy(), whole.copy()
    horseshoe[:8, 2:8] = frame[2:8, 2:8] = 0
    expected = in_plane_axes(stack(whole), (0.7, 0.9))
    for part in (horseshoe, frame):
        axes = in_plane_axes(stack(part), (0.7, 0.9))
        assert (axes.long_mm, axes.short_mm) == pytest.approx((expected.long_mm, expected.short_mm), rel=1e-12)
        np.testing.assert_array_equal(axes.long_ends, expected.long_ends)


def test_diagonal_line_of_pixels() -> None:
    axes = in_plane_axes(stack(np.eye(8)), (1.0, 1.0))
    # pixels that touch by corners are one component; its ends are the cut corners of the outer pixels
    assert axes.long_mm == pytest.approx(7.5 * math.sqrt(2), rel=1e-12)
    assert axes.short_mm == pytest.approx(math.sqrt(2) / 2, rel=1e-12)


PIXELS = st.sampled_from([0.5, 0.6, 0.7, 0.8, 1.0, 2.0, 5.0])
SPACINGS = st.tuples(PIXELS, PIXELS)
SIDES = st.integers(1, 12)


@st.composite
def shapes(draw: st.DrawFn) -> np.ndarray:
    """One slice: a rectangle, an ellipse, a corner, a horseshoe, a ring, a thin line, or two of them."""
    rows, columns = np.mgrid[:26, :26]
    kind = draw(st.sampled_from(["rectangle", "ellipse", "corner", "horseshoe", "ring", "line", "two"]))
    part = np.zeros((26, 26), dtype=bool)
    high, wide, thick = draw(SIDES), draw(SIDES), draw(st.integers(1, 4))
    if kind in ("ellipse", "ring"):
        y, x = draw(st.floats(10, 15)), draw(st.floats(10, 15))
        a, b, angle = draw(st.floats(2, 10)), draw(st.floats(1, 10)), draw(st.floats(0, math.pi))
        u = (rows - y) * math.cos(angle) + (columns - x) * math.sin(angle)
        v = (columns - x) * math.cos(angle) - (rows - y) * math.sin(angle)
        part = (u / a) ** 2 + (v / b) ** 2 <= 1
        if kind == "ring":
            part &= (u / a) ** 2 + (v / b) ** 2 > 0.4
    elif kind == "line":
        step = draw(st.sampled_from([(0, 1), (1, 0), (1, 1), (1, -1)]))
        for k in range(high):
            part[2 + k * step[0], 13 + k * step[1]] = True
    else:
        part[3 : 3 + high, 3 : 3 + wide] = True
        if kind == "corner":
            part[3 : 3 + high - thick, 3 + thick : 3 + wide] = False
        elif kind == "horseshoe":
            part[3 : 3 + high - thick, 3 + thick : 3 + wide - thick] = False
        elif kind == "two":
            part[18 : 18 + min(8, thick * 2), 18 : 18 + thick] = True
    part[13, 13] |= not part.any()
    return part


@settings(max_examples=120, deadline=None)
@given(shape=shapes(), spacing=SPACINGS)
def test_exact_on_shapes(shape: np.ndarray, spacing: tuple[float, float]) -> None:
    assert_exact(shape[None], spacing)


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(shapes(), min_size=2, max_size=3), flips=st.lists(st.booleans(), min_size=3, max_size=3))
def test_exact_over_slices_that_tie(parts: list[np.ndarray], flips: list[bool]) -> None:
    """Slices and their mirror images: equal axes everywhere, decided by area, short axis, slice, end points."""
    mirrored = [part[::-1] if flip else part.T for part, flip in zip(parts, flips, strict=False)]
    assert_exact(np.stack([*parts, *mirrored]), (0.7, 0.7))


@settings(max_examples=120, deadline=None)
@given(
    mask=hnp.arrays(bool, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))),
    spacing=SPACINGS,
)
def test_exact_on_random_masks(mask: np.ndarray, spacing: tuple[float, float]) -> None:
    mask[0, 0, 0] = True
    assert_exact(mask, spacing)


def test_hull_is_exact_and_strict() -> None:
    points = np.array([[0, 0], [0, 4], [0, 2], [4, 0], [4, 4], [2, 2], [2, 4], [4, 2]])
    assert sorted(map(tuple, convex_hull(points).tolist())) == [(0, 0), (0, 4), (4, 0), (4, 4)]
    assert convex_hull(np.array([[1, 1]])).tolist() == [[1, 1]]
    assert len(convex_hull(np.array([[0, 0], [2, 2], [1, 1]]))) == 2
