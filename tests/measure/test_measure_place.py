"""Side, part and distance to the border, on masks with known answers; empty where nobody says."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from lesion_bodies import study_of

from napari_lesion.core.grid import Grid
from napari_lesion.core.surroundings import Region, Surroundings
from napari_lesion.core.table import Row
from napari_lesion.measure.engine import MeasureRequest, measure_lesions

SPACING = (1.25, 0.8, 0.8)
SHAPE = (60, 90, 120)
GRID = Grid((120, 90, 60), (0.8, 0.8, 1.25))
BALL_MM = 28.0
CENTRE = np.array([37.0, 36.0, 48.0])
"""Centre of the organ, mm from the first voxel, (z, y, x)."""


def zyx(z: float, y: float, x: float) -> np.ndarray:
    return np.array([z, y, x], dtype=float)


@cache
def places(grid: Grid) -> np.ndarray:
    """Position (z, y, x), mm, of every voxel of a grid without rotation."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return grid.to_physical(index)[..., ::-1]


def organ_on(grid: Grid) -> Region:
    return Region("lung", np.linalg.norm(places(grid) - CENTRE, axis=-1) <= BALL_MM, grid)


def coarse(factor: tuple[int, int, int]) -> Grid:
    fz, fy, fx = factor
    size = (-(-120 // fx), -(-90 // fy), -(-60 // fz))
    origin = (0.8 * (fx - 1) / 2, 0.8 * (fy - 1) / 2, 1.25 * (fz - 1) / 2)
    return Grid(size, (0.8 * fx, 0.8 * fy, 1.25 * fz), origin)


def lesion_at(centre: np.ndarray, radius: float) -> np.ndarray:
    return np.linalg.norm(places(GRID) - centre, axis=-1) <= radius


def place_of(mask: np.ndarray, around: Surroundings) -> Row:
    volume, labels = study_of(mask, SPACING)
    return measure_lesions(volume, labels, MeasureRequest(features=("place",), surroundings=around)).rows[1]


def halves(grid: Grid) -> tuple[Region, Region]:
    """Two sides with a gap of 8 mm between them; left lies at high x."""
    whole, x = organ_on(grid).array, places(grid)[..., 2] - CENTRE[2]
    return Region("left", whole & (x > 4), grid), Region("right", whole & (x < -4), grid)


def test_without_masks_nothing_is_said() -> None:
    row = place_of(lesion_at(CENTRE, 5.0), Surroundings())
    assert (row["side"], row["lobe"], row["organ"]) == ("", "", "")
    assert math.isnan(float(row["organ_border_distance_mm"]))


@pytest.mark.parametrize(("grid", "within"), [(GRID, 0.9), (coarse((2, 3, 3)), 1.2)], ids=["native", "coarse"])
@pytest.mark.parametrize("offset", [8.0, 16.0, 22.0])
@pytest.mark.parametrize("direction", [(0, 0, 1), (1, 0, 0), (0.5, -0.5, 0.7)])
def test_distance_to_the_surface_of_a_ball(grid: Grid, within: float, offset: float, direction: tuple) -> None:
    along = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
    row = place_of(lesion_at(CENTRE + offset * along, 4.0), Surroundings(organ_on(grid)))
    assert float(row["organ_border_distance_mm"]) == pytest.approx(BALL_MM - offset - 4.0, abs=within)


@pytest.mark.parametrize("offset", [24.0, 28.0, 31.0, 34.0])
def test_a_lesion_at_the_border_has_no_distance(offset: float) -> None:
    for grid in (GRID, coarse((2, 3, 3))):
        row = place_of(lesion_at(CENTRE + zyx(0, offset, 0), 5.0), Surroundings(organ_on(grid)))
        assert row["organ_border_distance_mm"] == 0.0


def test_holes_of_the_organ_are_no_border() -> None:
    organ = organ_on(GRID)
    holed = organ.array & ~lesion_at(CENTRE + zyx(0, 0, 10), 3.0)
    row = place_of(lesion_at(CENTRE, 4.0), Surroundings(Region("lung", holed, GRID)))
    assert (
        row["organ_border_distance_mm"]
        == place_of(lesion_at(CENTRE, 4.0), Surroundings(organ))["organ_border_distance_mm"]
    )


def test_the_end_of_the_image_is_no_border() -> None:
    everywhere = Region("lung", np.ones(SHAPE, dtype=bool), GRID)
    assert math.isnan(float(place_of(lesion_at(CENTRE, 4.0), Surroundings(everywhere))["organ_border_distance_mm"]))
    half = Region("lung", places(GRID)[..., 0] < 40.0, GRID)
    row = place_of(lesion_at(np.array([0.0, 36.0, 48.0]), 4.0), Surroundings(half))
    assert float(row["organ_border_distance_mm"]) == pytest.approx(36.0, abs=1.2)


@pytest.mark.parametrize("grid", [GRID, coarse((2, 3, 3))], ids=["native", "coarse"])
def test_the_side_that_holds_more_of_the_lesion(grid: Grid) -> None:
    around = Surroundings(organ_on(grid), halves(grid))
    assert place_of(lesion_at(CENTRE + zyx(0, 0, 15), 5.0), around)["side"] == "left"
    assert place_of(lesion_at(CENTRE - zyx(0, 0, 15), 5.0), around)["side"] == "right"
    assert place_of(lesion_at(CENTRE - zyx(0, 0, 3), 8.0), around)["side"] == "right"
    # on the wall, outside the masks, near one of them alone
    assert place_of(lesion_at(CENTRE + zyx(0, 0, 36), 4.0), around)["side"] == "left"
    # between the sides, and far from both: nobody can say
    assert place_of(lesion_at(CENTRE, 2.0), around)["side"] == ""
    assert place_of(lesion_at(np.array([70.0, 5.0, 90.0]), 3.0), around)["side"] == ""


def test_the_border_is_that_of_the_side() -> None:
    around = Surroundings(organ_on(GRID), halves(GRID))
    row = place_of(lesion_at(CENTRE + zyx(0, 0, 14), 4.0), around)
    assert float(row["organ_border_distance_mm"]) == pytest.approx(14 - 4 - 4, abs=0.6)


def test_lobes_and_organ_by_the_most_of_the_lesion() -> None:
    upper = Region("left upper", places(GRID)[..., 0] > CENTRE[0], GRID)
    lower = Region("left lower", places(GRID)[..., 0] <= CENTRE[0] - 3, GRID)
    around = Surroundings(organ_on(GRID), parts=(upper, lower))
    assert place_of(lesion_at(CENTRE + zyx(2, 0, 0), 5.0), around)["lobe"] == "left upper"
    assert place_of(lesion_at(CENTRE - zyx(10, 0, 0), 5.0), around)["lobe"] == "left lower"
    thirds = [Region(str(k), np.abs(places(GRID)[..., 2] - CENTRE[2] - 4 * k) <= 1.2, GRID) for k in (-1, 0, 1)]
    assert place_of(lesion_at(CENTRE, 6.0), Surroundings(parts=tuple(thirds)))["lobe"] == "mixed"
    assert place_of(lesion_at(np.array([70.0, 5.0, 90.0]), 3.0), around)["organ"] == ""
    assert place_of(lesion_at(CENTRE, 5.0), around)["organ"] == "lung"
    assert place_of(lesion_at(CENTRE + zyx(0, 32, 0), 5.0), around)["organ"] == "mixed"


def test_a_region_on_its_own_box_says_the_same() -> None:
    whole = organ_on(GRID)
    box = (slice(4, 55), slice(6, 84), slice(21, 99))
    part = Region("lung", whole.array[box], GRID.cropped(box))
    assert part.array.sum() == whole.array.sum()
    for offset in (0.0, 20.0, 36.0):
        mask = lesion_at(CENTRE + zyx(0, 0, offset), 4.0)
        one, other = (place_of(mask, Surroundings(region)) for region in (whole, part))
        # far from the border every second voxel is looked at
        assert one["organ_border_distance_mm"] == pytest.approx(other["organ_border_distance_mm"], abs=0.5)
