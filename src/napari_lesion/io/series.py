"""Which series a path holds."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from napari_lesion.core.errors import InputError
from napari_lesion.core.jobs import JobContext
from napari_lesion.io.atomic import IMAGE_SUFFIXES
from napari_lesion.io.headers import (
    BARE_SUFFIXES,
    DIVIDING_TAGS,
    SliceHeader,
    candidate_files,
    is_dicom,
    read_headers,
)
from napari_lesion.io.headers import read_header as read_dicom_header
from napari_lesion.io.textheader import read_header

DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")
DEPTHS = (1, 4)
"""Levels of folders that are searched; the second, that of a patient's CD, when the first holds no image."""
SAME_PLACE_MM = 1e-3
SAME_SPACING_MM = 1e-4
SAME_DIRECTION = 1e-3


@dataclass(frozen=True)
class SeriesInfo:
    """One volume that can be opened.

    Parameters
    ----------
    path
        What was asked for: the file or folder.
    files
        Files in the order of the slices, the lowest along the slice normal first.
    series_uid, study_uid
        UIDs; empty for an image file.
    modality, description, series_date
        As the header says; empty when it does not.
    n_slices, rows, columns
        Size of the volume.
    spacing
        (x, y, z), mm; NaN where the header does not say.
    part
        1 for the largest volume of a series; 2, 3, ... for its other volumes (a scout, a second echo).
    localizer
        Whether this is a scout image.
    headers
        Headers of the slices (DICOM), in the order of ``files``.
    left_out
        Images of the same series that belong to other volumes.
    copies
        Files of the series that repeat an image.
    """

    path: Path
    files: tuple[Path, ...]
    series_uid: str = ""
    study_uid: str = ""
    modality: str = ""
    description: str = ""
    n_slices: int = 0
    rows: int = 0
    columns: int = 0
    spacing: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    series_date: str = ""
    part: int = 1
    localizer: bool = False
    headers: tuple[SliceHeader, ...] = ()
    left_out: int = 0
    copies: int = 0

    @property
    def selector(self) -> str:
        """What `read_volume` takes as ``series_uid`` to read just this volume."""
        return self.series_uid if self.part == 1 else f"{self.series_uid}#{self.part}"

    @property
    def title(self) -> str:
        """One line for a chooser."""
        x, y, z = self.spacing
        words = [self.modality or "unknown modality", self.description or self.path.name]
        words.append(f"{self.n_slices} slices {self.columns}x{self.rows}")
        if math.isfinite(x + y + z):
            words.append(f"{x:.2f}x{y:.2f}x{z:.2f} mm")
        return ", ".join(words)


def case_name(path: Path) -> str:
    """Name of a case: the file name without its image extension, or the name of the DICOM folder."""
    path = Path(path).resolve()
    if path.is_dir():
        return path.name or "study"
    for suffix in (*IMAGE_SUFFIXES, *DICOM_SUFFIXES):
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return path.name[: -len(suffix)]
    return path.name


def is_image_file(path: Path) -> bool:
    """Whether the name is that of a NIfTI, NRRD or MetaImage file."""
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def list_series(path: Path, ctx: JobContext | None = None) -> list[SeriesInfo]:
    """Volumes that can be opened at a path, the largest CT or MR first.

    Parameters
    ----------
    path
        A folder with DICOM files in it or one level below (four when there are none), with any extension or
        none; one DICOM file, which stands for its series in its folder; or an image file.
    ctx
        Progress and cancel.

    Raises
    ------
    InputError
        When the path does not exist, is no image, or the folder holds none.
    """
    path, ctx = Path(path), ctx or JobContext()
    try:
        return _list_series(path, ctx)
    except PermissionError as error:
        raise InputError(f"{path} cannot be read", "you have no permission to", "Ask for access to it") from error


def _list_series(path: Path, ctx: JobContext) -> list[SeriesInfo]:
    if path.is_dir():
        return _list_folder(path, ctx)
    if not path.exists():
        raise InputError(f"{path} does not exist", "", "Check the name")
    if is_image_file(path):
        return [_image_entry(path)]
    if path.name.upper() == "DICOMDIR":
        return [replace(info, path=path) for info in _list_folder(path.parent, ctx)]
    if path.suffix.lower() in BARE_SUFFIXES or is_dicom(path):
        return _list_dicom_file(path, ctx)
    raise InputError(
        f"{path.name} is not an image that can be opened",
        f"its extension is {path.suffix}",
        f"Open a DICOM folder or file, or one of {', '.join(IMAGE_SUFFIXES)}",
    )


def _list_dicom_file(path: Path, ctx: JobContext) -> list[SeriesInfo]:
    own = read_dicom_header(path)
    if own is None:
        raise InputError(
            f"{path.name} cannot be read",
            "it is not a DICOM image" if not is_dicom(path) else "this DICOM object holds no image, or is damaged",
            "Open the folder of the images",
        )
    beside = sorted(p for p in path.parent.iterdir() if p.is_file() and not p.name.startswith("."))
    headers = [h for h in read_headers(beside, ctx) if h.series_uid == own.series_uid]
    found = _volumes(path, headers)
    return sorted(found, key=lambda info: path not in info.files)


def _list_folder(path: Path, ctx: JobContext) -> list[SeriesInfo]:
    for depth in DEPTHS:
        files = candidate_files(path, depth)
        found = _volumes(path, read_headers(files, ctx))
        if found:
            return found
    if not files:
        raise InputError(f"The folder {path} is empty", "", "Choose the folder that holds the images")
    images = [file for file in files if is_image_file(file)]
    if images:
        names = ", ".join(file.name for file in images[:3])
        raise InputError(
            f"{path} holds no DICOM images", f"it holds image files ({names})", "Open one of those files"
        )
    others = any(is_dicom(file) for file in files)
    reason = "its DICOM objects hold no pixels, or are damaged" if others else "none of its files is a DICOM image"
    raise InputError(f"{path} holds no images", reason, "Choose the folder that holds the images")


def _image_entry(path: Path) -> SeriesInfo:
    """Entry of an image file; its size stays 0 and its spacing NaN when the header cannot be read."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    SimpleITK.ProcessObject.GlobalWarningDisplayOff()
    try:
        if not path.name.lower().endswith((".nii", ".nii.gz")):
            read_header(path)
        reader.ReadImageInformation()
    except (RuntimeError, InputError):
        return SeriesInfo(path, (path,), description=case_name(path))
    size, spacing = (*reader.GetSize(), 1, 1)[:3], (*reader.GetSpacing(), math.nan, math.nan)[:3]
    return SeriesInfo(
        path,
        (path,),
        description=case_name(path),
        n_slices=size[2],
        rows=size[1],
        columns=size[0],
        spacing=(spacing[0], spacing[1], spacing[2]),
    )


def _volumes(path: Path, headers: Iterable[SliceHeader]) -> list[SeriesInfo]:
    """Group headers into volumes: by series, then by size and direction, then by what repeats at one place."""
    by_series: defaultdict[str, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        by_series[header.series_uid].append(header)
    found = []
    for files in by_series.values():
        series = _without_copies(files)
        parts = [part for alike in _alike(series) for part in _divided(alike)]
        infos = sorted((_info(path, part) for part in parts), key=_rank)
        for number, info in enumerate(infos, start=1):
            left_out, copies = len(series) - len(info.files), len(files) - len(series)
            found.append(replace(info, part=number, left_out=left_out, copies=copies))
    return sorted(found, key=_rank)


def _rank(info: SeriesInfo) -> tuple[bool, bool, bool, int, str, str]:
    return (
        info.localizer or info.headers[0].samples != 1,
        info.modality not in ("CT", "MR"),
        info.n_slices < 2,
        -info.n_slices * info.rows * info.columns,
        info.description,
        info.selector,
    )


def _alike(headers: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Images of one size, pixel spacing and direction; each multi-frame file stands alone."""
    groups: list[list[SliceHeader]] = []
    for header in headers:
        for group in groups:
            if _same_kind(header, group[0]):
                group.append(header)
                break
        else:
            groups.append([header])
    return groups


def _same_kind(one: SliceHeader, other: SliceHeader) -> bool:
    """Whether two images can be slices of one volume."""
    sizes = {(h.rows, h.columns, h.frames, h.is_localizer) for h in (one, other)}
    return (
        len(sizes) == 1
        and one.frames == 1
        and _close(one.pixel_spacing, other.pixel_spacing, SAME_SPACING_MM)
        and _close(one.orientation, other.orientation, SAME_DIRECTION)
    )


def _close(one: tuple[float, ...] | None, other: tuple[float, ...] | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= tolerance


def _divided(headers: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Volumes of images that share places, where time, acquisition, echo or weighting tells them apart."""
    if not _repeats(headers):
        return [headers]
    for position in range(len(DIVIDING_TAGS)):
        groups: defaultdict[str, list[SliceHeader]] = defaultdict(list)
        for header in headers:
            groups[header.dividing[position]].append(header)
        if len(groups) > 1 and not any(_repeats(group) for group in groups.values()):
            return list(groups.values())
    return [headers]


def _without_copies(headers: list[SliceHeader]) -> list[SliceHeader]:
    """One file a SOP instance."""
    seen: dict[str, SliceHeader] = {}
    for header in headers:
        seen.setdefault(header.sop_uid or str(header.path), header)
    return list(seen.values())


def _repeats(headers: list[SliceHeader]) -> bool:
    places = Counter(round(h.height / SAME_PLACE_MM) for h in headers if math.isfinite(h.height))
    return any(count > 1 for count in places.values())


def _info(path: Path, headers: list[SliceHeader]) -> SeriesInfo:
    placed = all(math.isfinite(h.height) for h in headers)
    ordered = tuple(
        sorted(headers, key=lambda h: (h.height if placed else 0.0, h.number is None, h.number or 0, str(h.path)))
    )
    first = ordered[0]
    rows, columns = first.pixel_spacing or (math.nan, math.nan)
    return SeriesInfo(
        path=path,
        files=tuple(h.path for h in ordered),
        series_uid=first.series_uid,
        study_uid=first.study_uid,
        modality=first.modality,
        description=first.description,
        n_slices=first.frames if len(ordered) == 1 else len(ordered),
        rows=first.rows,
        columns=first.columns,
        spacing=(columns, rows, _distance(ordered) if placed else math.nan),
        series_date=first.date,
        localizer=first.is_localizer,
        headers=ordered,
    )


def _distance(ordered: tuple[SliceHeader, ...]) -> float:
    """Mean distance of the slices, mm; the thickness of a single one."""
    if len(ordered) == 1:
        return ordered[0].slice_thickness
    return (ordered[-1].height - ordered[0].height) / (len(ordered) - 1)
