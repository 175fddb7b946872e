"""The brush in millimetres."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lesion.gui.brush import Brush, marks_between, napari_leaves_gaps, swept_box

spacings = st.floats(0.2, 6.0)


@given(st.floats(0.1, 60), st.lists(spacings, min_size=2, max_size=3))
def test_the_nearest_brush_is_within_one_pixel(diameter: float, spacing: list[float]) -> None:
    brush = Brush.nearest(diameter, spacing)
    assert brush.pixels % 2 == 1
    assert abs(brush.diameter_mm - max(diameter, min(spacing))) <= min(spacing) * (1 + 1e-9)
    assert Brush.of_pixels(brush.pixels, spacing) == brush


@pytest.mark.parametrize(("pixels", "odd"), [(1, 1), (2, 3), (3, 3), (10, 11)])
def test_even_sizes_are_drawn_as_the_next_odd_one(pixels: int, odd: int) -> None:
    assert Brush.of_pixels(pixels, (1.0, 1.0)).pixels == odd


def test_words_say_what_is_painted() -> None:
    assert Brush.nearest(4.0, (0.78, 0.78)).words == "3.9 mm, 5 × 5 px"
    assert Brush.nearest(4.0, (2.5, 0.78)).words == "3.9 mm, 1 × 5 px"
    assert Brush.nearest(9.0, (2.5, 0.7, 0.7)).words == "9.1 mm, 13 × 13 px, 3 slices"


@given(spacings, spacings, st.floats(0.5, 40), st.integers(0, 2**32 - 1))
def test_marks_leave_no_gap(first: float, second: float, diameter: float, seed: int) -> None:
    """Every voxel on the way that the brush covers when it moves continuously is covered, save the rounding."""
    scale = (1.0, first, second)
    brush = Brush.nearest(diameter, (first, second))
    rng = np.random.default_rng(seed)
    last, here = (np.array([3.0, *rng.uniform(0, 30, 2)]) for _ in range(2))
    points = marks_between(last, here, scale, brush.diameter_mm / 2)
    assert (points[-1] == np.rint(here)).all()
    assert (points[:, 0] == 3).all()
    path = np.concatenate([np.rint(last)[np.newaxis], points])
    steps = np.abs(np.diff(path, axis=0)) * np.asarray(scale)
    allowed = 0.25 * brush.diameter_mm + np.asarray(scale)
    assert (steps <= allowed * (1 + 1e-9)).all()


def test_napari_is_helped_only_where_it_leaves_gaps() -> None:
    assert not napari_leaves_gaps(Brush.nearest(4.0, (0.7, 0.7)), (0.7, 0.7))
    assert napari_leaves_gaps(Brush.nearest(4.0, (2.5, 0.7)), (2.5, 0.7))
    assert napari_leaves_gaps(Brush.nearest(10.0, (0.4, 0.8, 0.8)), (0.8, 0.8))


def test_swept_box_is_cut_at_the_borders() -> None:
    points = np.array([[5.0, 1.2, 3.0], [5.0, 2.6, 9.0]])
    assert swept_box(points, (0, 2, 2), (10, 10, 10)) == (slice(5, 6), slice(0, 6), slice(1, 10))
    assert swept_box(np.array([[12.0, 1.0, 1.0]]), (0, 2, 2), (10, 10, 10)) is None
