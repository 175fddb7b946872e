"""Vertices of the marching-cubes mesh of a mask, its convex hull and its largest diameters.

All vertices lie halfway between a voxel inside and a neighbour outside. The largest distances and the convex hull
need only the first and the last vertex of every line of voxels, so the mesh itself is never built.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.measure.planar import PlanarSets, convex_hull, farthest_pairs

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BLOCK = 512
STRIDES = (1, 2, 4, 8)
LINE_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


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


@dataclass(frozen=True)
class ExtremeVertices:
    """First and last mesh vertex of every voxel line along each axis.

    Parameters
    ----------
    occupied
        For each axis, which lines along it hold a voxel, shape of the mask without that axis.
    first, last
        For each axis, position of the first and last vertex on each line, half voxels; meaningless where no line is.
    """

    occupied: tuple[BoolArray, ...]
    first: tuple[IntArray, ...]
    last: tuple[IntArray, ...]

    @classmethod
    def of(cls, mask: BoolArray) -> ExtremeVertices:
        """Extreme vertices of a voxel set."""
        occupied: list[BoolArray] = [np.any(mask, axis=axis) for axis in range(3)]
        first = [2 * mask.argmax(axis=axis) - 1 for axis in range(3)]
        last = [2 * (mask.shape[axis] - 1 - np.flip(mask, axis).argmax(axis=axis)) + 1 for axis in range(3)]
        return cls(tuple(occupied), tuple(first), tuple(last))

    def points(self) -> IntArray:
        """All of them, half voxels, shape (n, 3) in (z, y, x)."""
        return np.concatenate(list(self._points(self.occupied, self.occupied)))

    def hull_candidates(self) -> IntArray:
        """Those that may be corners of the convex hull; every corner is among them.

        A vertex on or beyond the middle between two others of the same side is no corner. Pairs a few lines away on
        either side are tried.
        """
        low = [_may_be_corner(line, depth) for line, depth in zip(self.occupied, self.first, strict=True)]
        high = [_may_be_corner(line, -depth) for line, depth in zip(self.occupied, self.last, strict=True)]
        return np.concatenate(list(self._points(low, high)))

    def _points(
        self, low: tuple[BoolArray, ...] | list[BoolArray], high: tuple[BoolArray, ...] | list[BoolArray]
    ) -> Iterator[IntArray]:
        for axis in range(3):
            for chosen, depth in ((low[axis], self.first[axis]), (high[axis], self.last[axis])):
                place = np.nonzero(chosen)
                columns = [2 * index for index in place]
                columns.insert(axis, depth[place])
                yield np.stack(columns, axis=1)


def _may_be_corner(occupied: BoolArray, depth: IntArray) -> BoolArray:
    """Lines whose depth is less than the mean depth of every pair of opposite lines that both exist."""
    corner = occupied.copy()
    far = np.int32(1 << 24)
    known = np.where(occupied, depth, far).astype(np.int32)
    for stride in STRIDES:
        padded = np.pad(known, stride, constant_values=far)
        for direction in LINE_DIRECTIONS:
            step = (direction[0] * stride, direction[1] * stride)
            sum_of_pair = _shifted(padded, step, stride) + _shifted(padded, (-step[0], -step[1]), stride)
            corner &= 2 * known < sum_of_pair
    return corner


def _shifted(padded: npt.NDArray[np.int32], step: tuple[int, int], margin: int) -> npt.NDArray[np.int32]:
    rows, columns = (padded.shape[0] - 2 * margin, padded.shape[1] - 2 * margin)
    top, left = margin + step[0], margin + step[1]
    return padded[top : top + rows, left : left + columns]


def convex_hull_3d(vertices: ExtremeVertices, spacing: Triple) -> Hull:
    """Convex hull of the mesh vertices (they always span three dimensions)."""
    from scipy.spatial import ConvexHull

    points = vertices.hull_candidates() * (np.asarray(spacing) / 2.0)
    hull = ConvexHull(points)
    return Hull(points[hull.vertices], float(hull.volume), float(hull.area))


def diameter(points: FloatArray) -> float:
    """Largest distance of two points, mm.

    A point that is closer to the middle than (a distance already found) - (the largest distance from the middle)
    cannot take part in a longer one. The rest is compared in blocks, which keeps memory small.
    """
    middle = (points.min(axis=0) + points.max(axis=0)) / 2.0
    radii = np.linalg.norm(points - middle, axis=1)
    start = points[int(radii.argmax())]
    opposite = points[int(np.linalg.norm(points - start, axis=1).argmax())]
    found = float(np.linalg.norm(points - opposite, axis=1).max())
    points = points[radii >= (found - radii.max()) * (1 - 1e-12)]
    best = 0.0
    for begin in range(0, len(points), BLOCK):
        block, rest = points[begin : begin + BLOCK], points[begin:]
        squares = sum((block[:, None, axis] - rest[None, :, axis]) ** 2 for axis in range(points.shape[1]))
        best = max(best, float(np.max(squares)))
    return float(np.sqrt(best))


def diameter_in_planes(vertices: ExtremeVertices, spacing: Triple) -> float:
    """Largest distance of two vertices with the same axial coordinate (axis 0), mm."""
    scale = np.asarray(spacing)[1:] / 2.0
    points = vertices.points()
    sets = PlanarSets.of(points[:, 0], points[:, 1:])
    best = [0.0]
    for _, plane in sets.promising(scale, best):
        longest, _ = farthest_pairs(convex_hull(plane) * scale)
        best[0] = max(best[0], longest)
    return best[0]
