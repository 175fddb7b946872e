"""A coarse copy of a volume by averaging whole voxels, for work that needs no detail."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Volume


def coarse_grid(grid: Grid, factors: tuple[int, int, int]) -> Grid:
    """Grid of blocks of ``factors`` (z, y, x) voxels; the last block of an axis may reach over the border."""
    shape = [-(-n // f) for n, f in zip(grid.shape, factors, strict=True)]
    origin = grid.to_physical([(f - 1) / 2 for f in factors])
    fz, fy, fx = factors
    return Grid(
        size=(shape[2], shape[1], shape[0]),
        spacing=(grid.spacing[0] * fx, grid.spacing[1] * fy, grid.spacing[2] * fz),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=grid.direction,
    )


def factors_for(grid: Grid, spacing_mm: float) -> tuple[int, int, int]:
    """Whole factors (z, y, x) that bring a grid near to a spacing in mm, never finer than it is."""
    z, y, x = (max(1, round(spacing_mm / s)) for s in grid.spacing_zyx)
    return z, y, x


def coarse_copy(volume: Volume, spacing_mm: float, low: float, high: float) -> tuple[npt.NDArray[np.float32], Grid]:
    """Block means of a volume, clipped; slice by slice, so that no full-size copy is made.

    Parameters
    ----------
    volume
        Any volume; NaN counts as ``low``.
    spacing_mm
        Wanted spacing.
    low, high
        Values outside are cut before averaging (padding below -1024 HU, metal).

    Returns
    -------
    tuple
        Means, float32 (z, y, x), and their grid.
    """
    factors = factors_for(volume.grid, spacing_mm)
    grid = coarse_grid(volume.grid, factors)
    out = np.empty(grid.shape, dtype=np.float32)
    fz, fy, fx = factors
    _, ny, nx = volume.grid.shape
    edges = (np.arange(0, ny, fy), np.arange(0, nx, fx))
    for z in range(grid.shape[0]):
        out[z] = _block_means(_clipped(volume.array[z * fz : (z + 1) * fz], low, high), edges, (ny, nx))
    return out, grid


def _clipped(part: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[Any]:
    if np.issubdtype(part.dtype, np.floating):
        part = np.nan_to_num(part, nan=low, posinf=high, neginf=low)
    clipped: npt.NDArray[Any] = np.clip(part, low, high)
    return clipped


def _block_means(
    part: npt.NDArray[Any], edges: tuple[npt.NDArray[Any], npt.NDArray[Any]], shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    mean = part.mean(axis=0, dtype=np.float32)
    rows, columns = edges
    total = np.add.reduceat(np.add.reduceat(mean, rows, axis=0), columns, axis=1)
    heights, widths = np.diff(rows, append=shape[0]), np.diff(columns, append=shape[1])
    means: npt.NDArray[np.float32] = (total / (heights[:, None] * widths)).astype(np.float32)
    return means
