"""Where a row came from: case, series, slice, and when somebody last changed it."""

from __future__ import annotations

import re
import uuid
from functools import partial

from napari_lesion.core.lesion import Lesion
from napari_lesion.core.volume import Source
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.spec import Family, FeatureSpec

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "napari-lesion")


def lesion_uid(source: Source, lesion: Lesion) -> str:
    """UID of a lesion that stays the same across the time points of one patient.

    It is the lesion's own where it has one. Else it is made from the patient and the name of the lesion: equal names
    at two visits of one patient give one UID. The patient is ``headers["patient"]`` of the source, a keyed hash of
    what the file or the user said, which names nobody; where nothing was said, the case stands for the patient.

    Returns
    -------
    str
        ``2.25.`` and a UUID as a decimal number; empty for a lesion of an array that came from no file.
    """
    if lesion.lesion_uid:
        return lesion.lesion_uid
    owner = source.headers.get("patient") or (source.case if source.path else "")
    return f"2.25.{uuid.uuid5(NAMESPACE, f'{owner}/{lesion.tracking_id}').int}" if owner else ""


def iso_date(date: str) -> str:
    """A DICOM date as ``YYYY-MM-DD``; empty when it is none."""
    parts = re.fullmatch(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})", date.strip())
    return "-".join(parts.groups()) if parts else ""


def _sop_instance_uid(c: LesionContext) -> str:
    """UID of the image that holds the long axis; empty where axial slices are not the images of the series."""
    uids = c.volume.source.sop_uids
    index = c.axes.slice_index + c.start[0]
    return uids[index] if c.grid.axial_axis == 0 and index < len(uids) else ""


_text = partial(FeatureSpec, family=Family.PROVENANCE)

PROVENANCE: tuple[FeatureSpec, ...] = (
    _text(
        "case",
        "Case",
        function=lambda c: c.volume.source.case,
        definition="Name of the file without its image extension, or of the DICOM folder.",
    ),
    _text(
        "series_uid",
        "Series UID",
        function=lambda c: c.volume.source.series_uid,
        definition="Series Instance UID; empty for a file that is not DICOM.",
        reference="DICOM (0020,000E)",
    ),
    _text(
        "series_date",
        "Date",
        function=lambda c: iso_date(c.volume.source.series_date),
        definition="Date of the series, else of its acquisition, else of the study, as YYYY-MM-DD.",
        reference="DICOM (0008,0021), (0008,0022), (0008,0020)",
    ),
    _text(
        "sop_instance_uid",
        "Image UID",
        function=_sop_instance_uid,
        definition="SOP Instance UID of the image that holds the long axis; empty for a file that is not DICOM.",
        reference="DICOM (0008,0018)",
        needs=("axes",),
    ),
    _text(
        "slice_spacing_mm",
        "Slice spacing",
        function=lambda c: c.axial_spacing[0],
        definition="Distance of neighbouring axial slices; a comparison of two scans looks at it.",
        unit="mm",
        ucum="mm",
        decimals=2,
        invariance=("T", "F2", "S1"),
    ),
    _text(
        "edited_at",
        "Edited",
        function=lambda c: c.lesion.edited_at,
        definition="When somebody last changed the mask by hand, ISO 8601 UTC; empty when nobody did.",
    ),
    _text(
        "reviewed_at",
        "Reviewed",
        function=lambda c: c.lesion.reviewed_at,
        definition="When the reader last decided on the lesion, ISO 8601 UTC; empty when nobody did.",
    ),
)
