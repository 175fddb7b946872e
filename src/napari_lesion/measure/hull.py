"""Vertices of the marching-cubes mesh of a mask, its convex hull and its largest diameters.

All vertices lie halfway between a voxel inside and a neighbour outside. The largest distances and the convex hull
need only the first and the last vertex of every line of voxels, so the mesh itself is never built.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.measure.planar import PlanarSets, convex_hull, farthest_pairs

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BLOCK = 512


@dataclass(frozen=True)
class Hull:
    """Convex hull of the mesh vertices.

    Parameters
    ----------
    vertices
        Its corners, mm, shape (m, 3) in (z, y, x).
    volume_mm3, area_mm2
        Its volume and surface area.
    """

    vertices: FloatArray
    volume_mm3: float
    area_mm2: float


def extreme_vertices(mask: BoolArray) -> IntArray:
    """First and last mesh vertex of every voxel line along each axis, in half voxels, shape (n, 3) in (z, y, x).

    Every corner of the convex hull of the mesh is among them.
    """
    parts = []
    for axis in range(3):
        lines = np.moveaxis(mask, axis, -1)
        occupied = np.argwhere(lines.any(axis=-1))
        lines = lines[occupied[:, 0], occupied[:, 1]]
        first = lines.argmax(axis=1)
        last = lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1)
        for along in (2 * first - 1, 2 * last + 1):
            parts.append(np.insert(2 * occupied, axis, along, axis=1))
    return np.concatenate(parts)


def hull_candidates(vertices: IntArray) -> IntArray:
    """Those vertices that are corners of the convex hull of their own axial plane: still all corners of the hull."""
    sets = PlanarSets.of(vertices[:, 0], vertices[:, 1:])
    ends = np.append(sets.starts[1:], len(sets.points))
    parts = []
    for plane, start, end in zip(sets.keys, sets.starts, ends, strict=True):
        corners = convex_hull(sets.points[start:end])
        parts.append(np.insert(corners, 0, plane, axis=1))
    return np.concatenate(parts)


def convex_hull_3d(candidates: IntArray, spacing: Triple) -> Hull:
    """Convex hull of vertices in half voxels (they always span three dimensions)."""
    from scipy.spatial import ConvexHull

    points = candidates * (np.asarray(spacing) / 2.0)
    hull = ConvexHull(points)
    return Hull(points[hull.vertices], float(hull.volume), float(hull.area))


def diameter(points: FloatArray) -> float:
    """Largest distance of two points, in blocks that keep memory small."""
    best = 0.0
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        squares = ((block[:, None, :] - points[None, start:, :]) ** 2).sum(axis=-1)
        best = max(best, float(squares.max()))
    return float(np.sqrt(best))


def diameter_in_planes(candidates: IntArray, spacing: Triple) -> float:
    """Largest distance of two vertices with the same axial coordinate (axis 0), mm."""
    scale = np.asarray(spacing)[1:] / 2.0
    sets = PlanarSets.of(candidates[:, 0], candidates[:, 1:])
    best = [0.0]
    for _, points in sets.promising(scale, best):
        longest, _ = farthest_pairs(points * scale)
        best[0] = max(best[0], longest)
    return best[0]


def extents(vertices: IntArray, spacing: Triple) -> FloatArray:
    """Extent of the mesh along each axis (z, y, x), mm."""
    size: FloatArray = np.ptp(vertices, axis=0) * (np.asarray(spacing) / 2.0)
    return size
