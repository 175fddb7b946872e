"""Surface, volume and topology of a voxel set from the histogram of its 2x2x2 neighbourhoods.

A marching-cubes mesh of a 0/1 mask has the same triangles wherever the same eight voxels meet. Its area and volume
are therefore sums over the 256 configurations of eight voxels, and so are the intercept counts of the Cauchy-Crofton
formula and the Euler number (Ohser and Mücklich 2000, Statistical Analysis of Microstructures in Materials Science).
One pass over the crop gives all four, exactly, with no mesh in memory.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

CONFIGURATIONS = 256
CORNERS = np.array([[z, y, x] for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=np.int64)
"""Corner (z, y, x) of bit 0..7 of a configuration."""

DIRECTIONS = tuple((z, y, x) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1) if (z, y, x) > (0, 0, 0))
"""The 13 lattice directions of a 3x3x3 neighbourhood, one of each opposite pair."""

SLAB_VOXELS = 2_000_000


def configuration_histogram(mask: BoolArray) -> IntArray:
    """Count the configurations of 2x2x2 voxels, with one layer of background around the mask.

    Parameters
    ----------
    mask
        Voxel set, shape (z, y, x).

    Returns
    -------
    ndarray
        256 counts; bit ``4z + 2y + x`` of the index is the voxel at corner (z, y, x).
    """
    depth, height, width = mask.shape
    slab = max(1, SLAB_VOXELS // ((height + 2) * (width + 2)))
    counts = np.zeros(CONFIGURATIONS, dtype=np.int64)
    for first in range(-1, depth, slab):
        last = min(first + slab, depth)
        padded = np.zeros((last - first + 1, height + 2, width + 2), dtype=np.uint8)
        low, high = max(first, 0), min(last + 1, depth)
        padded[low - first : high - first, 1:-1, 1:-1] = mask[low:high]
        counts += _slab_histogram(padded)
    return counts


def _slab_histogram(padded: npt.NDArray[np.uint8]) -> IntArray:
    rows = padded[:, :, :-1] | (padded[:, :, 1:] << 1)
    planes = rows[:, :-1] | (rows[:, 1:] << 2)
    codes = planes[:-1] | (planes[1:] << 4)
    return np.bincount(codes.ravel(), minlength=CONFIGURATIONS).astype(np.int64)


def mesh_area(counts: IntArray, spacing: Triple) -> float:
    """Area, mm², of the marching-cubes mesh (iso 0.5); ``spacing`` is (z, y, x) in mm."""
    return float(counts @ _area_table(spacing))


def mesh_volume(counts: IntArray, spacing: Triple) -> float:
    """Volume, mm³, inside the marching-cubes mesh (iso 0.5); ``spacing`` is (z, y, x) in mm."""
    return float(counts @ _volume_table()) * float(np.prod(spacing))


def euler_number(counts: IntArray) -> int:
    """Euler number of the 26-connected solid: components - tunnels + cavities."""
    return round(float(counts @ _euler_table()))


def crofton_area(counts: IntArray, spacing: Triple) -> float:
    """Surface area, mm², by the Cauchy-Crofton formula along 13 directions.

    ``S = 4 v sum(c_d n_d / |d|)``: n_d boundary crossings out of the set along direction d, v the voxel volume, |d|
    the physical step, c_d the solid-angle share of the direction (spherical Voronoi cells of the 26 physical
    directions). Lehmann and Legland 2012, The Insight Journal; ITK ``LabelShape`` "Perimeter".
    """
    return float(counts @ crofton_table(spacing))


@cache
def _triangles() -> tuple[IntArray, FloatArray, FloatArray]:
    """Configuration, area vector and signed cone volume of each triangle in a unit cube around the origin.

    The triangles are scikit-image's own (Lorensen): one cube at a time. Vectors point out of the set.
    """
    from skimage.measure import marching_cubes

    configurations: list[int] = []
    vectors: list[FloatArray] = []
    cones: list[FloatArray] = []
    for code in range(1, CONFIGURATIONS - 1):
        cube = _cube(code).astype(np.float32)
        vertices, faces, _, _ = marching_cubes(cube, 0.5, method="lorensen")
        triangles = (vertices.astype(np.float64) - 0.5)[faces]
        vector = -0.5 * np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        configurations += [code] * len(faces)
        vectors.append(vector)
        cones.append((triangles.mean(axis=1) * vector).sum(axis=1) / 3.0)
    return np.array(configurations), np.concatenate(vectors), np.concatenate(cones)


def _cube(code: int) -> npt.NDArray[np.uint8]:
    return np.array([(code >> bit) & 1 for bit in range(8)], dtype=np.uint8).reshape(2, 2, 2)


@cache
def _area_table(spacing: Triple) -> FloatArray:
    configurations, vectors, _ = _triangles()
    scale = np.prod(spacing) / np.asarray(spacing)
    areas: FloatArray = np.linalg.norm(vectors * scale, axis=1)
    return _gather(configurations, areas)


@cache
def _volume_table() -> FloatArray:
    """Volume of the set inside one cube: cones over its triangles and over its share of the six faces."""
    configurations, _, cones = _triangles()
    table = _gather(configurations, cones)
    for code in range(CONFIGURATIONS):
        cube = _cube(code)
        areas = [_face_area(np.take(cube, side, axis=axis)) for axis in range(3) for side in (0, 1)]
        table[code] += sum(areas) * 0.5 / 3.0
    return table


def _gather(configurations: IntArray, values: FloatArray) -> FloatArray:
    """Sum of the values of each configuration."""
    table = np.zeros(CONFIGURATIONS)
    np.add.at(table, configurations, values)
    return table


def _face_area(face: npt.NDArray[np.uint8]) -> float:
    """Share of a cube face inside the mesh; two voxels that touch by a corner stay apart."""
    inside = int(face.sum())
    if inside == 2 and face[0, 0] == face[1, 1]:
        return 0.25
    return (0.0, 0.125, 0.5, 0.875, 1.0)[inside]


@cache
def _euler_table() -> FloatArray:
    """Vertices - edges + faces - voxels of the union of closed voxels, shared out to the 2x2x2 blocks.

    The corner in the middle of a block belongs to it alone, each of the six half edges at that corner to two
    blocks, each of its twelve quarter faces to four, each voxel to eight.
    """
    table = np.zeros(CONFIGURATIONS)
    for code in range(1, CONFIGURATIONS):
        cube = _cube(code).astype(bool)
        edges = sum(bool(cube.take(side, axis=axis).any()) for axis in range(3) for side in (0, 1))
        faces = sum(_face_pairs(cube, axis) for axis in range(3))
        table[code] = 1.0 - edges / 2.0 + faces / 4.0 - int(cube.sum()) / 8.0
    return table


def _face_pairs(cube: BoolArray, axis: int) -> int:
    """Number of the four voxel pairs along an axis of which at least one voxel is in the set."""
    return int((cube.take(0, axis=axis) | cube.take(1, axis=axis)).sum())


@cache
def crofton_table(spacing: Triple) -> FloatArray:
    """Area, mm², that each configuration adds by the Cauchy-Crofton formula; ``spacing`` is (z, y, x) in mm."""
    steps = np.asarray(DIRECTIONS, dtype=np.float64) * np.asarray(spacing)
    lengths = np.linalg.norm(steps, axis=1)
    weights = _direction_weights(steps / lengths[:, None])
    table = np.zeros(CONFIGURATIONS)
    for direction, length, weight in zip(DIRECTIONS, lengths, weights, strict=True):
        table += 4.0 * weight * np.prod(spacing) / length * _crossings(direction)
    return table


def _direction_weights(directions: FloatArray) -> FloatArray:
    """Share of the sphere that is nearest to each direction or its opposite."""
    from scipy.spatial import SphericalVoronoi

    both = np.concatenate([directions, -directions])
    areas = SphericalVoronoi(both, radius=1.0).calculate_areas() / (4.0 * np.pi)
    count = len(directions)
    shares: FloatArray = areas[:count] + areas[count:]
    return shares


def _crossings(direction: tuple[int, int, int]) -> FloatArray:
    """Crossings out of the set along a direction, by configuration; each pair shared out to its blocks.

    A pair of voxels along an axis lies in four blocks, along a face diagonal in two, along a space diagonal in one.
    Both senses of the direction are counted and halved, so that the table has every symmetry of the cube.
    """
    index = np.arange(CONFIGURATIONS)
    blocks = 2.0 ** direction.count(0)
    table = np.zeros(CONFIGURATIONS)
    step = np.asarray(direction)
    for bit, corner in enumerate(CORNERS):
        other = corner + step
        if other.min() < 0 or other.max() > 1:
            continue
        partner = int(other @ (4, 2, 1))
        table += (((index >> bit) ^ (index >> partner)) & 1) / (2.0 * blocks)
    return table
