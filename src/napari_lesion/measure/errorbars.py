"""How far volume and axes of a body may be off because a grid of voxels saw it: 95 % half widths.

Volume. A digital body holds as many voxels as lattice points fall into it. By Poisson's summation the error of
that count is a sum of waves, one for each vector of the reciprocal lattice, whose strength is the Fourier transform
of the body; averaged over the place of the grid they add up in quadrature (Kendall 1948, Q J Math 19:1, on lattice
points in a random oval). For an ellipsoid that sum is known, and the second moments of the voxels give the
ellipsoid: nothing was fitted. Thick slices come in by themselves, as a short step of the reciprocal lattice.

Axes. Three things move them. The outline follows pixel middles: a constant part of a pixel. The tips of a body
are cut off where the cap that is left is smaller than a pixel: a depth that grows with the cube root of the
curvature. And the widest section falls between two slices: how far is told by the centroid, and how much that costs
by the height of the body. The sizes of these effects were fitted on digital spheres and ellipsoids
(``benchmarks/coverage.py``).

With one or two slices neither the moments nor the centroid tell how far the body goes beyond them; a sphere with the
same sections does. None of this holds the reader, the model, partial volume or the threshold, and a flat face
that lies along the grid is off by up to half a voxel all over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from napari_lesion.measure.context import LesionContext

FloatArray = npt.NDArray[np.float64]

TWO_SIDED, ONE_SIDED = 1.960, 1.645
"""Quantiles of the normal distribution that leave 2.5 % and 5 % beyond them."""

ONE_WAVE = 1.83
"""95 % quantile, in SD, of one wave and its harmonics (sin u·cos v at random phases), which is bounded."""

SHELLS = 3
"""Reciprocal vectors up to this index are summed; what lies beyond is a multiple of the last shell."""

FEW_LAYERS = 2
"""Up to so many layers of voxels tell nothing about the body beyond them."""

ROUND_PIXELS = 2.7
"""A section whose axes differ by less than this counts as round: any direction may come out as the longest."""

HIDDEN_MEAN, HIDDEN_SD = (0.5, 1.0), (0.38, 0.40)
"""Mean and SD of the length that one slice and that two slices hide, in parts of what a sphere would have."""

LOSS_SD, BETWEEN_SD = 0.30, 0.10
"""SD of the loss between three or more slices, in parts of the loss and of the loss midway between two slices."""


@dataclass(frozen=True)
class AxisNoise:
    """What the pixels do to an axis; all in pixels.

    Parameters
    ----------
    outline
        How much the outline through segment midpoints is too long.
    tip
        How much is lost, in parts of the depth of a cap with the area of a pixel.
    roundness
        How much the largest of many equal directions gains on a round section.
    sd, sd_round, sd_tip
        SD everywhere; more on a round section; in parts of the depth of the cap.
    """

    outline: float
    tip: float
    roundness: float
    sd: float
    sd_round: float
    sd_tip: float


LONG_AXIS = AxisNoise(outline=0.83, tip=1.0, roundness=0.20, sd=0.07, sd_round=0.0, sd_tip=0.30)
SHORT_AXIS = AxisNoise(outline=0.60, tip=0.8, roundness=0.0, sd=0.185, sd_round=0.235, sd_tip=0.15)


def volume_error(c: LesionContext) -> float:
    """95 % half width of ``volume_mm3``, mm³."""
    variance, largest = lattice_variance(second_moments(c), np.asarray(c.spacing))
    quantile = TWO_SIDED - (TWO_SIDED - ONE_WAVE) * largest
    hidden = sum(_hidden_volume(c, axis) ** 2 for axis in range(3))
    return math.sqrt(quantile**2 * variance * _roughness(c) + hidden)


def second_moments(c: LesionContext) -> FloatArray:
    """Covariance of all points of the voxels (not of their centres alone), mm², shape (3, 3)."""
    spacing = np.asarray(c.spacing)
    moments: FloatArray = c.moments.scatter / c.n * np.outer(spacing, spacing) + np.diag(spacing**2) / 12.0
    return moments


@cache
def _reciprocal() -> tuple[FloatArray, FloatArray]:
    """Index vectors of one half of the reciprocal lattice, shape (n, 3), and their weights.

    A shell of index m contributes in proportion to the integral of 1/m² over it, so all shells beyond the last one
    add up to `SHELLS` - 1/2 times the last.
    """
    side = np.arange(-SHELLS, SHELLS + 1)
    every = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    half = every[len(every) // 2 + 1 :]
    weights = np.where(np.abs(half).max(axis=1) == SHELLS, SHELLS + 0.5, 1.0)
    return half.astype(np.float64), 2.0 * weights


def lattice_variance(moments: FloatArray, spacing: FloatArray) -> tuple[float, float]:
    """Variance of the digital volume of an ellipsoid that is placed at random on the grid.

    Parameters
    ----------
    moments
        Covariance of the points of the ellipsoid, mm², shape (3, 3).
    spacing
        Voxel spacing along the same axes, mm.

    Returns
    -------
    variance
        In mm⁶.
    largest
        Share of its strongest wave: near 1 in thick slices.

    Notes
    -----
    With the shape matrix E = 5·moments and q² = k'Ek for the reciprocal vector k, the squared Fourier transform of
    the ellipsoid is det(E)·(sin 2πq - 2πq·cos 2πq)²/(4π⁴q⁶). The size is not known to a fraction of a voxel, so
    the phase is averaged out: det(E)·(1 + 1/(2πq)²)/(2π²q⁴).
    """
    index, weights = _reciprocal()
    shape = 5.0 * moments / np.outer(spacing, spacing)
    squares = np.einsum("ni,ij,nj->n", index, shape, index)
    waves = (1.0 + 1.0 / (4.0 * math.pi**2 * squares)) / (2.0 * math.pi**2 * squares**2)
    total = float(weights @ waves)
    variance = total * float(np.linalg.det(shape)) * float(np.prod(spacing)) ** 2
    return variance, 2.0 * float(waves.max()) / total


def _roughness(c: LesionContext) -> float:
    """Surface over that of the ellipsoid with the same moments, at least 1.

    The variance of a smooth body is in proportion to its surface, of which an irregular lesion has more.
    """
    from scipy.special import elliprg

    a, b, d = 5.0 * np.linalg.eigvalsh(second_moments(c))
    return max(1.0, c.crofton_area / float(4.0 * math.pi * elliprg(a * b, a * d, b * d)))


def _hidden_volume(c: LesionContext, axis: int) -> float:
    """Difference to a body that is as round as the one or two sections across an axis allow, mm³; 0 with more.

    A sphere through the sections; where it would meet a slice in which nothing was seen, a spheroid that ends there.
    """
    profile, step = c.moments.profiles[axis], c.spacing[axis]
    if len(profile) > FEW_LAYERS:
        return 0.0
    widest, beyond = _sections(profile * (c.voxel_volume / step), step)
    if len(profile) == 1 and beyond == 0.0:
        return 0.0
    height = min(math.hypot(widest, beyond), step + beyond, len(profile) * step - beyond)
    largest = math.pi * widest**2 / (1.0 - (beyond / height) ** 2)
    return abs(4.0 / 3.0 * largest * height - c.n * c.voxel_volume)


def _sections(areas: npt.NDArray[np.floating], step: float) -> tuple[float, float]:
    """Radius of the wider of one or two sections, and how far from it the middle of the sphere lies, mm.

    One section leaves that open; the farthest place is given at which the sphere meets no other slice.
    """
    square = float(areas.max()) / math.pi
    other = float(areas.min()) / math.pi if len(areas) == FEW_LAYERS else 0.0
    return math.sqrt(square), max(0.0, (step**2 - square + other) / (2.0 * step))


def long_axis_error(c: LesionContext) -> float:
    """95 % half width of ``long_axis_mm``, mm."""
    return _axis_error(_long_side(c), c)


def short_axis_error(c: LesionContext) -> float:
    """95 % half width of ``short_axis_mm``, mm."""
    return _axis_error(_short_side(c), c)


def mean_diameter_error(c: LesionContext) -> float:
    """95 % half width of ``mean_diameter_mm``, mm.

    On a round section the short axis has to lie across whatever came out as the long one: what one gains the other
    loses, and their mean is the surer for it.
    """
    short = _short_side(c)
    sides = _long_side(c), replace(short, noise=replace(short.noise, sd_round=0.0))
    pixels = [_pixel_effect(side, c) for side in sides]
    losses = [_loss_between_slices(side.length, c) for side in sides]
    bias = sum(loss - shift for (shift, _), (loss, _) in zip(pixels, losses, strict=True)) / 2.0
    return half_width(bias, math.hypot(*(sd for _, sd in pixels), sum(sd for _, sd in losses)) / 2.0)


@dataclass(frozen=True)
class _Side:
    """One axis: its length and that of the other one, mm, its ends (row, column) in pixels, what pixels do to it."""

    length: float
    across: float
    ends: FloatArray
    noise: AxisNoise


def _long_side(c: LesionContext) -> _Side:
    return _Side(c.axes.long_mm, c.axes.short_mm, c.axes.long_ends, LONG_AXIS)


def _short_side(c: LesionContext) -> _Side:
    return _Side(c.axes.short_mm, c.axes.long_mm, c.axes.short_ends, SHORT_AXIS)


def _axis_error(side: _Side, c: LesionContext) -> float:
    shift, sd = _pixel_effect(side, c)
    loss, loss_sd = _loss_between_slices(side.length, c)
    return half_width(loss - shift, math.hypot(sd, loss_sd))


def half_width(bias: float, sd: float) -> float:
    """95 % quantile of the absolute value of a normal variable (within 0.01 SD)."""
    if sd == 0.0:
        return abs(bias)
    return abs(bias) + sd * (ONE_SIDED + (TWO_SIDED - ONE_SIDED) * math.exp(-3.9 * abs(bias) / sd))


def _pixel_effect(side: _Side, c: LesionContext) -> tuple[float, float]:
    """By how much pixels lengthen an axis, and the SD of that, mm.

    A cap of the depth d has the area 4/3·sqrt(2r)·d^(3/2), r the radius of curvature at the tip: the depth of the
    cap that is as large as a pixel of the area p² is in proportion to p·(p/r)^(1/3). An ellipse has
    r = across²/(2·length). What else pixels do to an axis goes with their width along it.
    """
    spacing = np.asarray(c.axial_spacing[1:])
    noise, pixel = side.noise, math.sqrt(spacing[0] * spacing[1])
    along = (side.ends[1] - side.ends[0]) * spacing
    width = float(np.linalg.norm(along * spacing) / np.linalg.norm(along))
    tip = pixel * (2.0 * pixel * side.length / side.across**2) ** (1.0 / 3.0)
    roundness = math.exp(-(((side.length - side.across) / (ROUND_PIXELS * max(spacing))) ** 2))
    shift = width * (noise.outline + noise.roundness * roundness) - noise.tip * tip
    return shift, math.hypot(width * noise.sd, width * noise.sd_round * roundness, noise.sd_tip * tip)


def _loss_between_slices(length: float, c: LesionContext) -> tuple[float, float]:
    """By how much the widest section is longer than the widest slice, and the SD of that, mm."""
    areas, step, axis = c.slice_areas, c.axial_spacing[0], c.grid.axial_axis
    least = max(0.5, (len(areas) - 1) / 2.0)
    height = max(math.sqrt(5.0 * c.moments.scatter[axis, axis] / c.n), least) * step
    between = BETWEEN_SD * length * (step / height) ** 2 / 8.0
    if len(areas) <= FEW_LAYERS:
        widest, beyond = _sections(areas * (c.voxel_volume / step), step)
        hidden = length * (math.hypot(widest, beyond) / widest - 1.0)
        place = len(areas) - 1
        return hidden * HIDDEN_MEAN[place], math.hypot(HIDDEN_SD[place] * hidden, between)
    centre = float(c.moments.mean[axis])
    # of all slices, the widest section is nearest to this one; the slice with the long axis may be one of several
    offset = abs(centre - round(centre)) * step / height
    loss = length * (1.0 / math.sqrt(1.0 - offset**2) - 1.0)
    return loss, math.hypot(LOSS_SD * loss, between)
