"""A small picture of what a model marked in one case, for the gallery of a report or of a model card."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import AnatomicalView
from napari_lesion.core.volume import Modality, Volume

EDGE_MM: Final = 96.0
"""Widest side of the part of the slice that is shown, mm."""
LUNG_WINDOW_HU: Final = (-1150.0, 350.0)

BoolArray = npt.NDArray[np.bool_]


Line = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Picture:
    """One slice with outlines.

    Parameters
    ----------
    grey
        The image, uint8, shape (rows, columns): anterior is at the top, the patient's left on the right.
    width_mm, height_mm
        Its size.
    truth_lines, found_lines
        Closed outlines, points (n, 2) as (x, y) in mm from its upper left corner.
    slice_number, slices
        Which slice it is, from 1 at the top, and of how many.
    """

    grey: npt.NDArray[np.uint8]
    width_mm: float
    height_mm: float
    truth_lines: tuple[Line, ...]
    found_lines: tuple[Line, ...]
    slice_number: int
    slices: int

    @property
    def png(self) -> str:
        """The image as base64 of a PNG."""
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(self.grey).save(stream, "PNG")
        return base64.b64encode(stream.getvalue()).decode("ascii")

    @property
    def truth(self) -> str:
        """Outlines of the truth as an SVG path in mm."""
        return _svg_path(self.truth_lines)

    @property
    def found(self) -> str:
        """Outlines of the marks as an SVG path in mm."""
        return _svg_path(self.found_lines)


def take_picture(volume: Volume, truth: BoolArray, found: BoolArray, edge_mm: float = EDGE_MM) -> Picture:
    """Axial slice with most of the truth, or of the marks where there is no truth, cut out around it.

    Parameters
    ----------
    volume
        The image.
    truth, found
        Masks of its shape.
    edge_mm
        Widest side of what is shown, mm.
    """
    view = AnatomicalView.of(volume.grid)
    shown = [view.apply(array) for array in (volume.array, truth, found)]
    wanted = shown[1] if truth.any() else shown[2]
    areas = wanted.sum(axis=(1, 2))
    number = int(areas.argmax()) if areas.any() else len(areas) // 2
    rows, columns = _window(wanted[number], (view.spacing[1], view.spacing[2]), edge_mm)
    image, true, marked = (array[number, rows, columns] for array in shown)
    spacing = view.spacing[1], view.spacing[2]
    return Picture(
        grey=_grey(image, volume.modality),
        width_mm=image.shape[1] * spacing[1],
        height_mm=image.shape[0] * spacing[0],
        truth_lines=_outlines(true, spacing),
        found_lines=_outlines(marked, spacing),
        slice_number=number + 1,
        slices=len(areas),
    )


def _window(mask: BoolArray, spacing: tuple[float, float], edge_mm: float) -> tuple[slice, slice]:
    """Rows and columns of this length around the middle of a mask, inside the slice."""
    where = np.argwhere(mask)
    middle = where.mean(axis=0) if len(where) else np.array(mask.shape) / 2
    parts = []
    for place, n, step in zip(middle, mask.shape, spacing, strict=True):
        size = min(n, max(1, round(edge_mm / step)))
        start = int(np.clip(round(place + 0.5 - size / 2), 0, n - size))
        parts.append(slice(start, start + size))
    return parts[0], parts[1]


def _grey(image: npt.NDArray[Any], modality: Modality) -> npt.NDArray[np.uint8]:
    low, high = LUNG_WINDOW_HU if modality is Modality.CT else np.nanpercentile(image, [1, 99])
    scaled = (np.nan_to_num(image.astype(np.float32)) - low) / max(float(high - low), 1e-6)
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def _outlines(mask: BoolArray, spacing: tuple[float, float]) -> tuple[Line, ...]:
    """Closed outlines, (x, y) in mm; the centre of the first pixel lies half a pixel from the corner."""
    from skimage.measure import find_contours

    if not mask.any():
        return ()
    steps = np.array(spacing)
    lines = find_contours(np.pad(mask, 1).astype(np.uint8), 0.5)
    return tuple(((line - 1 + 0.5) * steps)[:, ::-1] for line in lines)


def _svg_path(lines: Sequence[Line]) -> str:
    return " ".join("M" + " L".join(f"{x:.2f},{y:.2f}" for x, y in line) + " Z" for line in lines)
