"""What the headers of DICOM files say, as far as a volume needs it; never the name or birth date of a patient."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_lesion.core.jobs import JobContext
from napari_lesion.io.elements import number_of, numbers_of, text_of, values_of, whole_of

PREAMBLE = 128
MAGIC = b"DICM"
BARE_SUFFIXES = ("", ".dcm", ".ima", ".dicom")
"""Extensions under which a file without the DICM mark is still tried."""

MOST_FILES = 50_000
"""Files that are looked at in one folder; nobody opens a study by choosing a whole disk."""
NO_IMAGES = ("SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "SR", "PR", "KO", "REG")
"""Modalities of objects about images; some of them hold pixels, which are no densities."""
TELLING = re.compile(r"pad|truncat|missing|corrupt|interpolat|incomplete|damage|defect|art[ei]fact", re.IGNORECASE)
"""Comments with one of these words are kept; others may hold anything, even names, and are not."""

TAGS = [
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesDate",
    "AcquisitionDate",
    "StudyDate",
    "Modality",
    "SeriesDescription",
    "SliceThickness",
    "EchoNumbers",
    "TriggerTime",
    "ContrastBolusAgent",
    "GantryDetectorTilt",
    "PatientPosition",
    "DiffusionBValue",
    "PatientName",  # looked for in comments, and not kept
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "AcquisitionNumber",
    "InstanceNumber",
    "TemporalPositionIdentifier",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "ImageComments",
    "SamplesPerPixel",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "LossyImageCompression",
    "RescaleIntercept",
    "RescaleSlope",
    "Units",
    "SUVType",
]
DIVIDING_TAGS = ("TemporalPositionIdentifier", "AcquisitionNumber", "EchoNumbers", "DiffusionBValue", "TriggerTime")
"""Attributes that tell apart images of one series at the same place, in the order they are tried."""


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """Header of one DICOM image.

    Parameters
    ----------
    path
        The file.
    sop_uid, sop_class, series_uid, study_uid, frame_uid
        UIDs.
    modality, description, date, patient_position
        Attributes of the series; ``date`` is the first stated of series, acquisition and study date.
    number
        Instance Number; None when it is not stated.
    rows, columns, frames, samples
        Size of the pixel data.
    pixel_spacing
        Distance of rows and of columns, mm; None when not stated.
    position, orientation
        Image Position (Patient), mm, and Image Orientation (Patient), LPS; None when not stated.
    slice_thickness
        mm; NaN when not stated.
    tilt_deg
        Gantry/Detector Tilt; NaN when not stated.
    rescaled
        Whether Rescale Slope and Intercept are both stated.
    comment
        Image Comments, when they tell of a fault of the image, and do not name the patient.
    lossy
        Whether the pixels were ever compressed with loss.
    image_type
        Image Type.
    contrast
        Contrast/Bolus Agent; empty when not stated.
    units
        Units of PET values; ``SUVbw`` for standardised uptake values by body weight.
    dividing
        Values of `DIVIDING_TAGS`.
    """

    path: Path
    sop_uid: str
    sop_class: str
    series_uid: str
    study_uid: str
    frame_uid: str
    modality: str
    description: str
    date: str
    patient_position: str
    number: int | None
    rows: int
    columns: int
    frames: int
    samples: int
    pixel_spacing: tuple[float, ...] | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    slice_thickness: float
    tilt_deg: float
    rescaled: bool
    comment: str
    lossy: bool
    image_type: tuple[str, ...]
    contrast: str
    units: str
    dividing: tuple[str, ...]

    @property
    def is_localizer(self) -> bool:
        """Whether this is a scout image."""
        return "LOCALIZER" in self.image_type

    @property
    def normal(self) -> tuple[float, float, float] | None:
        """Normal of the slice, LPS: row direction times column direction."""
        if self.orientation is None:
            return None
        a, b, c, d, e, f = self.orientation
        return b * f - c * e, c * d - a * f, a * e - b * d

    @property
    def height(self) -> float:
        """Position along the normal, mm; NaN when it is not stated."""
        if self.normal is None or self.position is None:
            return math.nan
        return math.fsum(p * n for p, n in zip(self.position, self.normal, strict=True))


def is_dicom(path: Path) -> bool:
    """Whether a file carries the DICM mark after its preamble."""
    try:
        with path.open("rb") as file:
            return file.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC
    except OSError:
        return False


def candidate_files(folder: Path, depth: int) -> list[Path]:
    """Files of a folder and of those up to ``depth`` levels below, by name; hidden ones are passed over."""
    found: list[Path] = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_file():
            found.append(entry)
        elif depth > 0 and entry.is_dir() and not entry.is_symlink():
            found.extend(candidate_files(entry, depth - 1))
        if len(found) >= MOST_FILES:
            break
    return found


def read_headers(files: Iterable[Path], ctx: JobContext) -> Iterator[SliceHeader]:
    """Headers of the DICOM images among these files; other files and objects without pixels are passed over."""
    files = list(files)
    for path in ctx.track(files, "Reading headers", len(files)):
        header = read_header(path)
        if header is not None:
            yield header


def read_header(path: Path) -> SliceHeader | None:
    """Header of one file; None when it is no DICOM file, a directory, or an object without an image."""
    with lenient():
        dataset = read_dataset(path, TAGS)
        if dataset is None or not (text_of(dataset, "SOPClassUID") and whole_of(dataset, "Rows")):
            return None
        if text_of(dataset, "Modality") in NO_IMAGES:
            return None
        return _header(path, dataset)


def lenient() -> AbstractContextManager[None]:
    """No warning for values that break the standard in spelling only: they would come by the hundred."""
    from pydicom import config

    context: AbstractContextManager[None] = config.disable_value_validation()
    return context


def read_dataset(path: Path, tags: Sequence[str | int] | None) -> Any:
    """Data set (pydicom) of a file without its pixels, restricted to ``tags``; None when it is no DICOM file."""
    import pydicom

    force = not is_dicom(path)
    if force and path.suffix.lower() not in BARE_SUFFIXES:
        return None
    try:
        return pydicom.dcmread(
            path, stop_before_pixels=True, force=force, specific_tags=None if tags is None else list(tags)
        )
    except Exception as error:
        # pydicom raises nearly anything on what is not DICOM
        if isinstance(error, (MemoryError, PermissionError)):
            raise
        return None


def _header(path: Path, dataset: Any) -> SliceHeader:
    position = numbers_of(dataset, "ImagePositionPatient", 3)
    return SliceHeader(
        path=path,
        sop_uid=text_of(dataset, "SOPInstanceUID"),
        sop_class=text_of(dataset, "SOPClassUID"),
        series_uid=text_of(dataset, "SeriesInstanceUID"),
        study_uid=text_of(dataset, "StudyInstanceUID"),
        frame_uid=text_of(dataset, "FrameOfReferenceUID"),
        modality=text_of(dataset, "Modality"),
        description=text_of(dataset, "SeriesDescription"),
        date=next((d for d in (text_of(dataset, f"{k}Date") for k in ("Series", "Acquisition", "Study")) if d), ""),
        patient_position=text_of(dataset, "PatientPosition"),
        number=whole_of(dataset, "InstanceNumber"),
        rows=whole_of(dataset, "Rows") or 0,
        columns=whole_of(dataset, "Columns") or 0,
        frames=whole_of(dataset, "NumberOfFrames") or 1,
        samples=whole_of(dataset, "SamplesPerPixel") or 1,
        pixel_spacing=numbers_of(dataset, "PixelSpacing", 2),
        position=position,
        orientation=numbers_of(dataset, "ImageOrientationPatient", 6),
        slice_thickness=number_of(dataset, "SliceThickness"),
        tilt_deg=number_of(dataset, "GantryDetectorTilt"),
        rescaled=not (
            math.isnan(number_of(dataset, "RescaleSlope")) or math.isnan(number_of(dataset, "RescaleIntercept"))
        ),
        comment=_comment(dataset),
        lossy=text_of(dataset, "LossyImageCompression") == "01",
        image_type=tuple(str(word).upper() for word in values_of(dataset, "ImageType")),
        contrast=text_of(dataset, "ContrastBolusAgent"),
        units=_units(dataset),
        dividing=tuple(text_of(dataset, tag) for tag in DIVIDING_TAGS),
    )


def _comment(dataset: Any) -> str:
    """Image comment that tells of a fault; empty when it does not, or names the patient."""
    text = text_of(dataset, "ImageComments")
    names = re.findall(r"\w{3,}", text_of(dataset, "PatientName").lower())
    if not TELLING.search(text) or any(name in text.lower() for name in names):
        return ""
    return text


def _units(dataset: Any) -> str:
    """Units (0054,1001); g/ml are SUV by body weight unless SUV Type (0054,1006) says another kind."""
    units = text_of(dataset, "Units")
    return "SUVbw" if units == "GML" and text_of(dataset, "SUVType") in ("", "BW") else units
