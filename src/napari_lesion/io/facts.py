"""Facts of a DICOM header that go with a volume, for the input check and the measures."""

from __future__ import annotations

import math
from typing import Any

from napari_lesion.io.series import SeriesInfo


def series_facts(info: SeriesInfo) -> dict[str, Any]:
    """Facts of the headers that the input check looks at."""
    first = info.headers[0]
    heights = tuple(h.height for h in info.headers)
    stated = {"contrast": first.contrast, "units": first.units}
    return {
        **{name: value for name, value in stated.items() if value},
        "format": "DICOM",
        "dicom_modality": first.modality,
        "slice_positions_mm": heights if all(map(math.isfinite, heights)) else (),
        "instance_numbers": tuple(h.number for h in info.headers),
        "slice_thickness_mm": first.slice_thickness,
        "stated_tilt_deg": first.tilt_deg,
        "patient_position": first.patient_position,
        "rescale_stated": all(h.rescaled for h in info.headers),
        "orientation_stated": first.orientation is not None and first.position is not None,
        "comments": tuple((h.number, h.comment) for h in info.headers if h.comment),
        "lossy": any(h.lossy for h in info.headers),
        "left_out": info.left_out,
        "copies": info.copies,
    }
