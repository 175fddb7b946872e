"""What a file or folder holds, and whether something right can be computed from it, without running anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_lesion.core.findings import Check
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import Volume
from napari_lesion.io.check import check_input
from napari_lesion.io.read import read_volume
from napari_lesion.io.series import SeriesInfo, list_series


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was found.

    Parameters
    ----------
    path
        File or folder that was asked for.
    series
        Every series in it, the one that is opened first.
    volume
        The first series.
    check
        What the input check says of it.
    """

    path: Path
    series: tuple[SeriesInfo, ...]
    volume: Volume
    check: Check

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        volume = self.volume
        return {
            "path": str(self.path),
            "case": volume.source.case,
            "modality": str(volume.modality),
            "modality_stated": volume.source.modality_stated,
            "series_uid": volume.source.series_uid,
            "type": str(volume.array.dtype),
            "grid": volume.grid.as_dict(),
            "check": self.check.as_dict(),
            "notes": list(volume.source.notes),
            "series": [_plain(entry) for entry in self.series],
        }


def inspect_file(path: Path, ctx: JobContext | None = None) -> Inspection:
    """Read and check a file or folder.

    Raises
    ------
    InputError
        When it cannot be read; a study that can be read and is refused by the input check is no error here.
    """
    ctx = ctx or JobContext()
    ctx.step("Reading")
    series = tuple(list_series(path))
    volume = read_volume(path, ctx=ctx)
    ctx.step("Checking the input")
    return Inspection(path, series, volume, check_input(volume))


def _plain(entry: SeriesInfo) -> dict[str, Any]:
    return {
        "title": entry.title,
        "series_uid": entry.selector,
        "modality": entry.modality,
        "description": entry.description,
        "size_xyz": [entry.columns, entry.rows, entry.n_slices],
        "files": len(entry.files),
    }
