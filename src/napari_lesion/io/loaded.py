"""What a reader hands over: voxels, where they lie, and what the header says beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import FloatArray, Grid

Convert = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""Turns stored values into the type that is kept."""

SHORT = np.iinfo(np.int16)


@dataclass(frozen=True, eq=False)
class SkewedGrid:
    """Voxel places that no rectangular grid can hold: sheared axes, or slices at uneven distances.

    Parameters
    ----------
    size
        Number of voxels along (x, y, z).
    affine_lps
        4x4 matrix from index (x, y, z, 1) to LPS mm, for slices at even distances.
    reason
        Why the grid is not rectangular, as a clause.
    heights
        Positions of the slices along z in steps of the affine, when they are uneven.
    tilt_deg
        Angle between the stack and the normal of its slices; 0 when only the distances are uneven.
    """

    size: tuple[int, int, int]
    affine_lps: FloatArray
    reason: str
    heights: FloatArray | None = None
    tilt_deg: float = 0.0


@dataclass(frozen=True, eq=False)
class Loaded:
    """Voxels (z, y, x) as a file holds them, after rescaling.

    Parameters
    ----------
    array
        int16 or float32.
    grid
        Where the voxels lie.
    headers
        Facts for the input check and the writers; docs/reading.md lists them.
    notes
        Facts for the user.
    """

    array: npt.NDArray[Any]
    grid: Grid | SkewedGrid
    headers: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def kept_type(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array as int16 when it holds whole numbers of that range, else as float32.

    Whole numbers beyond ±2²⁴ lose digits in float32; no scanner writes such.
    """
    if array.dtype == np.int16 and array.dtype.isnative:
        return array
    if array.dtype.kind in "iub":
        fits = array.dtype.itemsize == 1 or (array.min() >= SHORT.min and array.max() <= SHORT.max)
        return array.astype(np.int16 if fits else np.float32)
    return array.astype(np.float32, copy=False)


def stored_type(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array as it is stored, in the byte order of this machine; for labels, which must keep every digit."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)
