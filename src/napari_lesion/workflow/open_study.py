"""Open a study: read one series, check it, and make a `Study` of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_lesion.core.errors import InputError
from napari_lesion.core.findings import Level
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.io.check import check_input
from napari_lesion.io.read import read_volume
from napari_lesion.io.series import SeriesInfo
from napari_lesion.io.series import list_series as list_series
from napari_lesion.workflow.study import Study

__all__ = ["OpenRequest", "SeriesInfo", "list_series", "open_study", "study_of"]


@dataclass(frozen=True)
class OpenRequest:
    """What to open.

    Parameters
    ----------
    path
        Image file, DICOM file or DICOM folder.
    series_uid
        Series of a DICOM folder with several; the largest CT or MR when empty.
    modality
        Modality that the user states; None for that of the file, or a guess.
    resample_sheared
        Whether a sheared volume is resampled to a rectangular grid instead of refused.
    """

    path: Path
    series_uid: str = ""
    modality: Modality | None = None
    resample_sheared: bool = False


def open_study(request: OpenRequest, ctx: JobContext | None = None) -> Study:
    """Read and check one study.

    Raises
    ------
    InputError
        When the file cannot be read, or the input check says that nothing right can be computed from it.
    """
    ctx = ctx or JobContext()
    ctx.step("Reading")
    volume = read_volume(
        request.path,
        series_uid=request.series_uid,
        modality=request.modality,
        resample_sheared=request.resample_sheared,
        ctx=ctx,
    )
    return study_of(volume, ctx)


def study_of(volume: Volume, ctx: JobContext | None = None) -> Study:
    """Make a study of a volume in memory, after the same input check."""
    (ctx or JobContext()).step("Checking the input")
    check = check_input(volume)
    if check.level == Level.RED:
        raise InputError(
            f"{volume.source.case} cannot be used", check.headline, "Export the study again, or open another series"
        )
    return Study.of(volume, check)
