"""Put voxels that lie on no rectangular grid onto one."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import FloatArray, Grid
from napari_lesion.io.loaded import SkewedGrid

LARGEST_GROWTH = 16
"""Number of voxels of the new grid for one of the old; a shear of 45 degrees in two planes gives 4."""


def straighten(array: npt.NDArray[Any], skewed: SkewedGrid) -> tuple[npt.NDArray[Any], Grid]:
    """Resample a sheared or unevenly spaced volume to a rectangular grid, linearly.

    The slices keep their plane and their pixel spacing; the third axis becomes their normal. The new
    grid encloses the whole volume; places outside it get the smallest value of the volume (air on CT).

    Parameters
    ----------
    array
        int16 or float32, shape (z, y, x).
    skewed
        Where its voxels lie.
    """
    if skewed.heights is not None:
        array, skewed = _even(array, skewed)
    grid = _enclosing(skewed)
    matrix = np.linalg.inv(skewed.affine_lps) @ grid.affine_lps
    backwards = matrix[:3, :3][::-1, ::-1], matrix[:3, 3][::-1]
    from scipy import ndimage

    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    outside = float(finite.min()) if finite.size else 0.0
    straight = ndimage.affine_transform(
        array, backwards[0], backwards[1], output_shape=grid.shape, order=1, mode="constant", cval=outside
    )
    return straight, grid


def _even(array: npt.NDArray[Any], skewed: SkewedGrid) -> tuple[npt.NDArray[Any], SkewedGrid]:
    """Interpolate between the two neighbouring slices at even heights; the usual distance becomes the step."""
    heights = np.asarray(skewed.heights)
    usual = float(np.median(np.diff(heights)))
    n = round((heights[-1] - heights[0]) / usual) + 1
    wanted = np.linspace(heights[0], heights[-1], n)
    below = np.clip(np.searchsorted(heights, wanted, side="right") - 1, 0, len(heights) - 2)
    weight = (wanted - heights[below]) / (heights[below + 1] - heights[below])
    even = np.empty((n, *array.shape[1:]), dtype=array.dtype)
    for k in range(n):
        mixed = (1 - weight[k]) * array[below[k]] + weight[k] * array[below[k] + 1]
        even[k] = np.rint(mixed) if array.dtype.kind == "i" else mixed
    affine = skewed.affine_lps.copy()
    affine[:3, 2] *= wanted[1] - wanted[0]
    return even, SkewedGrid((*skewed.size[:2], n), affine, skewed.reason)


def _enclosing(skewed: SkewedGrid) -> Grid:
    """Rectangular grid around the whole volume, with the plane and the pixel spacing of its slices."""
    columns = skewed.affine_lps[:3, :3]
    directions = _perpendicular(columns)
    spacing = np.einsum("ra,ra->a", columns, directions)
    last = np.asarray(skewed.size) - 1
    corners = np.array(list(product(*[(0, n) for n in last])), dtype=np.float64)
    places = (corners @ columns.T) @ directions
    low, high = places.min(axis=0), places.max(axis=0)
    if spacing.min() <= 0 or np.prod((high - low) / spacing + 1) > LARGEST_GROWTH * np.prod(skewed.size):
        raise GeometryError(
            "The voxels cannot be resampled to a rectangular grid",
            f"{skewed.reason}, too far for a volume",
            "Correct the header of the file, or export the study again",
        )
    size = np.ceil((high - low) / spacing - 1e-6).astype(int) + 1
    origin = skewed.affine_lps[:3, 3] + directions @ low
    return Grid(
        size=(int(size[0]), int(size[1]), int(size[2])),
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=tuple(float(c) for c in directions.ravel()),
    )


def _perpendicular(columns: FloatArray) -> FloatArray:
    """Unit axes: the first column, the part of the second across it, and their normal on the side of the third."""
    x = columns[:, 0] / np.linalg.norm(columns[:, 0])
    y = columns[:, 1] - (columns[:, 1] @ x) * x
    y /= np.linalg.norm(y)
    z = np.cross(x, y)
    return np.column_stack([x, y, z if z @ columns[:, 2] > 0 else -z])
