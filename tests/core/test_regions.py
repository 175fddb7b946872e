"""A named region gives its voxels on any grid with the same axes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import Grid
from napari_lesion.core.surroundings import Region

FINE = Grid(size=(12, 8, 6), spacing=(1.0, 1.0, 2.0), origin=(5.0, -3.0, 10.0))
COARSE = Grid(size=(4, 4, 3), spacing=(3.0, 2.0, 4.0), origin=(6.0, -2.5, 11.0))


def test_a_coarse_region_repeats_its_voxels_on_the_grid_of_the_image() -> None:
    array = np.zeros(COARSE.shape, dtype=bool)
    array[1, 2, 1] = True
    region = Region("left", array, COARSE)
    whole = region.crop((slice(0, 6), slice(0, 8), slice(0, 12)), FINE)
    expected = np.zeros(FINE.shape, dtype=bool)
    expected[2:4, 4:6, 3:6] = True
    np.testing.assert_array_equal(whole, expected)
    part = region.crop((slice(2, 5), slice(5, 8), slice(4, 9)), FINE)
    np.testing.assert_array_equal(part, expected[2:5, 5:8, 4:9])


def test_nothing_is_said_outside_the_grid_of_the_region() -> None:
    region = Region("lung", np.ones(COARSE.shape, dtype=bool), COARSE)
    wide = region.crop((slice(-2, 8), slice(0, 8), slice(0, 12)), FINE)
    assert not wide[:2].any()
    assert not wide[8:].any()
    assert wide[2:8].all()


def test_a_turned_region_is_refused() -> None:
    turned = Grid(FINE.size, FINE.spacing, FINE.origin, (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    with pytest.raises(GeometryError, match="turned"):
        Region("lung", np.ones(FINE.shape, dtype=bool), FINE).crop((slice(0, 1), slice(0, 1), slice(0, 1)), turned)
