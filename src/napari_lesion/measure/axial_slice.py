"""Measurements of the engine on one axial slice, as boosted trees ask for them.

A slice is measured as a volume of one slice, 1 mm thick whatever the scan, so that nothing depends on the scanner's
thickness; what its boundary is like is measured on a prism of several such slices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.measure.engine import MeasureRequest, measure_lesions

FLAT_FAMILIES = ("size", "shape", "density", "histogram")
PRISM_FAMILIES = ("boundary",)
PRISM_SLICES = 9
"""Slices of the prism that the boundary is measured on: an edge profile needs a surface that is not all rim."""

LEFT_OUT = (
    *("bbox_i", "bbox_j", "bbox_k", "bbox_s", "manual_"),
    *("flatness", "pca_least", "ellipsoid_axis_3", "craniocaudal"),
)
"""Beginnings of names that say where the crop lies, what a reader drew, or how thick the slice is."""

THICKNESS_MM = 1.0


def measure_axial_slice(
    image: npt.NDArray[Any], mask: npt.NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> dict[str, float]:
    """All numbers of the engine for a mask on one slice of a CT; NaN where undefined.

    Parameters
    ----------
    image
        HU, shape (row, column); rows run to the patient's back, columns to the left.
    mask
        The lesion, at least one pixel.
    spacing_mm
        Edges of a pixel along (row, column).
    """
    found = _measured(image, mask, spacing_mm, FLAT_FAMILIES, 1)
    return {**found, **_measured(image, mask, spacing_mm, PRISM_FAMILIES, PRISM_SLICES)}


def _measured(
    image: npt.NDArray[Any],
    mask: npt.NDArray[np.bool_],
    spacing_mm: tuple[float, float],
    families: tuple[str, ...],
    slices: int,
) -> dict[str, float]:
    grid = Grid((image.shape[1], image.shape[0], slices), (spacing_mm[1], spacing_mm[0], THICKNESS_MM))
    volume = Volume(np.repeat(image[None], slices, axis=0), grid, Modality.CT)
    labels = LabelMap(np.repeat(mask[None].astype(np.uint16), slices, axis=0), grid)
    row = measure_lesions(volume, labels, MeasureRequest(features=families)).rows[1]
    return {
        name: float(value)
        for name, value in row.items()
        if isinstance(value, int | float) and name not in ("label", "probability") and not name.startswith(LEFT_OUT)
    }
