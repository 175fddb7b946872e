"""The axial slice of largest area of a lesion with what lies around it, in the orientation of radiologists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.volume import LabelMap, Volume

MARGIN_MM = 16.0
"""How far around the lesion a section reaches, where the image does."""

Ints = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Section:
    """Native pixels of one axial slice; rows run to the patient's back, columns to the left.

    Parameters
    ----------
    image, mask
        Values and lesion, shape (row, column).
    spacing_mm
        Edges of a pixel along (row, column).
    index
        Index of the slice along the axial array axis.
    axes
        Array axes (axial, row, column).
    start
        First index along the row and the column axis.
    flipped
        Whether the indices of the array fall along (row, column).
    """

    image: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_]
    spacing_mm: tuple[float, float]
    index: int
    axes: tuple[int, int, int]
    start: Ints
    flipped: tuple[bool, bool]

    @property
    def box(self) -> Box:
        """Native box (z, y, x) of the section, one slice thick."""
        parts = [slice(0)] * 3
        parts[self.axes[0]] = slice(self.index, self.index + 1)
        for axis, first, size in zip(self.axes[1:], self.start, self.image.shape, strict=True):
            parts[axis] = slice(first, first + size)
        return parts[0], parts[1], parts[2]

    def to_native(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values of every pixel, shape (row, column), as an array that fills `box`."""
        turned = values[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flipped)]
        if self.axes[1] > self.axes[2]:
            turned = turned.T
        return np.expand_dims(turned, self.axes[0])


def section_of(
    volume: Volume, labels: LabelMap, label: int, box: Box, margin_mm: float = MARGIN_MM
) -> Section | None:
    """Cut the axial slice in which a lesion has most voxels; of several, the lowest one.

    Parameters
    ----------
    volume, labels
        Image and labels on one grid.
    label
        Label of the lesion.
    box
        Native box (z, y, x) that holds all its voxels.
    margin_mm
        How far around the lesion the section reaches.

    Returns
    -------
    Section or None
        None when the box holds no voxel of the label.
    """
    grid = volume.grid
    columns, rows, axial = grid.patient_axes
    inside = np.moveaxis(labels.array[box] == label, (axial, rows, columns), (0, 1, 2))
    areas = inside.sum(axis=(1, 2))
    if not areas.any():
        return None
    upwards = grid.matrix[2, 2 - axial] > 0
    index = int(areas.argmax()) if upwards else len(areas) - 1 - int(areas[::-1].argmax())
    spans = []
    for axis, line in ((rows, inside[index].any(axis=1)), (columns, inside[index].any(axis=0))):
        used = np.flatnonzero(line) + (box[axis].start or 0)
        margin = int(np.ceil(margin_mm / grid.spacing_zyx[axis]))
        spans.append(slice(max(0, int(used[0]) - margin), min(grid.shape[axis], int(used[-1]) + 1 + margin)))
    index += box[axial].start or 0
    flips = (bool(grid.matrix[1, 2 - rows] < 0), bool(grid.matrix[0, 2 - columns] < 0))
    parts: list[Any] = [slice(None)] * 3
    parts[axial], parts[rows], parts[columns] = index, spans[0], spans[1]
    order = tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)

    def cut(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        plane = array[tuple(parts)]
        return np.ascontiguousarray((plane.T if rows > columns else plane)[order])

    return Section(
        image=cut(volume.array),
        mask=cut(labels.array) == label,
        spacing_mm=(grid.spacing_zyx[rows], grid.spacing_zyx[columns]),
        index=index,
        axes=(axial, rows, columns),
        start=(spans[0].start, spans[1].start),
        flipped=flips,
    )
