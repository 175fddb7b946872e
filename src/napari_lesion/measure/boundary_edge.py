"""The intensity across the outline of a lesion: one profile, its width and its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.measure.boundary_near import REACH_MM, Neighbourhood
from napari_lesion.measure.boundary_surface import Surface, normals_of

if TYPE_CHECKING:
    from napari_lesion.measure.context import LesionContext

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

STEP_MM = 0.25
PLATEAU_MM = 1.0
GRADIENT_MM = 2.0
VALID_SHARE = 0.5
GAUSS_10_90 = 2.5631
"""Width of the edge of a Gaussian blur in its SDs."""

POINTS = 400
"""Surface points of a profile; more do not change it (docs/boundary.md)."""

CHUNK = 8192
ROUND_OFF = 1e-6
TIE = 1e-9

OFFSETS_MM: FloatArray = np.linspace(-REACH_MM, REACH_MM, 2 * round(REACH_MM / STEP_MM) + 1)


@dataclass(frozen=True, eq=False)
class EdgeProfile:
    """The intensity along the normals of a lesion's surface, from inside to outside.

    Parameters
    ----------
    offsets_mm
        Offset from the outline of the mask, -5 to 5 mm; negative inside.
    median, p25, p75
        Area-weighted quantiles over the surface at each offset; NaN where less than half of the surface can be seen.
    inside_level, outside_level
        Mean of the median over its innermost and outermost 1 mm.
    width_mm
        Distance of the 10 % and the 90 % crossing of the median between these levels, less the blur of the
        interpolation; 0 where the edge is as sharp as voxels are, NaN without a clear edge.
    offset_mm
        Offset of the 50 % crossing: above 0 where the mask is too small.
    gradient
        Median over the surface of the steepest slope within 2 mm of the outline, intensity per mm.
    points
        Number of surface points behind the profile.
    """

    offsets_mm: FloatArray
    median: FloatArray
    p25: FloatArray
    p75: FloatArray
    inside_level: float
    outside_level: float
    width_mm: float
    offset_mm: float
    gradient: float
    points: int


def edge_of(c: LesionContext) -> EdgeProfile:
    """Edge profile of a lesion.

    An edge counts when its two levels differ by more than 3·ring SD/sqrt(n), n the smaller number of voxels of lesion
    and ring.
    """
    surface = c.surface.sample(POINTS, c.mask.shape)
    noise = 0.0 if c.ring.is_small else 3.0 * c.ring.sd / math.sqrt(min(c.n, c.ring.voxels))
    return profile_of(c.near, surface, normals_of(surface, c.mask, c.spacing), c.spacing, noise)


def profile_of(
    near: Neighbourhood, surface: Surface, normals: FloatArray, spacing: Triple, noise: float = 0.0
) -> EdgeProfile:
    """Edge profile of a lesion.

    Parameters
    ----------
    near
        The lesion and its surroundings.
    surface, normals
        Points relative to the tight box of the lesion, and unit vectors outwards, mm.
    spacing
        Spacing (z, y, x), mm.
    noise
        Smallest difference of the two levels, in either direction, that counts as an edge.

    Notes
    -----
    Linear interpolation between voxels h apart blurs like a Gaussian of variance h²/6, the mean of f(1 - f)h² over
    the place f between two voxels. Its median share along the normals is taken from the width in quadrature.
    """
    pointing = np.isfinite(normals[:, 0])
    if not pointing.any():
        nothing, nan = np.full(len(OFFSETS_MM), np.nan), float("nan")
        return EdgeProfile(OFFSETS_MM, nothing, nothing, nothing, nan, nan, nan, nan, nan, 0)
    weights = surface.weights[pointing]
    start = surface.points[pointing] + np.asarray(near.margin)
    steps = normals[pointing] / np.asarray(spacing)
    values = _sample(near, start, steps)
    median, p25, p75 = _quantiles(values, weights)
    inside, outside = _levels(median)
    width, offset = _crossings(median, inside, outside) if abs(inside - outside) > noise else (np.nan, np.nan)
    blur = weighted_quantiles((normals[pointing] ** 2 @ np.square(spacing) / 6.0)[None], weights, (0.5,))[0, 0]
    width = float(np.sqrt(np.maximum(width**2 - GAUSS_10_90**2 * blur, 0.0)))
    gradient = _gradient(values, weights) if np.isfinite(inside - outside) else float("nan")
    return EdgeProfile(OFFSETS_MM, median, p25, p75, inside, outside, width, offset, gradient, len(weights))


def _sample(near: Neighbourhood, start: FloatArray, steps: FloatArray) -> FloatArray:
    """Trilinear values, shape (offsets, points); NaN where a sample is on the wrong side or not to be used."""
    where = start.T[:, None, :] + steps.T[:, None, :] * OFFSETS_MM[:, None]
    where = where.reshape(3, -1)
    channels: list[npt.NDArray[Any]] = [near.image, near.lesion.view(np.uint8)]
    if near.blocked.any():
        channels.append(near.blocked.view(np.uint8))
    found: FloatArray = np.empty((len(channels), where.shape[1]))
    for begin in range(0, where.shape[1], CHUNK):
        part = slice(begin, begin + CHUNK)
        found[:, part] = _interpolate(channels, where[:, part])
    values: FloatArray = found[0].reshape(len(OFFSETS_MM), -1)
    lesion = found[1].reshape(len(OFFSETS_MM), -1)
    lesion[OFFSETS_MM < 0] = 1.0 - lesion[OFFSETS_MM < 0]
    lesion[OFFSETS_MM == 0] = 0.0
    values[lesion > 0.5 + ROUND_OFF] = np.nan
    if len(channels) == 3:
        values[found[2].reshape(values.shape) > ROUND_OFF] = np.nan
    return values


def _interpolate(channels: Sequence[npt.NDArray[Any]], where: FloatArray) -> FloatArray:
    """Trilinear values of several arrays of one shape at indices (3, n).

    By hand, since the arrays share the cell and its fractions: half the time of `scipy.ndimage.map_coordinates`.
    """
    _, height, width = channels[0].shape
    low = np.floor(where)
    z, y, x = where - low
    first = ((low[0] * height + low[1]) * width + low[2]).astype(np.intp)
    out = np.empty((len(channels), where.shape[1]))
    for found, channel in zip(out, channels, strict=True):
        voxels = channel.ravel()
        rows = [_between(voxels, first + step, x) for step in (0, width, height * width, (height + 1) * width)]
        near, far = _mix(rows[0], rows[1], y), _mix(rows[2], rows[3], y)
        found[:] = _mix(near, far, z)
    return out


def _between(voxels: npt.NDArray[Any], first: npt.NDArray[np.intp], share: FloatArray) -> FloatArray:
    low = voxels.take(first).astype(np.float64)
    first += 1
    return _mix(low, voxels.take(first), share)


def _mix(low: FloatArray, high: npt.NDArray[Any], share: FloatArray) -> FloatArray:
    """Write ``low + share·(high - low)`` into ``low``."""
    difference = high - low
    difference *= share
    low += difference
    return low


def _quantiles(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted median and quartiles (3, offsets); NaN where less than half of the weight is valid."""
    quantiles = weighted_quantiles(values, weights, (0.5, 0.25, 0.75))
    quantiles[:, np.isfinite(values) @ weights < VALID_SHARE * weights.sum()] = np.nan
    return quantiles


def weighted_quantiles(values: FloatArray, weights: FloatArray, shares: tuple[float, ...]) -> FloatArray:
    """Weighted quantiles of each row, NaN left out.

    The smallest value up to which the weights sum to at least a share, and on a tie the mean with the next one. Equal
    values may come in any order, and round-off in the weights does not matter.

    Parameters
    ----------
    values
        Shape (rows, n).
    weights
        Shape (n,), above 0.
    shares
        Between 0 and 1.

    Returns
    -------
    ndarray
        Shape (shares, rows); NaN for a row without a value.
    """
    order = np.argsort(values, axis=1)  # NaN last
    ordered = np.take_along_axis(values, order, axis=1)
    sums = np.cumsum(np.where(np.isfinite(ordered), weights[order], 0.0), axis=1)
    total, rows = sums[:, -1], np.arange(len(values))
    quantiles = np.empty((len(shares), len(values)))
    for quantile, share in zip(quantiles, shares, strict=True):
        low = (sums < ((share - TIE) * total)[:, None]).sum(axis=1)
        high = (sums < ((share + TIE) * total)[:, None]).sum(axis=1)
        quantile[:] = (ordered[rows, low] + ordered[rows, high]) / 2.0
    return quantiles


def _levels(median: FloatArray) -> tuple[float, float]:
    """Mean of the innermost and of the outermost millimetre that is known; NaN when a side is missing."""
    known = np.flatnonzero(np.isfinite(median))
    inner, outer = known[OFFSETS_MM[known] < 0], known[OFFSETS_MM[known] > 0]
    if not inner.size or not outer.size:
        return float("nan"), float("nan")
    reach = round(PLATEAU_MM / STEP_MM)
    inside = median[inner[inner <= inner[0] + reach]].mean()
    outside = median[outer[outer >= outer[-1] - reach]].mean()
    return float(inside), float(outside)


def _crossings(median: FloatArray, inside: float, outside: float) -> tuple[float, float]:
    """Distance of the 10 % and 90 % crossings beside the 50 % crossing nearest to the outline, and its offset."""
    known = np.isfinite(median)
    offsets, share = OFFSETS_MM[known], (median[known] - outside) / (inside - outside)
    half = _falls(offsets, share, 0.5)
    if not half.size:
        return float("nan"), float("nan")
    middle = float(half[np.abs(half).argmin()])
    high, low = _falls(offsets, share, 0.9), _falls(offsets, share, 0.1)
    high, low = high[high <= middle], low[low >= middle]
    width = float(low[0] - high[-1]) if high.size and low.size else float("nan")
    return width, middle


def _falls(offsets: FloatArray, share: FloatArray, level: float) -> FloatArray:
    """Offsets at which a line falls through a level, by linear interpolation."""
    at = np.flatnonzero((share[:-1] >= level) & (share[1:] < level))
    return offsets[at] + (share[at] - level) / (share[at] - share[at + 1]) * (offsets[at + 1] - offsets[at])


def _gradient(values: FloatArray, weights: FloatArray) -> float:
    """Weighted median of the steepest central difference within 2 mm of the outline."""
    slopes = np.abs(values[2:] - values[:-2]) / (2.0 * STEP_MM)
    slopes = slopes[np.abs(OFFSETS_MM[1:-1]) <= GRADIENT_MM + ROUND_OFF]
    steepest = np.where(np.isfinite(slopes), slopes, -1.0).max(axis=0, initial=-1.0)
    seen = steepest >= 0
    if not seen.any():
        return float("nan")
    return float(weighted_quantiles(steepest[None, seen], weights[seen], (0.5,))[0, 0])
