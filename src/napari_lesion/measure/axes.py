"""Long and short axis of a lesion in an axial slice, exactly, from the outline through segment midpoints.

For every axial slice and every 8-connected component in it: the marching-squares outline of the mask, the midpoints
of its segments, their convex hull, the largest distance between two hull points. The midpoint outline has no free
parameter and the smallest mean bias of the four rules in use (voxel centres, mesh vertices, midpoints, corners).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.measure.planar import TIE, PlanarSets, convex_hull, farthest_pairs, longest_across, narrowest_width

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

UNIT = 4
"""Coordinates are whole quarters of a pixel."""

EIGHT_IN_PLANE = np.array([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))], dtype=bool)


@dataclass(frozen=True)
class InPlaneAxes:
    """The axes of one lesion.

    Parameters
    ----------
    slice_index
        Slice of the crop that holds them.
    long_mm, short_mm
        Their lengths.
    long_ends, short_ends
        End points (row, column) in pixels of the crop, shape (2, 2), smaller (row, column) first.
    hull_mm
        Convex hull of the outline, mm, shape (m, 2).
    """

    slice_index: int
    long_mm: float
    short_mm: float
    long_ends: FloatArray
    short_ends: FloatArray
    hull_mm: FloatArray


def in_plane_axes(mask: BoolArray, spacing: tuple[float, float], areas: IntArray | None = None) -> InPlaneAxes:
    """Longest axis over all slices and components, and the longest segment perpendicular to it.

    Parameters
    ----------
    mask
        Voxel set with at least one voxel; axis 0 runs along the axial slices.
    spacing
        Row and column spacing, mm.
    areas
        Voxels of the lesion in each slice, where they are known.

    Notes
    -----
    Of axes that are equally long (within 1e-9) the one in the slice with the larger lesion area is taken, then the
    one with the longer short axis, then the one with the narrower outline, then the lower slice, then the smaller end
    points. Lengths come before the slice number so that they are the same after a flip.
    """
    outline, slices = outline_points(mask)
    scale = np.asarray(spacing) / UNIT
    areas = mask.sum(axis=(1, 2)) if areas is None else areas
    best = [0.0]
    found: list[tuple[float, InPlaneAxes]] = []
    for component, points in outline.promising(scale, best):
        hull = convex_hull(points)
        longest, pairs = farthest_pairs(hull * scale)
        if longest < best[0] * (1 - TIE):
            continue
        best[0] = max(best[0], longest)
        place = int(slices[component])
        found += [(float(areas[place]), _axes_of(hull, scale, (int(i), int(j)), place)) for i, j in pairs]
    candidates = [(area, axes) for area, axes in found if axes.long_mm >= best[0] * (1 - TIE)]
    least = min(_size_rank(candidate) for candidate in candidates)
    tied = [axes for area, axes in candidates if _size_rank((area, axes)) == least]
    return tied[0] if len(tied) == 1 else min(tied, key=_place_rank)


def _axes_of(hull: IntArray, scale: FloatArray, pair: tuple[int, int], slice_index: int) -> InPlaneAxes:
    hull_mm = hull * scale
    short, short_ends = longest_across(hull_mm, pair)
    long_ends = _ordered(hull[list(pair)] / UNIT)
    length = float(np.hypot(*(hull_mm[pair[0]] - hull_mm[pair[1]])))
    return InPlaneAxes(slice_index, length, short, long_ends, _ordered(short_ends / scale / UNIT), hull_mm)


def _ordered(ends: FloatArray) -> FloatArray:
    return ends[np.lexsort((ends[:, 1], ends[:, 0]))]


def _size_rank(candidate: tuple[float, InPlaneAxes]) -> tuple[float, float]:
    area, axes = candidate
    return -area, -_digits(axes.short_mm)


def _place_rank(axes: InPlaneAxes) -> tuple[float, ...]:
    return (_digits(narrowest_width(axes.hull_mm)), axes.slice_index, *axes.long_ends.ravel())


def _digits(length: float) -> float:
    """Nine digits, so that round-off cannot decide between lengths that are the same."""
    return float(f"{length:.9g}")


def outline_points(mask: BoolArray) -> tuple[PlanarSets, IntArray]:
    """Outline of every in-plane component, in quarter pixels.

    Returns
    -------
    sets
        One set of points a component, by component number.
    slices
        Slice of each component number.
    """
    from scipy import ndimage

    components, count = ndimage.label(mask, structure=EIGHT_IN_PLANE)
    boxes = ndimage.find_objects(components, max_label=count)
    slices = np.array([-1] + [box[0].start for box in boxes], dtype=np.int64)
    thin = np.array([False] + [min(box[1].stop - box[1].start, box[2].stop - box[2].start) == 1 for box in boxes])
    groups, points = _segment_midpoints(components)
    if thin.any():
        thick = ~thin[groups]
        extra_groups, extra_points = _edge_midpoints(components, thin)
        groups = np.concatenate([groups[thick], extra_groups])
        points = np.concatenate([points[thick], extra_points])
    return PlanarSets.of(groups, points), slices


def _segment_midpoints(components: npt.NDArray[np.int32]) -> tuple[IntArray, IntArray]:
    """Midpoints of the marching-squares segments at 0.5, with the component that each belongs to.

    In a block of 2x2 pixels the outline is one segment: through the middle of the block when two neighbours are
    inside, across a corner (a quarter of a pixel off the middle, towards the odd pixel) when one or three are. Two
    pixels inside that touch by a corner are connected: two segments, each cutting off a pixel outside.
    """
    inside = np.pad((components > 0).view(np.uint8), ((0, 0), (1, 1), (1, 1)))
    rows = inside[:, :, :-1] | (inside[:, :, 1:] << 1)
    codes = rows[:, :-1] | (rows[:, 1:] << 2)
    where = np.flatnonzero((codes != 0) & (codes != 15))
    code = codes.ravel()[where]
    plane, row, column = np.unravel_index(where, codes.shape)
    # no two components meet in a block, as its pixels are all neighbours: any pixel inside tells which one it is
    one = _FIRST_INSIDE[code]
    owner = components[plane, row + one // 2 - 1, column + one % 2 - 1]
    middle = np.stack([row * UNIT - UNIT // 2, column * UNIT - UNIT // 2], axis=1)
    first, second = middle + _OFFSETS[code, 0], middle + _OFFSETS[code, 1]
    double = _OFFSETS[code, 0].any(axis=1) & (_OFFSETS[code, 0] != _OFFSETS[code, 1]).any(axis=1)
    groups = np.concatenate([owner, owner[double]]).astype(np.int64)
    return groups, np.concatenate([first, second[double]]).astype(np.int64)


def _block_offsets() -> IntArray:
    """Offsets of the one or two midpoints from the middle of a block, quarter pixels, shape (16, 2, 2)."""
    corners = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    offsets = np.zeros((16, 2, 2), dtype=np.int64)
    for code in range(16):
        inside = [corner for bit, corner in enumerate(corners) if (code >> bit) & 1]
        outside = [corner for corner in corners if corner not in inside]
        if len(inside) == 1:
            offsets[code] = inside[0]
        elif len(outside) == 1:
            offsets[code] = outside[0]
        elif code in (6, 9):
            offsets[code] = outside
    return offsets


_OFFSETS = _block_offsets()
_FIRST_INSIDE = np.array([0] + [(code & -code).bit_length() - 1 for code in range(1, 16)])
"""Lowest corner (2 row + column) of a block that is inside, by code."""


def _edge_midpoints(components: npt.NDArray[np.int32], chosen: BoolArray) -> tuple[IntArray, IntArray]:
    """Outline vertices, halfway between pixels, of the components that are one pixel wide."""
    plane, row, column = np.nonzero(chosen[components])
    owner = components[plane, row, column].astype(np.int64)
    centre = np.stack([row, column], axis=1) * UNIT
    half = UNIT // 2
    sides = [centre + side for side in ((half, 0), (-half, 0), (0, half), (0, -half))]
    return np.tile(owner, 4), np.concatenate(sides).astype(np.int64)
