"""The brush in millimetres: what napari's brush of whole pixels comes to, and where it must be set down (no Qt)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box

LARGEST_PIXELS = 401
STEP_SHARE = 0.5
"""Neighbouring marks of the brush in one stroke lie at most half a radius apart."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Brush:
    """A brush that napari can draw.

    napari paints every voxel whose centre lies within ``floor(size / 2) + 0.5`` pixels of the one under the pointer,
    where a pixel is the smallest spacing of the painted axes and distances are weighed by the spacing: the brush is
    round in millimetres, and its diameter an odd number of pixels.

    Parameters
    ----------
    pixels
        Brush size in napari's terms: an odd number of pixels.
    spacing
        Spacing along the painted axes, mm: two for a brush in the slice, three for a ball.
    """

    pixels: int
    spacing: tuple[float, ...]

    @classmethod
    def nearest(cls, diameter_mm: float, spacing: Sequence[float]) -> Brush:
        """The brush whose diameter is nearest to the wanted one; a single voxel at least."""
        pixel = min(spacing)
        half = max(0, round((diameter_mm / pixel - 1) / 2))
        return cls(min(2 * half + 1, LARGEST_PIXELS), tuple(float(s) for s in spacing))

    @classmethod
    def of_pixels(cls, pixels: int, spacing: Sequence[float]) -> Brush:
        """The brush that napari draws for a size in pixels; an even size counts as the next odd one."""
        return cls(2 * (int(pixels) // 2) + 1, tuple(float(s) for s in spacing))

    @property
    def diameter_mm(self) -> float:
        """Real diameter, mm."""
        return self.pixels * min(self.spacing)

    @property
    def reach(self) -> tuple[int, ...]:
        """Voxels that the brush reaches to either side along each painted axis."""
        return tuple(math.floor(self.diameter_mm / 2 / s + 1e-9) for s in self.spacing)

    @property
    def is_ball(self) -> bool:
        """Whether the brush paints neighbouring slices, too."""
        return len(self.spacing) == 3

    @property
    def words(self) -> str:
        """Real size for the panel: millimetres, and voxels across; slices for a ball."""
        across = [2 * n + 1 for n in self.reach]
        if self.is_ball:
            return f"{self.diameter_mm:.1f} mm, {across[1]} × {across[2]} px, {across[0]} slices"
        return f"{self.diameter_mm:.1f} mm, {across[0]} × {across[1]} px"


def napari_leaves_gaps(brush: Brush, displayed_spacing: Sequence[float]) -> bool:
    """Whether the marks that napari sets between two positions of the pointer are too far apart.

    napari steps by a quarter of the brush size in voxels, which along a coarse axis is more than the brush covers.
    """
    step_mm = brush.pixels / 4 * max(displayed_spacing)
    return step_mm > 1.01 * STEP_SHARE * brush.diameter_mm / 2


def marks_between(last: Points, here: Points, scale: Sequence[float], radius_mm: float) -> Points:
    """Positions at which the brush must be set down on its way, without the first one.

    Parameters
    ----------
    last, here
        Former and present position of the pointer, voxels of the layer.
    scale
        Spacing along the axes of the layer, mm.
    radius_mm
        Radius of the brush, mm.

    Returns
    -------
    Points
        Shape (n, axes), voxels, n at least 1; neighbours at most half a radius apart. Positions that round to the
        same voxel are given once.
    """
    length = float(np.linalg.norm((here - last) * np.asarray(scale)))
    n = max(1, math.ceil(length / (STEP_SHARE * radius_mm)))
    points = np.rint(last + (here - last) * (np.arange(1, n + 1) / n)[:, np.newaxis])
    fresh = np.ones(len(points), dtype=bool)
    fresh[1:] = (np.diff(points, axis=0) != 0).any(axis=1)
    kept: Points = points[fresh]
    return kept


def swept_box(points: Points, reach: Sequence[int], shape: Sequence[int]) -> Box | None:
    """Box of everything that a brush covers which is set down at some points; None outside the volume.

    ``reach`` names the voxels to either side along every axis of the layer (0 for one that is not painted).
    """
    low = np.maximum(np.rint(points.min(axis=0)) - reach, 0).astype(int)
    high = np.minimum(np.rint(points.max(axis=0)) + np.asarray(reach) + 1, shape).astype(int)
    if (low >= high).any():
        return None
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x
