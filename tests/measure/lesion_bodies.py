"""Bodies and tables that the tests of the measures share."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_lesion.core.grid import Grid
from napari_lesion.core.table import LesionTable, Row
from napari_lesion.core.volume import LabelMap, Modality, Source, Volume
from napari_lesion.measure.engine import MeasureRequest, MeasureSettings, measure_lesions

Triple = tuple[float, float, float]

STATED = Source(modality_stated=True)


def study_of(
    mask: np.ndarray,
    spacing_zyx: Triple = (1.0, 1.0, 1.0),
    image: np.ndarray | None = None,
    modality: Modality = Modality.CT,
    **grid: Any,
) -> tuple[Volume, LabelMap]:
    """A study on a plain grid; the image is noise unless given."""
    mask = np.asarray(mask)
    z, y, x = mask.shape
    place = Grid((x, y, z), (spacing_zyx[2], spacing_zyx[1], spacing_zyx[0]), **grid)
    if image is None:
        image = np.random.default_rng(1).integers(-900, 400, mask.shape).astype(np.int16)
    labels = mask.astype(np.uint8) if mask.dtype == bool else mask
    return Volume(image, place, modality, STATED), LabelMap(labels, place)


def measure(mask: np.ndarray, spacing_zyx: Triple = (1.0, 1.0, 1.0), **more: Any) -> Row:
    """All measures of label 1."""
    return measure_all(*study_of(mask, spacing_zyx, **more)).rows[1]


def measure_all(volume: Volume, labels: LabelMap, settings: MeasureSettings | None = None) -> LesionTable:
    """Core and optional measures of all labels."""
    return measure_lesions(volume, labels, MeasureRequest(features=("all",), settings=settings or MeasureSettings()))


def ball(diameter: float, spacing_zyx: Triple, centre: Triple = (0.0, 0.0, 0.0)) -> np.ndarray:
    """Voxels whose centres lie in a ball; ``centre`` is its offset from a voxel centre, mm."""
    return ellipsoid(np.full(3, diameter / 2), spacing_zyx, centre)


def ellipsoid(
    semi_axes: np.ndarray, spacing_zyx: Triple, centre: Triple = (0.0, 0.0, 0.0), turn: np.ndarray | None = None
) -> np.ndarray:
    """Voxels whose centres lie in an ellipsoid, with a margin of background."""
    spacing = np.asarray(spacing_zyx)
    reach = np.ceil((np.max(semi_axes) + np.abs(centre)) / spacing).astype(int) + 1
    axes = [np.arange(-r, r + 1) * s for r, s in zip(reach, spacing, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) - np.asarray(centre)
    local = points @ (np.eye(3) if turn is None else turn)
    return ((local / semi_axes) ** 2).sum(axis=-1) <= 1
