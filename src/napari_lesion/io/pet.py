"""PET series: their headers, and their values as SUV where the header carries what that needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.findings import Finding, Level
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.io.elements import number_of, text_of, values_of
from napari_lesion.io.headers import lenient, read_dataset
from napari_lesion.io.suv import PetHeader, SuvFactor, series_suv

SUV_BW: Final = "SUVbw"
UNIT_WORDS: Final = {"BQML": "Bq/ml", "CNTS": "counts", "GML": "g/ml"}
OFFSET_NAME: Final = "TimezoneOffsetFromUTC"
TAGS: Final = [
    "Units",
    "SUVType",
    "CorrectedImage",
    "DecayCorrection",
    "RadiopharmaceuticalInformationSequence",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "FrameReferenceTime",
    "ActualFrameDuration",
    "PatientWeight",
    OFFSET_NAME,
]
OFFSET: Final = re.compile(r"[+-]\d{4}")
UNSTATED: Final = "The file does not say whether its values are SUV: columns of densities end in _au"
PRIVATE: Final = {"GEMS_PETD_01": 0x0009, "Philips PET Private Group": 0x7053}
PRIVATE_TAGS: Final[list[int]] = [
    *((group << 16) | 0x0010 + k for group in PRIVATE.values() for k in range(8)),
    *(0x00090000 | (0x10 + k) << 8 | 0x0D for k in range(8)),
    *(0x70530000 | (0x10 + k) << 8 | element for k in range(8) for element in (0x00, 0x09)),
]
"""Private elements and the creators that reserve their blocks, wherever in the group these lie."""


def read_pet_header(path: Path) -> PetHeader:
    """What a PET image says about its values; empty when the file cannot be read."""
    with lenient():
        dataset = read_dataset(path, [*TAGS, *PRIVATE_TAGS])
        return PetHeader() if dataset is None else _header(dataset)


def _header(dataset: Any) -> PetHeader:
    given = (values_of(dataset, "RadiopharmaceuticalInformationSequence") or [{}])[0]
    return PetHeader(
        units=text_of(dataset, "Units"),
        suv_type=text_of(dataset, "SUVType"),
        corrections=tuple(str(word).upper() for word in values_of(dataset, "CorrectedImage")),
        decay_correction=text_of(dataset, "DecayCorrection").upper(),
        dose_bq=number_of(given, "RadionuclideTotalDose"),
        half_life_s=number_of(given, "RadionuclideHalfLife"),
        injected=_moment(text_of(given, "RadiopharmaceuticalStartDateTime"), text_of(dataset, OFFSET_NAME)),
        injected_time=_moment("19000101" + text_of(given, "RadiopharmaceuticalStartTime")),
        series=_stated(dataset, "Series"),
        acquired=_stated(dataset, "Acquisition"),
        ge_scan=_moment(_private(dataset, "GEMS_PETD_01", 0x0D)),
        frame_reference_s=number_of(dataset, "FrameReferenceTime") / 1000.0,
        frame_duration_s=number_of(dataset, "ActualFrameDuration") / 1000.0,
        weight_kg=number_of(dataset, "PatientWeight"),
        philips_suv=_private_number(dataset, 0x00),
        philips_activity=_private_number(dataset, 0x09),
    )


def _stated(dataset: Any, name: str) -> datetime | None:
    date, time = text_of(dataset, f"{name}Date"), text_of(dataset, f"{name}Time")
    return _moment(date.replace(".", "") + time) if date else None


def _moment(text: str, zone: str = "") -> datetime | None:
    """A DICOM date and time as local time; None when it is not one, or states no hour.

    An offset from UTC in the text is turned to that of the series (Timezone Offset From UTC), where both are stated.
    """
    matched = re.fullmatch(r"(\d{8}) ?([\d:]{2,8})(\.\d{1,6})?([+-]\d{4})?", text.strip())
    if matched is None:
        return None
    date, time, fraction, offset = matched.groups()
    try:
        moment = datetime.strptime(date + time.replace(":", "").ljust(6, "0"), "%Y%m%d%H%M%S")
    except ValueError:
        return None
    moment += timedelta(seconds=float(fraction or 0.0))
    return moment + _offset(zone) - _offset(offset) if offset and OFFSET.fullmatch(zone) else moment


def _offset(text: str) -> timedelta:
    sign = -1 if text.startswith("-") else 1
    return sign * timedelta(hours=int(text[1:3]), minutes=int(text[3:5]))


def _private(dataset: Any, creator: str, element: int) -> str:
    try:
        value = dataset.private_block(PRIVATE[creator], creator)[element].value
    except (KeyError, AttributeError):
        return ""
    text = value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value)
    return text.strip("\0 ")


def _private_number(dataset: Any, element: int) -> float:
    try:
        return float(_private(dataset, "Philips PET Private Group", element))
    except ValueError:
        return float("nan")


def multi_frame_facts(units: str) -> dict[str, Any]:
    """Facts of a multi-frame PET object, whose dose and times are stated in another way, not read here."""
    if units == SUV_BW:
        return {"suv": "The values are SUV (body weight), as the scanner stored them"}
    return {"suv": _left_as_they_are("The values are not SUV: this is a multi-frame PET object", units)}


def to_suv(array: npt.NDArray[Any], files: tuple[Path, ...]) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Rescaled values of a PET series as SUV by body weight, where its headers allow that.

    Parameters
    ----------
    array
        Rescaled values (z, y, x), each slice by its own slope.
    files
        The images, in the order of the slices.

    Returns
    -------
    tuple
        SUV (float32), or the array itself; and facts: ``units`` is ``SUVbw`` only for SUV, ``suv`` says what it was
        made from or why it was not made.
    """
    headers = [read_pet_header(path) for path in files]
    found: SuvFactor = series_suv(headers)
    if not found.known:
        return array, {"units": headers[0].units, "suv": _left_as_they_are(found.statement, headers[0].units)}
    facts = {"units": SUV_BW, "suv": found.statement, "suv_factor": found.factor}
    return (array if found.factor == 1.0 else (array * found.factor).astype(np.float32)), facts


def _left_as_they_are(statement: str, units: str) -> str:
    return f"{statement}; they stay in {UNIT_WORDS.get(units, units or 'the unit of the file')}"


def pet_findings(volume: Volume) -> Iterator[Finding]:
    """What the input check says about the unit of a PET image."""
    if volume.modality is not Modality.PT:
        return
    headers = volume.source.headers
    if headers.get("units") == SUV_BW:
        yield Finding(Level.GREEN, "suv", headers["suv"])
    else:
        yield Finding(Level.YELLOW, "no_suv", headers.get("suv", UNSTATED))
