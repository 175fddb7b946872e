"""Stacks of slices that no rectangular grid can hold: shifted against each other, or at uneven distances."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from napari_lesion.core.grid import FloatArray
from napari_lesion.io.loaded import SkewedGrid
from napari_lesion.io.spacing import Spacing, spacing_of

TILT_TOLERANCE = 1e-3
"""Sideways step over distance of slices, above which a stack counts as sheared (0.06 degrees)."""
DRIFT_PIXELS = 0.5
"""Sideways shift over the whole stack, in pixels, below which it does not."""


def skewed_grid(size: tuple[int, int, int], affine_lps: FloatArray, heights: Sequence[float]) -> SkewedGrid | None:
    """The true places of the slices of a stack when a rectangular grid would give wrong sizes, else None.

    Parameters
    ----------
    size
        Number of voxels along (x, y, z).
    affine_lps
        4x4 matrix from index (x, y, z, 1) to LPS mm; its third column is the mean step from slice to slice.
    heights
        Positions of the slices along their normal, mm, ascending.
    """
    spacing = spacing_of(heights)
    if spacing is None:
        return None
    tilt = tilt_of(affine_lps, size)
    if not tilt and not spacing.wrong:
        return None
    even = None
    reason = f"its slices are shifted against each other, as by a gantry tilt of {tilt:.1f} degrees"
    if spacing.wrong:
        even = (np.asarray(heights) - heights[0]) / spacing.grid_step
        reason = _uneven(spacing)
    return SkewedGrid(size, affine_lps, reason, even, tilt)


def tilt_of(affine_lps: FloatArray, size: tuple[int, int, int]) -> float:
    """Angle between the step from slice to slice and their normal, degrees; 0 within what rounding explains."""
    x, y, step = affine_lps[:3, 0], affine_lps[:3, 1], affine_lps[:3, 2]
    normal = np.cross(x, y)
    normal /= np.linalg.norm(normal)
    along = abs(float(step @ normal))
    sideways = float(np.linalg.norm(step - (step @ normal) * normal))
    pixel = min(float(np.linalg.norm(x)), float(np.linalg.norm(y)))
    if sideways <= TILT_TOLERANCE * along or sideways * (size[2] - 1) < DRIFT_PIXELS * pixel:
        return 0.0
    return math.degrees(math.atan2(sideways, along))


def _uneven(spacing: Spacing) -> str:
    if not spacing.gaps:
        return f"its slices are at uneven distances, {spacing.smallest:.2f} to {spacing.largest:.2f} mm"
    first = spacing.gaps[0].after
    return (
        f"{spacing.missing} of {spacing.missing + len(spacing.positions)} slices are missing, "
        f"the first between {spacing.positions[first]:.1f} and {spacing.positions[first + 1]:.1f} mm"
    )
