"""Which image is which channel: guessed by name, and all on one grid."""

from __future__ import annotations

import numpy as np
import pytest

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.workflow.channels import Images, guess_channels, on_grid, sequence_of

BRATS = ("T1c", "T1", "T2", "FLAIR")


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("BraTS2021_00000_flair.nii.gz", "FLAIR"),
        ("t2_flair_sag", "FLAIR"),
        ("BraTS2021_00000_t1ce", "T1c"),
        ("sub-01_ce-gadolinium_T1w", "T1c"),
        ("T1 MPRAGE post contrast", "T1c"),
        ("T1+C", "T1c"),
        ("t1w_gd", "T1c"),
        ("T1Gd", "T1c"),
        ("patient07_T1W", "T1"),
        ("T1-weighted", "T1"),
        ("t2w", "T2"),
        ("ep2d_diff_b1000", "DWI"),
        ("ADC map", "ADC"),
        ("thorax", ""),
        ("pet101", ""),
    ],
)
def test_sequences_by_name(name: str, sequence: str) -> None:
    assert sequence_of(name) == sequence


def test_images_are_guessed_once_each() -> None:
    images = ["p07_FLAIR", "p07_T1W", "p07_T2W"]
    assert guess_channels(BRATS, images) == (None, 1, 2, 0)
    assert guess_channels(("FLAIR", "FLAIR"), images) == (0, None)
    assert guess_channels(("moving image", "b"), ["fixed", "the moving image"]) == (1, None)
    assert guess_channels(BRATS, []) == (None, None, None, None)


def _volume(grid: Grid, case: str = "a") -> Volume:
    places = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    values = grid.to_physical(places) @ np.array([1.0, 2.0, 3.0])
    return Volume(values.reshape(grid.shape).astype(np.float32), grid, Modality.MR, Source(case=case))


def test_an_image_on_another_grid_is_interpolated() -> None:
    """A linear image keeps its values wherever it is sampled."""
    fine = Grid((40, 30, 20), (1.0, 1.0, 2.0), (5.0, -3.0, 2.0))
    turned = (-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0)
    coarse = Grid((14, 11, 9), (2.0, 2.0, 2.0), (40.0, 0.0, 6.0), turned)
    moved = on_grid(_volume(coarse), fine)
    assert moved.grid == fine
    inside = moved.array != 0
    assert inside.mean() > 0.1
    error = np.abs(moved.array - _volume(fine).array)[2:-2, 3:-3, 3:-3][inside[2:-2, 3:-3, 3:-3]]
    assert np.median(error) < 1e-3


def test_images_elsewhere_are_resampled_only_when_allowed() -> None:
    grid = Grid((10, 9, 8), (1.0, 1.0, 1.0))
    other = Grid((5, 5, 4), (2.0, 2.0, 2.0))
    first, second = _volume(grid), _volume(other, "b")
    assert Images().beside(first) == (first,)
    assert Images((first, second)).beside(first) == (first, second)
    brought = Images((first, second), resample=True).beside(first)
    assert brought[0] is first
    assert brought[1].grid == grid


def test_an_image_of_another_place_is_an_error() -> None:
    grid = Grid((10, 9, 8), (1.0, 1.0, 1.0))
    with pytest.raises(GeometryError, match="does not meet"):
        on_grid(_volume(Grid((5, 5, 4), (1.0, 1.0, 1.0), (500.0, 0.0, 0.0))), grid)
