"""Known answers of the figures of outlines."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_lesion.core.errors import GeometryError
from napari_lesion.evaluation.segmentation import compare_masks

MM = (1.0, 1.0, 1.0)


def box(*spans: tuple[int, int], shape: tuple[int, int, int] = (20, 20, 20)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


def test_a_mask_against_itself() -> None:
    mask = box((3, 9), (3, 9), (3, 9))
    figures = compare_masks(mask, mask, (2.0, 0.5, 0.5))
    assert (figures.dice, figures.hd95_mm, figures.surface_dice) == (1.0, 0.0, 1.0)
    assert figures.volume_true_mm3 == 216 * 0.5
    assert figures.volume_error_percent == 0.0


def test_dice_and_volume_of_a_shifted_box() -> None:
    # 6 x 6 x 6 moved by 2 along x: 4/6 in common, so Dice = 2*144/(216+216)
    figures = compare_masks(box((3, 9), (3, 9), (3, 9)), box((3, 9), (3, 9), (5, 11)), MM)
    assert figures.dice == pytest.approx(144 / 216)
    assert figures.volume_error_percent == 0.0


def test_half_the_volume_is_minus_fifty_per_cent() -> None:
    figures = compare_masks(box((2, 8), (2, 8), (2, 8)), box((2, 5), (2, 8), (2, 8)), MM)
    assert figures.volume_error_percent == pytest.approx(-50.0)
    assert figures.dice == pytest.approx(2 * 108 / (216 + 108))


@pytest.mark.parametrize(("axis", "expected"), [(0, 3 * 2.5), (1, 3 * 0.7), (2, 3 * 0.7)])
def test_hd95_of_two_voxels_is_their_distance_in_mm(axis: int, expected: float) -> None:
    first, second = np.zeros((12, 12, 12), dtype=bool), np.zeros((12, 12, 12), dtype=bool)
    place = [5, 5, 5]
    first[tuple(place)] = True
    place[axis] += 3
    second[tuple(place)] = True
    assert compare_masks(first, second, (2.5, 0.7, 0.7)).hd95_mm == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("tolerance", "expected"), [(0.9, 0.0), (1.1, 1.0)])
def test_surface_dice_asks_for_the_tolerance(tolerance: float, expected: float) -> None:
    # two single slices one millimetre apart: every surface voxel is 1 mm from the other surface
    first, second = box((4, 5), (4, 12), (4, 12)), box((5, 6), (4, 12), (4, 12))
    assert compare_masks(first, second, MM, tolerance).surface_dice == expected


def test_the_figures_do_not_depend_on_where_the_masks_lie_in_the_image() -> None:
    inner = compare_masks(box((5, 9), (5, 9), (5, 9)), box((6, 10), (5, 9), (5, 9)), MM)
    corner = compare_masks(box((0, 4), (0, 4), (0, 4)), box((1, 5), (0, 4), (0, 4)), MM)
    assert inner == corner


def test_nothing_found_and_nothing_to_find() -> None:
    mask, empty = box((3, 9), (3, 9), (3, 9)), box((0, 0), (0, 0), (0, 0))
    missed = compare_masks(mask, empty, MM)
    assert (missed.dice, missed.surface_dice, missed.volume_error_percent) == (0.0, 0.0, -100.0)
    assert math.isnan(missed.hd95_mm)
    invented = compare_masks(empty, mask, MM)
    assert all(math.isnan(value) for value in (invented.dice, invented.hd95_mm, invented.volume_error_percent))
    assert invented.volume_found_mm3 == 216.0


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(GeometryError, match="shapes"):
        compare_masks(np.ones((2, 2, 2), bool), np.ones((2, 2, 3), bool), MM)
