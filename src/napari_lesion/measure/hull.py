"""Vertices of the marching-cubes mesh of a mask, its convex hull and its largest diameters.

All vertices lie halfway between a voxel inside and a neighbour outside. The largest distances and the convex hull
need only the first and the last vertex of every line of voxels, so the mesh itself is never built.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.measure.planar import PlanarSets, convex_hull, farthest_pairs

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BLOCK = 512
LARGEST_STRIDE = 8
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

    def hull_candidates(self) -> IntArray:
        """Those that may be corners of the convex hull; every corner is among them.

        A vertex on or beyond the middle between two others of the same side is no corner. Pairs a few lines away on
        either side are tried.
        """
        sides = [
            _may_be_corners(lines, np.stack([first, -last]))
            for lines, first, last in zip(self.occupied, self.first, self.last, strict=True)
        ]
        return np.concatenate(list(self._points([side[0] for side in sides], [side[1] for side in sides])))

    def within_slices(self) -> IntArray:
        """Those in the planes of the slices (axis 0), half voxels, shape (n, 3) in (z, y, x)."""
        return np.concatenate(list(self._points(self.occupied, self.occupied, axes=(1, 2))))

    def _points(
        self, low: Sequence[BoolArray], high: Sequence[BoolArray], axes: Sequence[int] = (0, 1, 2)
    ) -> Iterator[IntArray]:
        for axis in axes:
            for chosen, depth in ((low[axis], self.first[axis]), (high[axis], self.last[axis])):
                place = np.nonzero(chosen)
                columns = [2 * index for index in place]
                columns.insert(axis, depth[place])
                yield np.stack(columns, axis=1)


def _may_be_corners(occupied: BoolArray, depths: IntArray) -> BoolArray:
    """Lines whose depth is less than the mean depth of every pair of opposite lines that both exist.

    Parameters
    ----------
    occupied
        Which lines exist, shape (rows, columns).
    depths
        Depth of each line seen from either side, shape (2, rows, columns).
    """
    rows, columns = occupied.shape
    corner = np.stack([occupied, occupied])
    far = np.int32(1 << 24)
    margin = max(1, min(LARGEST_STRIDE, max(rows, columns) // 2))
    padded = np.full((2, rows + 2 * margin, columns + 2 * margin), far)
    known = padded[:, margin:-margin, margin:-margin]
    np.copyto(known, depths, where=occupied, casting="same_kind")
    twice = 2 * known
    stride = 1
    while stride <= margin:
        for down, right in LINE_DIRECTIONS:
            top, left = margin + down * stride, margin + right * stride
            one = padded[:, top : top + rows, left : left + columns]
            top, left = margin - down * stride, margin - right * stride
            other = padded[:, top : top + rows, left : left + columns]
            corner &= twice < one + other
        stride *= 2
    return corner


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


def diameter_in_planes(mask: BoolArray, vertices: ExtremeVertices, spacing: Triple) -> float:
    """Largest distance of two mesh vertices of a mask with the same axial coordinate (axis 0), mm."""
    scale = np.asarray(spacing)[1:] / 2.0
    points = np.concatenate([vertices.within_slices(), _between_slices(mask)])
    sets = PlanarSets.of(points[:, 0], points[:, 1:])
    best = [0.0]
    for _, plane in sets.promising(scale, best):
        longest, _ = farthest_pairs(convex_hull(plane) * scale)
        best[0] = max(best[0], longest)
    return best[0]


def _between_slices(mask: BoolArray) -> IntArray:
    """First and last vertex of every row in the planes halfway between slices, half voxels.

    All of them count, not the first and last along the axial axis alone: a lesion may leave a slice and come back.
    """
    changed = np.diff(mask, axis=0, prepend=False, append=False)
    plane, row = np.nonzero(changed.any(axis=2))
    lines = changed[plane, row]
    ends = lines.argmax(axis=1), lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([2 * plane - 1, 2 * row, 2 * end], axis=1) for end in ends])
