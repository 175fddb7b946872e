"""Read one volume from anything that can be opened."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError, SkewedGridError
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.io.dicom import read_dicom
from napari_lesion.io.itk import read_itk
from napari_lesion.io.loaded import Loaded
from napari_lesion.io.nifti import read_nifti
from napari_lesion.io.patient import patient_of
from napari_lesion.io.resample import straighten
from napari_lesion.io.series import SeriesInfo, case_name, list_series

GUESS_CT_MINIMUM = -500.0
GUESS_CT_MAXIMUM = 4000.0


def read_volume(
    path: Path,
    *,
    series_uid: str = "",
    modality: Modality | None = None,
    resample_sheared: bool = False,
    ctx: JobContext | None = None,
) -> Volume:
    """Read a DICOM series, or a NIfTI, NRRD or MetaImage file.

    Parameters
    ----------
    path
        DICOM folder, DICOM file (its series in its folder), or image file.
    series_uid
        Series Instance UID, or the `SeriesInfo.selector` of one of its volumes; the largest CT or MR when empty.
    modality
        Modality that the user states; that of a DICOM header goes before it.
    resample_sheared
        Whether sheared or badly uneven voxels are resampled to a rectangular grid instead of refused.
    ctx
        Progress and cancel.

    Returns
    -------
    Volume
        int16 where the values are whole numbers of that range, else float32; read only.

    Raises
    ------
    InputError
        When nothing can be read there, or what is there is no 3-D image of one channel.
    GeometryError
        When the spacing is not positive, or the voxels lie on no rectangular grid (and no resampling was asked for).
    """
    path, ctx = Path(path), ctx or JobContext()
    info = _chosen(path, series_uid, list_series(path, ctx))
    loaded = _load(info, ctx)
    grid, loaded = _rectangular(path, loaded, resample=resample_sheared)
    array = loaded.array
    array.flags.writeable = False
    return _volume(info, loaded, grid, modality)


def _load(info: SeriesInfo, ctx: JobContext) -> Loaded:
    if info.headers:
        return read_dicom(info, ctx)
    try:
        if info.path.name.lower().endswith((".nii", ".nii.gz")):
            return read_nifti(info.path, ctx)
        return read_itk(info.path, ctx)
    except PermissionError as error:
        raise InputError(f"{info.path} cannot be read", "you have no permission", "Ask for access to it") from error


def _chosen(path: Path, series_uid: str, found: list[SeriesInfo]) -> SeriesInfo:
    """The wanted volume, or the first."""
    if not series_uid:
        return found[0]
    for info in found:
        if info.selector == series_uid:
            return info
    raise InputError(f"{path} holds no series {series_uid}", f"it holds {len(found)} others", "Choose one of those")


def _rectangular(path: Path, loaded: Loaded, *, resample: bool) -> tuple[Grid, Loaded]:
    """The grid; voxels that lie on none are resampled when asked for, else refused."""
    grid = loaded.grid
    if isinstance(grid, Grid):
        loaded.headers["header_grid"] = grid
        return grid, loaded
    if not resample:
        raise SkewedGridError(
            f"The voxels of {case_name(path)} lie on no rectangular grid, and sizes would be wrong",
            grid.reason,
            "Open it again with resampling to a rectangular grid",
        )
    array, straight = straighten(loaded.array, grid)
    note = f"Resampled to a rectangular grid, because {grid.reason}"
    headers = {**loaded.headers, "resampled": note}
    return straight, Loaded(array, straight, headers, (*loaded.notes, note))


def _volume(info: SeriesInfo, loaded: Loaded, grid: Grid, modality: Modality | None) -> Volume:
    first = info.headers[0] if info.headers else None
    known, stated, notes = _modality(info, loaded, modality)
    kept = set(loaded.headers.get("files", info.files))
    slices = [h for h in info.headers if h.path in kept]
    patient = {"patient": patient_of(slices[0].path)} if slices else {}
    source = Source(
        path=info.path,
        case=case_name(info.path),
        files=tuple(h.path for h in slices) or info.files,
        series_uid=info.series_uid,
        study_uid=info.study_uid,
        frame_of_reference_uid=first.frame_uid if first else "",
        series_date=info.series_date,
        description=info.description if first else "",
        modality_stated=stated,
        sop_uids=_sop_uids(loaded, slices),
        notes=(*loaded.notes, *notes),
        headers={**loaded.headers, **patient},
    )
    return Volume(loaded.array, grid, known, source)


def _sop_uids(loaded: Loaded, slices: list[Any]) -> tuple[str, ...]:
    """UID of the image of each array slice; none after a resampling, where slices are no images any more."""
    if "resampled" in loaded.headers:
        return ()
    uids = tuple(h.sop_uid for h in slices)
    return uids * loaded.array.shape[0] if loaded.headers.get("multi_frame") else uids


def _modality(info: SeriesInfo, loaded: Loaded, wished: Modality | None) -> tuple[Modality, bool, tuple[str, ...]]:
    """Modality, whether it was stated, and notes: the header, else the user, else a guess from the values."""
    asked = wished if wished not in (None, Modality.UNKNOWN) else None
    if info.modality in (Modality.CT, Modality.MR, Modality.PT):
        header = Modality(info.modality)
        if asked not in (None, header):
            return header, True, (f"The header says {header}; the stated {asked} was not taken",)
        return header, True, ()
    if asked is not None:
        return asked, True, ()
    if info.modality:
        return Modality.UNKNOWN, True, (f"The header says {info.modality}, which is neither CT, MR nor PET",)
    return guess_modality(loaded.array), False, ()


def guess_modality(array: npt.NDArray[Any]) -> Modality:
    """CT when the smallest finite value is at most -500 and the largest at most 4000, else unknown."""
    low, high = float(np.fmin.reduce(array, axis=None)), float(np.fmax.reduce(array, axis=None))
    if math.isinf(low) or math.isinf(high):
        finite = array[np.isfinite(array)]  # a copy, which a volume without infinities does not need
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)
    if math.isfinite(low) and low <= GUESS_CT_MINIMUM and high <= GUESS_CT_MAXIMUM:
        return Modality.CT
    return Modality.UNKNOWN
