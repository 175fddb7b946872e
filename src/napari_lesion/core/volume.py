"""Images and label maps on their grids."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import Grid


class Modality(StrEnum):
    """DICOM Modality (0008,0060), as far as it matters here."""

    CT = "CT"
    MR = "MR"
    PT = "PT"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Source:
    """Where a volume came from, and what its header says beside the grid.

    Parameters
    ----------
    path
        File or DICOM folder; None for an array that came from no file.
    case
        Name of the case: the file name without its image extension, or that of the DICOM folder.
    files
        Files of the series in slice order (DICOM), or the one file.
    series_uid, study_uid, frame_of_reference_uid, series_date, description
        DICOM attributes; empty elsewhere.
    modality_stated
        Whether the file or the user said the modality; False when it was guessed from the values.
    sop_uids
        SOP Instance UID of each slice in array order (DICOM), else empty.
    notes
        Facts for the user: a header that was mended, a resampling for display.
    """

    path: Path | None = None
    case: str = "study"
    files: tuple[Path, ...] = ()
    series_uid: str = ""
    study_uid: str = ""
    frame_of_reference_uid: str = ""
    series_date: str = ""
    description: str = ""
    modality_stated: bool = False
    sop_uids: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    headers: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, eq=False)
class Volume:
    """One 3-D image on its grid.

    Parameters
    ----------
    array
        Stored values after rescaling (HU on CT), shape (z, y, x), int16 or float32; read only.
    grid
        Where the voxels lie.
    modality
        What the values mean.
    source
        Where it came from.
    """

    array: npt.NDArray[Any]
    grid: Grid
    modality: Modality = Modality.UNKNOWN
    source: Source = field(default_factory=Source)

    def __post_init__(self) -> None:
        _require_on_grid(self.array, self.grid, "image")

    def with_modality(self, modality: Modality) -> Volume:
        """Same voxels, with the modality that the user states."""
        return replace(self, modality=modality, source=replace(self.source, modality_stated=True))


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Lesion labels on a grid: 0 is background, every other value is one lesion.

    Parameters
    ----------
    array
        Integers, shape (z, y, x).
    grid
        Grid of the image that the labels belong to.
    """

    array: npt.NDArray[Any]
    grid: Grid

    def __post_init__(self) -> None:
        _require_on_grid(self.array, self.grid, "label map")
        if not np.issubdtype(self.array.dtype, np.integer):
            raise GeometryError("The label map does not hold whole numbers", f"its type is {self.array.dtype}")

    @classmethod
    def empty(cls, grid: Grid) -> LabelMap:
        """A label map without lesions (uint16)."""
        return cls(np.zeros(grid.shape, dtype=np.uint16), grid)

    def copy(self) -> LabelMap:
        """A label map with voxels of its own."""
        return LabelMap(self.array.copy(), self.grid)


def _require_on_grid(array: npt.NDArray[Any], grid: Grid, what: str) -> None:
    if array.shape != grid.shape:
        raise GeometryError(f"The {what} does not fit its grid", f"shape {array.shape} against {grid.shape}")
