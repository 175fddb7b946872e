"""Exact diameters of point sets in parallel planes, found without measuring every plane.

Points carry whole-number coordinates (quarter pixels), so convex hulls are exact. The largest width over a few
directions bounds the diameter of a set from above; only sets whose bound reaches the best diameter are measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BOUND_DIRECTIONS = 16
TIE = 1e-9
"""Relative difference below which two lengths are the same (MEASURES C13)."""


@dataclass(frozen=True)
class PlanarSets:
    """Points of several sets, sorted by set.

    Parameters
    ----------
    keys
        Number of each set, ascending, one entry a set.
    starts
        First point of each set.
    points
        Whole-number coordinates (row, column) of all points, shape (n, 2).
    """

    keys: IntArray
    starts: IntArray
    points: IntArray

    @classmethod
    def of(cls, groups: IntArray, points: IntArray) -> PlanarSets:
        """Sort points into sets by their group number."""
        order = np.argsort(groups, kind="stable")
        keys, starts = np.unique(groups[order], return_index=True)
        return cls(keys, starts, points[order])

    def diameter_bounds(self, scale: FloatArray) -> FloatArray:
        """Upper bound of the diameter of each set; ``scale`` is the size (row, column) of one unit.

        The longest chord makes an angle of at most pi / (2 k) with one of k evenly spaced directions.
        """
        if not len(self.keys):
            return np.empty(0)
        angles = np.arange(BOUND_DIRECTIONS) * np.pi / BOUND_DIRECTIONS
        along = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ (self.points * scale).T
        widths = np.maximum.reduceat(along, self.starts, axis=1) - np.minimum.reduceat(along, self.starts, axis=1)
        bounds: FloatArray = widths.max(axis=0) / np.cos(np.pi / (2 * BOUND_DIRECTIONS)) * (1 + TIE)
        return bounds

    def promising(self, scale: FloatArray, best: list[float]) -> Iterator[tuple[int, IntArray]]:
        """Yield key and points of the sets, largest bound first, until none can reach ``best[0]`` any more."""
        bounds = self.diameter_bounds(scale)
        ends = np.append(self.starts[1:], len(self.points))
        for place in np.argsort(-bounds, kind="stable"):
            if bounds[place] < best[0] * (1 - TIE):
                return
            yield int(self.keys[place]), self.points[self.starts[place] : ends[place]]


def convex_hull(points: IntArray) -> IntArray:
    """Strict convex hull of whole-number points, counter-clockwise in (row, column), shape (m, 2).

    Andrew's monotone chain on the first and last point of every row; exact.
    """
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    new_row = np.flatnonzero(np.diff(ordered[:, 0])) + 1
    lows = ordered[np.concatenate([[0], new_row])]
    highs = ordered[np.concatenate([new_row - 1, [len(ordered) - 1]])]
    lower = _chain(lows.tolist(), 1)
    upper = _chain(highs.tolist(), -1)
    ring = lower + upper[::-1]
    unique = [p for k, p in enumerate(ring) if p != ring[k - 1]] or ring[:1]
    return np.array(unique, dtype=np.int64)


def _chain(points: list[list[int]], sign: int) -> list[list[int]]:
    """Chain of a hull that keeps to the side of smaller (sign 1) or larger (sign -1) columns."""
    chain: list[list[int]] = []
    for row, column in points:
        while len(chain) > 1:
            (r0, c0), (r1, c1) = chain[-2], chain[-1]
            if sign * ((r1 - r0) * (column - c0) - (c1 - c0) * (row - r0)) > 0:
                break
            chain.pop()
        chain.append([row, column])
    return chain


def farthest_pairs(points: FloatArray) -> tuple[float, IntArray]:
    """Diameter of a point set, and every pair (i < j) that reaches it within `TIE`.

    Parameters
    ----------
    points
        Positions, mm, shape (m, 2) or (m, 3).
    """
    if len(points) < 2:
        return 0.0, np.empty((0, 2), dtype=np.int64)
    squares = sum((column[:, None] - column[None, :]) ** 2 for column in points.T)
    pairs = np.argwhere(squares >= squares.max() * (1 - 2 * TIE))
    return float(np.sqrt(squares.max())), pairs[pairs[:, 0] < pairs[:, 1]]


def longest_across(hull: FloatArray, pair: tuple[int, int]) -> tuple[float, FloatArray]:
    """Longest segment within a convex polygon that is perpendicular to its diameter.

    Parameters
    ----------
    hull
        Vertices in order, mm, shape (m, 2).
    pair
        Vertices that span the diameter.

    Returns
    -------
    length, ends
        Length in mm and the two end points, shape (2, 2).

    Notes
    -----
    The length of the intersection is piecewise linear along the diameter, with corners at the vertices: its maximum
    is at a vertex. The ends of a diameter are the only vertices with extreme positions along it, so both sides of
    the polygon are functions of that position.
    """
    one, other = pair
    origin, axis = hull[one], hull[other] - hull[one]
    axis = axis / np.hypot(*axis)
    across = np.array([-axis[1], axis[0]])
    ring = np.roll(hull, -one, axis=0) - origin
    along, aside = ring @ axis, ring @ across
    turn = (other - one) % len(hull)
    side_a = np.interp(along, along[: turn + 1], aside[: turn + 1])
    back = np.append(np.arange(turn, len(hull)), 0)[::-1]
    side_b = np.interp(along, along[back], aside[back])
    lengths = np.abs(side_a - side_b)
    place = int(np.flatnonzero(lengths >= lengths.max() * (1 - TIE))[0])
    foot = origin + along[place] * axis
    ends = np.stack([foot + side_a[place] * across, foot + side_b[place] * across])
    return float(lengths[place]), ends


def narrowest_width(hull: FloatArray) -> float:
    """Smallest distance of two parallel lines that hold a convex polygon; one of them runs along a side."""
    sides = np.roll(hull, -1, axis=0) - hull
    normals = np.stack([-sides[:, 1], sides[:, 0]], axis=1) / np.linalg.norm(sides, axis=1)[:, None]
    return float(np.ptp(hull @ normals.T, axis=0).min())
