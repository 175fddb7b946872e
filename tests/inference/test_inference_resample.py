"""Native grid to model grid and back: everything stays at its physical place."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_lesion.core.grid import Grid
from napari_lesion.inference.resample import ModelFrame, orientation, to_model, to_native


def _axis_aligned() -> list[tuple[float, ...]]:
    directions = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
                matrix[row, column] = sign
            directions.append(tuple(matrix.ravel()))
    return directions


DIRECTIONS = _axis_aligned()


def _whole(grid: Grid) -> tuple[slice, slice, slice]:
    z, y, x = (slice(0, n) for n in grid.shape)
    return z, y, x


def _blob(grid: Grid, centre_lps: np.ndarray, sigma_mm: float = 4.0) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid.to_physical(index) - centre_lps, axis=-1)
    return np.exp(-0.5 * (distance / sigma_mm) ** 2).astype(np.float32)


def _centroid(grid: Grid, weights: np.ndarray) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    mean = (index * weights[..., None]).sum(axis=(0, 1, 2)) / weights.sum()
    return grid.to_physical(mean)


def test_all_48_orientations_agree_with_monai() -> None:
    import torch
    from monai.data import MetaTensor
    from monai.transforms import Orientation

    array = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    for direction in DIRECTIONS:
        grid = Grid((6, 5, 4), (1.0, 1.0, 1.0), direction=direction)
        frame = ModelFrame.of(grid, _whole(grid), (1.0, 1.0, 1.0), "RAS")
        image = MetaTensor(torch.from_numpy(array.T[None].copy()), affine=torch.from_numpy(grid.affine_ras))
        expected = Orientation("RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))(image)[0].numpy()
        np.testing.assert_array_equal(frame.to_input(array), expected)
        np.testing.assert_array_equal(frame.from_input(frame.to_input(array)), array)


def test_spacing_and_window_follow_the_axes() -> None:
    for direction in DIRECTIONS:
        grid = Grid((20, 21, 22), (1.0, 1.5, 2.0), direction=direction)
        frame = ModelFrame.of(grid, _whole(grid), (0.5, 1.0, 3.0), "RAS")
        axes, _ = orientation(grid, "RAS")
        assert [frame.spacing_zyx[axis] for axis in axes] == [0.5, 1.0, 3.0]
        assert [frame.roi_zyx((8, 16, 24))[axis] for axis in axes] == [8, 16, 24]


@settings(max_examples=40, deadline=None)
@given(
    spacing=st.tuples(*[st.floats(0.5, 3.0)] * 3),
    axis_aligned=st.sampled_from(DIRECTIONS),
    tilt=st.floats(-0.25, 0.25),
    place=st.tuples(*[st.floats(0.35, 0.65)] * 3),
)
def test_blob_stays_at_its_place(
    spacing: tuple[float, float, float],
    axis_aligned: tuple[float, ...],
    tilt: float,
    place: tuple[float, float, float],
) -> None:
    rotation = Rotation.from_rotvec([tilt, -tilt / 2, tilt / 3]).as_matrix() @ np.reshape(axis_aligned, (3, 3))
    size = tuple(round(40 / s) for s in spacing)
    grid = Grid((size[0], size[1], size[2]), spacing, (10.0, -20.0, 30.0), tuple(rotation.ravel()))
    centre = grid.to_physical([p * (n - 1) for p, n in zip(place, grid.shape, strict=True)])
    frame = ModelFrame.of(grid, _whole(grid), (1.0, 1.2, 0.9), "RAS")
    model = to_model(_blob(grid, centre), frame)
    half = 0.5 * min(frame.spacing_zyx)
    assert np.linalg.norm(_centroid(frame.grid, model) - centre) < half
    exact = _blob(frame.grid, centre)
    back = to_native(exact, frame).dense().astype(np.float64)
    assert np.linalg.norm(_centroid(grid, back) - centre) < 0.5 * min(spacing)


def test_same_grid_is_exact_both_ways() -> None:
    grid = Grid((33, 47, 70), (0.7, 0.7, 1.25))
    values = np.random.default_rng(0).integers(0, 251, grid.shape)
    frame = ModelFrame.of(grid, _whole(grid), (0.7, 0.7, 1.25), "LPS")
    model = to_model((values / 250).astype(np.float32), frame)
    np.testing.assert_allclose(model, values / 250, atol=1e-6)
    np.testing.assert_array_equal(to_native(model, frame).dense(), values)


def test_a_linear_ramp_is_reproduced_exactly() -> None:
    grid = Grid((40, 30, 20), (0.8, 1.1, 2.5))
    z, y, x = np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij")
    ramp = (3 * z - 2 * y + x).astype(np.int16)
    box = (slice(3, 17), slice(5, 25), slice(6, 36))
    frame = ModelFrame.of(grid, box, (1.0, 1.0, 1.0), "RAS")
    index = np.stack(np.meshgrid(*[np.arange(n) for n in frame.shape], indexing="ij"), axis=-1)
    native = grid.to_index(frame.grid.to_physical(index)).clip(0, np.array(grid.shape) - 1)
    np.testing.assert_allclose(to_model(ramp, frame), native @ [3, -2, 1], atol=1e-4)


def test_only_the_box_is_written_back() -> None:
    grid = Grid((100, 90, 80), (1.0, 1.0, 1.0))
    box = (slice(10, 70), slice(20, 80), slice(30, 95))
    frame = ModelFrame.of(grid, box, (1.5, 1.5, 1.5), "RAS")
    dense = to_native(np.ones(frame.shape, np.float32), frame).dense()
    assert (dense[box] == 250).all()
    dense[box] = 0
    assert not dense.any()


def test_nothing_is_stored_where_there_is_no_probability() -> None:
    grid = Grid((200, 200, 200), (1.0, 1.0, 1.0))
    frame = ModelFrame.of(grid, _whole(grid), (1.0, 1.0, 1.0), "RAS")
    model = np.zeros(frame.shape, np.float32)
    model[100, 100, 100] = 0.9
    assert len(to_native(model, frame).blocks) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_replaced(bad: float) -> None:
    grid = Grid((10, 10, 10), (1.0, 1.0, 1.0))
    array = np.full(grid.shape, 5.0, np.float32)
    array[5, 5, 5] = np.nan
    model = to_model(array, ModelFrame.of(grid, _whole(grid), (1.0, 1.0, 1.0), "RAS"), nan=-7.0)
    assert model[5, 5, 5] == -7.0
    assert np.isfinite(model).all()
