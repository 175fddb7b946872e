"""A volume of an image layer that came from elsewhere: another plugin, another reader, a plain array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import AXIS_LABELS
from napari_lesion.core.errors import GeometryError, InputError
from napari_lesion.core.grid import Grid, Triple
from napari_lesion.core.volume import Modality, Source, Volume

TOLERANCE = 1e-4
NOTE = (
    "The layer does not say how it lies in the patient: its world axes were taken as those of DICOM "
    "(first to the head, second to the back, third to the left)"
)


def volume_of_layer(layer: Any) -> Volume:
    """Volume of an image layer, with a grid from its scale, translate and affine.

    Parameters
    ----------
    layer
        A napari image layer in three dimensions.

    Raises
    ------
    InputError
        When the layer is not one 3-D array of numbers.
    GeometryError
        When its affine is not a permuted scale with a shift.
    """
    data = np.asarray(layer.data)
    if data.ndim != 3 or not np.issubdtype(data.dtype, np.number) or np.iscomplexobj(data):
        raise InputError(
            f"The layer {layer.name} cannot be used",
            f"it has {data.ndim} dimensions of type {data.dtype}",
            "Select a 3-D image of numbers",
        )
    downward = tuple(layer.axis_labels) == AXIS_LABELS
    grid = grid_of(data.shape, _affine(layer), downward=downward)
    kept = data if data.dtype in (np.dtype(np.int16), np.dtype(np.float32)) else data.astype(np.float32)
    source = Source(case=str(layer.name), notes=() if downward else (NOTE,))
    return Volume(kept, grid, Modality.UNKNOWN, source)


def grid_of(shape: tuple[int, ...], affine: npt.NDArray[np.float64], *, downward: bool = False) -> Grid:
    """Grid of an array whose 4x4 affine maps indices (k, j, i, 1) to napari's world (z, y, x, 1), mm.

    Parameters
    ----------
    shape
        Shape of the array.
    affine
        Affine; every row and column of its linear part may hold one number only.
    downward
        Whether the first world axis runs to the feet, as in views that this plugin makes.
    """
    linear, shift = affine[:3, :3], affine[:3, 3]
    strong = np.abs(linear) > TOLERANCE * max(float(np.abs(linear).max()), 1e-12)
    if not ((strong.sum(axis=0) == 1).all() and (strong.sum(axis=1) == 1).all()):
        raise GeometryError(
            "The layer is rotated or sheared",
            "its affine is more than a permuted scale, and napari draws it differently from what is measured",
            "Open its file with Open study instead",
        )
    world = np.diag([-1.0 if downward else 1.0, 1.0, 1.0])
    lps = (world @ linear)[::-1]  # rows L, P, S; columns k, j, i
    spacing = np.abs(lps).max(axis=0)
    direction = np.where(np.abs(lps) > TOLERANCE * np.abs(lps).max(), np.sign(lps), 0.0)[:, ::-1]
    return Grid(
        size=(int(shape[2]), int(shape[1]), int(shape[0])),
        spacing=_triple(spacing[::-1]),
        origin=_triple((world @ shift)[::-1]),
        direction=tuple(float(value) for value in direction.ravel()),
    )


def _affine(layer: Any) -> npt.NDArray[np.float64]:
    """Data-to-world matrix of a layer, from where it puts the first voxel and its three neighbours."""
    corners = np.vstack([np.zeros(3), np.eye(3)])
    placed = np.asarray([layer.data_to_world(corner) for corner in corners], dtype=np.float64)
    affine = np.eye(4)
    affine[:3, :3] = (placed[1:] - placed[0]).T
    affine[:3, 3] = placed[0]
    return affine


def _triple(values: npt.NDArray[np.float64]) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z
