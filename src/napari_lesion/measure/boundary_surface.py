"""Points on the surface of a voxel set, with their share of the area and the direction outwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.measure.configurations import CONFIGURATIONS, CORNERS, crofton_table

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SIGMA_MM = 1.0
LEAST_SIGMA = 0.6
BELL = 13.0**0.5
"""Radius of the bell over its SD along an axis."""
GATHER = 1 << 15
"""Voxels looked up at once: few enough for BLAS to stay in one thread, which waits on a busy machine otherwise."""
FLAT = 1e-9
"""Numbers below this are round-off."""


@dataclass(frozen=True, eq=False)
class Surface:
    """One point for each block of 2x2x2 voxels that the surface crosses.

    Parameters
    ----------
    corner
        First voxel (z, y, x) of each block, relative to the crop; -1 is one voxel before it.
    points
        Middle of the surface within the block: the mean of the crossed edges of the block, index (z, y, x).
    weights
        Area of the block, mm², by the Cauchy-Crofton formula.
    """

    corner: IntArray
    points: FloatArray
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.weights)

    def sample(self, most: int, extent: tuple[int, ...]) -> Surface:
        """A part of the points that is spread without order, the same for every flip or turn of the set.

        Parameters
        ----------
        most
            Number of points up to which all are kept; about as many are left of more.
        extent
            Shape of the crop.

        Notes
        -----
        A point is chosen by a hash of its distances, in voxels, from the nearer ends of the box along the three
        axes, regardless of their order: points that a flip or a permutation exchanges stand or fall together.
        """
        if len(self) <= most:
            return self
        last = np.asarray(extent, dtype=np.int64) - 1
        nearer = np.minimum(self.corner + 1, last - self.corner).astype(np.uint64)
        key = _scramble(_scramble(nearer).sum(axis=1, dtype=np.uint64))
        chosen = key <= np.partition(key, most - 1)[most - 1]
        return Surface(self.corner[chosen], self.points[chosen], self.weights[chosen])


def surface_of(mask: BoolArray, spacing: Triple) -> Surface:
    """Surface points of a voxel set in a tight crop; ``spacing`` is (z, y, x) in mm."""
    padded = np.pad(mask, 1).view(np.uint8)
    rows = padded[:, :, :-1] | (padded[:, :, 1:] << 1)
    planes = rows[:, :-1] | (rows[:, 1:] << 2)
    codes = planes[:-1] | (planes[1:] << 4)
    places = np.flatnonzero((codes.ravel() + np.uint8(1)) > 1)
    code = codes.ravel()[places]
    corner = np.stack(np.unravel_index(places, codes.shape), axis=1) - 1
    return Surface(corner, corner + _middles()[code], crofton_table(spacing)[code])


def normals_of(surface: Surface, mask: BoolArray, spacing: Triple) -> FloatArray:
    """Unit vectors out of a voxel set, mm, in the middle of the blocks; NaN where there is no direction.

    The gradient of the set smoothed by a bell of SD 1 mm, or of 0.6 times the largest spacing where that is more.

    Parameters
    ----------
    surface
        Points, whose blocks may lie one voxel outside ``mask``.
    mask
        The set in its tight crop.
    spacing
        Spacing (z, y, x), mm.
    """
    offsets, weights = _kernels(max(SIGMA_MM, LEAST_SIGMA * max(spacing)), spacing)
    gradient = _convolved(surface, mask, offsets, weights[:, :3])
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        normals: FloatArray = np.where(length > FLAT, -gradient / length, np.nan)
    return normals


def curvature_of(surface: Surface, mask: BoolArray, spacing: Triple, sigma: float) -> FloatArray:
    """Mean curvature of a voxel set, 1/mm, in the middle of the blocks; above 0 where it bulges, NaN where undefined.

    That of the level set of the set smoothed by a bell: ``(gᵀHg - |g|² tr H) / (2 |g|³)`` with its gradient g
    and its Hessian H (Goldman 2005, Comput Aided Geom Des 22:632).

    Parameters
    ----------
    surface, mask, spacing
        As for `normals_of`.
    sigma
        SD of the bell along an axis, mm.
    """
    derivatives = _convolved(surface, mask, *_kernels(sigma, spacing))
    g, (xx, yy, zz, xy, xz, yz) = derivatives[:, :3].T, derivatives[:, 3:].T
    length: FloatArray = np.sqrt((g**2).sum(axis=0))
    across = g[0] ** 2 * xx + g[1] ** 2 * yy + g[2] ** 2 * zz
    across += 2.0 * (g[0] * g[1] * xy + g[0] * g[2] * xz + g[1] * g[2] * yz)
    with np.errstate(invalid="ignore", divide="ignore"):
        curvature: FloatArray = (across - length**2 * (xx + yy + zz)) / (2.0 * length**3)
    curvature[length <= FLAT] = np.nan
    return curvature


def _convolved(surface: Surface, mask: BoolArray, offsets: IntArray, weights: FloatArray) -> FloatArray:
    """Sums of a set over kernels around the blocks: (points, kernels)."""
    reach = int(offsets.max())
    padded = np.pad(mask, reach + 1).view(np.uint8)
    strides = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    first, step = (surface.corner + reach + 1) @ strides, offsets @ strides
    flat = padded.ravel()
    sums = np.empty((len(surface), weights.shape[1]))
    rows = max(1, GATHER // len(step))
    for begin in range(0, len(surface), rows):
        part = slice(begin, begin + rows)
        sums[part] = flat.take(first[part, None] + step).astype(np.float64) @ weights
    return sums


@lru_cache(maxsize=64)
def _kernels(sigma: float, spacing: Triple) -> tuple[IntArray, FloatArray]:
    """Offsets of voxels from the first one of a block, and the derivatives of a bell in the middle of it.

    The bell is ``(1 - r²/R²)⁴``, which ends smoothly at R = sqrt(13)·sigma; the second derivatives of a Gaussian that
    is cut off do not sum to 0. The columns are z, y, x, zz, yy, xx, zy, zx, yx.
    """
    half = np.asarray(spacing) / 2.0
    reach = max(BELL * sigma, float(np.linalg.norm(half)) * 1.01)
    steps = [np.arange(-int(reach // s), int(reach // s) + 2) for s in spacing]
    offsets = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    away = (offsets - 0.5) * spacing / reach
    left = 1.0 - (away**2).sum(axis=1)
    near = left > FLAT
    away, left = away[near], left[near, None]
    slopes = 8.0 * left**3 * away
    bends = 48.0 * left**2 * away**2 - 8.0 * left**3
    bends -= left**4 * (bends.sum(axis=0) / (left**4).sum())  # on the lattice too
    mixed = np.stack([away[:, 0] * away[:, 1], away[:, 0] * away[:, 2], away[:, 1] * away[:, 2]], axis=1)
    return offsets[near], np.hstack([slopes / reach, bends / reach**2, 48.0 * left**2 * mixed / reach**2])


@cache
def _middles() -> FloatArray:
    """Mean of the middles of the crossed edges of each configuration, from the first voxel of the block."""
    middles = np.full((CONFIGURATIONS, 3), 0.5)
    for code in range(1, CONFIGURATIONS - 1):
        inside = (code >> np.arange(8)) & 1 == 1
        crossed = [
            (CORNERS[a] + CORNERS[b]) / 2.0
            for a in range(8)
            for b in range(a)
            if np.abs(CORNERS[a] - CORNERS[b]).sum() == 1 and inside[a] != inside[b]
        ]
        middles[code] = np.mean(crossed, axis=0)
    return middles


def _scramble(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix the bits of integers (the finaliser of SplitMix64; Steele et al. 2014, OOPSLA)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
