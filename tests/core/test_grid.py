"""A grid puts voxels where ITK puts them, refuses what is none, and knows when two are the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK
from grids import ALIGNED, NAMES, directions, grids
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import Grid, require_same_grid

INDICES = arrays(np.float64, (4, 3), elements=st.floats(-50, 350))


@given(grids(largest=300), INDICES)
def test_places_are_those_of_itk(grid: Grid, indices: np.ndarray) -> None:
    image = SimpleITK.Image(2, 2, 2, SimpleITK.sitkUInt8)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    wanted = [image.TransformContinuousIndexToPhysicalPoint(tuple(map(float, index[::-1]))) for index in indices]
    np.testing.assert_allclose(grid.to_physical(indices), wanted, rtol=0, atol=1e-9)


@given(grids(largest=300), INDICES)
def test_places_and_indices_are_each_others_inverse(grid: Grid, indices: np.ndarray) -> None:
    np.testing.assert_allclose(grid.to_index(grid.to_physical(indices)), indices, rtol=0, atol=1e-6)


@given(grids(largest=300), INDICES)
def test_the_affines_say_the_same(grid: Grid, indices: np.ndarray) -> None:
    homogeneous = np.c_[indices[:, ::-1], np.ones(len(indices))]
    np.testing.assert_allclose((homogeneous @ grid.affine_lps.T)[:, :3], grid.to_physical(indices), atol=1e-9)
    np.testing.assert_allclose(
        (homogeneous @ grid.affine_ras.T)[:, :3], grid.to_physical(indices) * (-1, -1, 1), atol=1e-9
    )
    assert np.linalg.det(grid.affine_lps[:3, :3]) == pytest.approx(
        np.linalg.det(grid.matrix) * grid.voxel_volume_mm3, rel=1e-9
    )


@pytest.mark.parametrize("direction", ALIGNED, ids=NAMES)
def test_patient_axes_of_the_48_orientations(direction: tuple[float, ...]) -> None:
    grid = Grid((4, 5, 6), (1, 2, 3), (0, 0, 0), direction)
    assert sorted(grid.patient_axes) == [0, 1, 2]
    for patient, axis in enumerate(grid.patient_axes):
        step = np.zeros(3)
        step[axis] = 1
        moved = grid.to_physical(step) - grid.to_physical((0, 0, 0))
        assert abs(moved[patient]) == pytest.approx(grid.spacing_zyx[axis])
    assert grid.obliquity_deg == 0
    assert not grid.is_oblique


@given(st.integers(0, 2**32 - 1))
def test_each_array_axis_belongs_to_one_patient_axis(seed: int) -> None:
    direction = directions(Rotation.random(random_state=seed).as_matrix())
    assert sorted(Grid((2, 2, 2), (1, 1, 1), (0, 0, 0), direction).patient_axes) == [0, 1, 2]


@pytest.mark.parametrize("angle", [0.0, 10.0, 14.9, 15.1, 30.0, 44.0])
@pytest.mark.parametrize("about", ["x", "y"])
def test_obliquity_is_the_angle_of_the_slices(angle: float, about: str) -> None:
    matrix = Rotation.from_euler(about, angle, degrees=True).as_matrix()
    grid = Grid((2, 2, 2), (1, 1, 1), (0, 0, 0), directions(matrix))
    assert grid.obliquity_deg == pytest.approx(angle, abs=1e-5)
    assert grid.is_oblique == (angle > 15)
    assert grid.axial_axis == 0


def test_a_turn_in_the_plane_is_no_obliquity() -> None:
    matrix = Rotation.from_euler("z", 40, degrees=True).as_matrix()
    assert Grid((2, 2, 2), (1, 1, 1), (0, 0, 0), directions(matrix)).obliquity_deg < 1e-5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"spacing": (0.0, 1, 1)}, "not positive"),
        ({"spacing": (-1.0, 1, 1)}, "not positive"),
        ({"spacing": (math.nan, 1, 1)}, "not finite"),
        ({"origin": (math.inf, 0, 0)}, "not finite"),
        ({"size": (0, 1, 1)}, "empty"),
        ({"size": (3, 3)}, "three-dimensional"),
        ({"direction": (1, 0.01, 0, 0, 1, 0, 0, 0, 1)}, "sheared"),
        ({"direction": (1, 0, 0, 0, 1, 0, 0, 0, 0)}, "sheared"),
        ({"direction": (2, 0, 0, 0, 1, 0, 0, 0, 1)}, "sheared"),
    ],
)
def test_what_is_no_grid_is_refused(arguments: dict, words: str) -> None:
    with pytest.raises(GeometryError, match=words):
        Grid(**{"size": (3, 3, 3), "spacing": (1, 1, 1), **arguments})


@given(grids(largest=300), st.data())
def test_a_crop_keeps_every_voxel_at_its_place(grid: Grid, data: st.DataObject) -> None:
    start = [data.draw(st.integers(0, n - 1)) for n in grid.shape]
    stop = [data.draw(st.integers(s + 1, n)) for s, n in zip(start, grid.shape, strict=True)]
    crop = grid.cropped((slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2])))
    assert crop.shape == tuple(b - a for a, b in zip(start, stop, strict=True))
    last = np.asarray(stop) - np.asarray(start) - 1
    np.testing.assert_allclose(crop.to_physical(last), grid.to_physical(np.asarray(stop) - 1), atol=1e-8)


@given(grids(largest=300), st.integers(0, 2), st.sampled_from([0.5, -0.1, 0.01]))
def test_a_shift_makes_another_grid(grid: Grid, axis: int, share: float) -> None:
    origin = list(grid.origin)
    origin[axis] += share * min(grid.spacing)
    other = Grid(grid.size, grid.spacing, (origin[0], origin[1], origin[2]), grid.direction)
    assert grid.agrees_with(grid)
    assert not grid.agrees_with(other)
    assert not other.agrees_with(grid)
    with pytest.raises(GeometryError, match="The mask lies on another grid"):
        require_same_grid(grid, other, "The mask")


def test_a_spacing_that_adds_up_makes_another_grid() -> None:
    one = Grid((512, 512, 300), (0.7, 0.7, 1.0))
    assert one.agrees_with(Grid((512, 512, 300), (0.7, 0.7, 1.000001)))
    assert not one.agrees_with(Grid((512, 512, 300), (0.7, 0.7, 1.0001)))


def test_a_flip_makes_another_grid() -> None:
    one = Grid((5, 5, 5), (1, 1, 1))
    assert not one.agrees_with(Grid((5, 5, 5), (1, 1, 1), (4, 0, 0), (-1, 0, 0, 0, 1, 0, 0, 0, 1)))


@given(grids(largest=300))
def test_rounding_to_single_precision_is_forgiven(grid: Grid) -> None:
    def single(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(float(np.float32(v)) for v in values)

    # A voxel below 0.2 mm at 3 m from the origin is beyond what single precision can place.
    if min(grid.spacing) < 0.5:
        return
    other = Grid(grid.size, single(grid.spacing), single(grid.origin), single(grid.direction))  # type: ignore[arg-type]
    assert grid.agrees_with(other)


def test_a_grid_is_a_value() -> None:
    one, other = (Grid((5, 6, 7), (1.0, 2.0, 3.0), (0.5, 0, 0)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one.shape == (7, 6, 5)
    assert one.spacing_zyx == (3.0, 2.0, 1.0)
    assert one.voxel_volume_mm3 == 6.0
    assert one.as_dict()["size_xyz"] == [5, 6, 7]
