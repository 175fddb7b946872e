"""Points on the surface of a voxel set, with their share of the area and the direction outwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.measure.configurations import CONFIGURATIONS, CORNERS, crofton_table

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SIGMA_MM = 1.0


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

    The gradient of the set smoothed by a Gaussian of SD 1 mm, or of 0.6 times the largest spacing where that is more.

    Parameters
    ----------
    surface
        Points, whose blocks may lie one voxel outside ``mask``.
    mask
        The set in its tight crop.
    spacing
        Spacing (z, y, x), mm.
    """
    sigma = max(SIGMA_MM, 0.6 * max(spacing))
    offsets, weights = _gradient_kernel(sigma, spacing)
    reach = int(offsets.max())
    padded = np.pad(mask, reach + 1).view(np.uint8)
    strides = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    first = (surface.corner + reach + 1) @ strides
    flat, step = padded.ravel(), offsets @ strides
    gradient = np.empty((len(surface), 3))
    for begin in range(0, len(surface), 1024):
        part = slice(begin, begin + 1024)
        gradient[part] = flat[first[part, None] + step].astype(np.float64) @ weights
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        normals: FloatArray = np.where(length > 1e-9, -gradient / length, np.nan)
    return normals


@cache
def _gradient_kernel(sigma: float, spacing: Triple) -> tuple[IntArray, FloatArray]:
    """Offsets of voxels from the first one of a block, and the derivative of a Gaussian in the middle of it."""
    half = np.asarray(spacing) / 2.0
    reach = max(2.5 * sigma, float(np.linalg.norm(half)) * (1 + 1e-9))
    steps = [np.arange(-int(reach // s), int(reach // s) + 2) for s in spacing]
    offsets = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    away = (offsets - 0.5) * spacing
    squared = (away**2).sum(axis=1)
    near = squared <= reach**2 * (1 + 1e-9)
    return offsets[near], away[near] * np.exp(-squared[near] / (2.0 * sigma**2))[:, None]


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
