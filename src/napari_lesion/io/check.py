"""The input check: whether a study can be measured as it lies there, and what its reader should know."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from napari_lesion.core.findings import Check, Finding, Level
from napari_lesion.core.grid import OBLIQUE_LIMIT_DEG
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.io.pet import pet_findings
from napari_lesion.io.spacing import Spacing, spacing_of

THICK_SLICE_MM = 3.0
TILT_LIMIT_DEG = 0.1
NAMED = 5
"""Number of slices that a sentence names before it counts the rest."""
COMMENT_LENGTH = 120
STACK_CODES = {"no_positions", "single_slice", "missing_slices", "uneven_spacing", "resampled"}


def check_input(volume: Volume) -> Check:
    """Look for what makes measurements wrong or doubtful.

    Returns
    -------
    Check
        Red only when nothing right can be computed; green says what is in order.
    """
    headers = volume.source.headers
    found = [
        *_values(volume),
        *_stack(volume, headers),
        *_images(headers),
        *_geometry(volume, headers),
        *_direction(volume, headers),
        *_rescale(volume, headers),
        *pet_findings(volume),
        *_comments(headers),
    ]
    if not STACK_CODES & {finding.code for finding in found}:
        found.insert(0, _in_order(volume, headers))
    return Check(tuple(found))


def _green(code: str, message: str) -> Finding:
    return Finding(Level.GREEN, code, message)


def _yellow(code: str, message: str) -> Finding:
    return Finding(Level.YELLOW, code, message)


def _red(code: str, message: str) -> Finding:
    return Finding(Level.RED, code, message)


def _in_order(volume: Volume, headers: Mapping[str, Any]) -> Finding:
    if headers.get("slice_positions_mm"):
        return _green("slices", f"{volume.grid.shape[0]} slices, even spacing {volume.grid.spacing[2]:.2f} mm")
    count, step = _slices(volume)
    return _green("slices", f"{count} slices, spacing {step:.2f} mm")


def _slices(volume: Volume) -> tuple[int, float]:
    """Number and distance, mm, of the slices across the coarsest axis, the axial one where several are."""
    grid = volume.grid
    axis = max(range(3), key=lambda a: (round(grid.spacing_zyx[a], 3), a == grid.axial_axis))
    return grid.shape[axis], grid.spacing_zyx[axis]


def _values(volume: Volume) -> Iterator[Finding]:
    array = volume.array
    bad = 0
    if array.dtype.kind == "f":
        bad = sum(int(part.size - np.isfinite(part).sum()) for part in array)
    if bad == array.size:
        yield _red("nonfinite", "No voxel of the image is a number")
    elif bad:
        share = bad / array.size
        yield _yellow("nonfinite", f"{bad} voxels ({share:.2%}) are not numbers; they are left out of densities")
    elif array.min() == array.max():
        yield _yellow("constant", f"All voxels have the same value ({array.min()}): there is nothing to see")


def _stack(volume: Volume, headers: Mapping[str, Any]) -> Iterator[Finding]:
    count, step = _slices(volume)
    if min(volume.grid.shape) == 1:
        yield _yellow("single_slice", "This is a single slice: volumes and 3-D sizes mean little")
    positions = headers.get("slice_positions_mm", ())
    if headers.get("format") == "DICOM" and not positions and count > 1:
        yield _red("no_positions", "The images do not state their places in the patient, so nothing can be measured")
    spacing = spacing_of(positions)
    if spacing is not None:
        yield from _missing(spacing, headers)
        yield from _uneven(spacing, headers)
    if count > 1 and step > THICK_SLICE_MM * 1.001:
        yield _yellow("thick_slices", f"Slices are {step:.2f} mm apart: small lesions are missed or measured poorly")


def _missing(spacing: Spacing, headers: Mapping[str, Any]) -> Iterator[Finding]:
    if not spacing.gaps:
        return
    numbers = headers.get("instance_numbers", ())
    places = []
    for gap in spacing.gaps[:NAMED]:
        before, after = spacing.positions[gap.after], spacing.positions[gap.after + 1]
        place = f"between {before:.1f} and {after:.1f} mm"
        named = _between(numbers, gap.after, gap.count)
        places.append(f"{place} ({named})" if named else place)
    more = f" and {len(spacing.gaps) - NAMED} more places" if len(spacing.gaps) > NAMED else ""
    what = "1 slice is missing" if spacing.missing == 1 else f"{spacing.missing} slices are missing"
    effect = "" if "resampled" in headers else f"; sizes along the slices are {_percent(spacing.error)}"
    yield _yellow("missing_slices", f"{what}: {', '.join(places)}{more}{effect}")


def _between(numbers: tuple[int | None, ...], after: int, count: int) -> str:
    """Instance numbers of the missing slices, when the numbering leaves just these out."""
    if len(numbers) <= after + 1:
        return ""
    one, other = numbers[after], numbers[after + 1]
    if one is None or other is None or abs(other - one) != count + 1:
        return ""
    first, last = min(one, other) + 1, max(one, other) - 1
    return f"instance {first}" if first == last else f"instances {first} to {last}"


def _percent(error: float) -> str:
    return f"{abs(error):.1%} too {'large' if error > 0 else 'small'}"


def _uneven(spacing: Spacing, headers: Mapping[str, Any]) -> Iterator[Finding]:
    resampled = "resampled" in headers
    if spacing.wrong and not resampled:
        yield _red(
            "uneven_spacing",
            f"The slices are too uneven to be measured on one grid: {spacing.smallest:.2f} to "
            f"{spacing.largest:.2f} mm apart, {spacing.grid_step:.2f} mm on average",
        )
    elif spacing.uneven:
        steps = [b - a for a, b in zip(spacing.positions, spacing.positions[1:], strict=False)]
        holes = {gap.after for gap in spacing.gaps}
        worst = max(
            (k for k in range(len(steps)) if k not in holes), key=lambda k: abs(steps[k] - spacing.usual_step)
        )
        yield _yellow(
            "uneven_spacing",
            f"The distance of the slices varies from {spacing.smallest:.2f} to {spacing.largest:.2f} mm, "
            f"most at slices {worst + 1} and {worst + 2}; sizes along them are uncertain there",
        )


def _images(headers: Mapping[str, Any]) -> Iterator[Finding]:
    left_out, copies, repeated = (headers.get(k) for k in ("left_out", "copies", "repeated_mm"))
    if left_out:
        yield _yellow(
            "mixed_images",
            f"The series mixes images of several sizes, directions or acquisitions: {left_out} of them are left out",
        )
    if repeated:
        named = ", ".join(f"{place:.1f}" for place in repeated[:NAMED])
        more = f" and {len(repeated) - NAMED} more" if len(repeated) > NAMED else ""
        yield _yellow(
            "duplicate_images", f"Several images lie at one place ({named}{more} mm); the first of each was taken"
        )
    if copies:
        yield _green("copies", f"{copies} files repeat an image of the series and were passed over")
    if headers.get("lossy"):
        yield _yellow("lossy", "The images were once compressed with loss: densities are less exact")


def _geometry(volume: Volume, headers: Mapping[str, Any]) -> Iterator[Finding]:
    if "resampled" in headers:
        yield _yellow("resampled", headers["resampled"])
    if "mended" in headers:
        yield _yellow("mended", headers["mended"])
    if "second_geometry" in headers:
        yield _yellow("two_geometries", f"The header holds two geometries: {headers['second_geometry']}")
    yield from _gantry_tilt(headers)
    if headers.get("orientation_stated") is False:
        yield _yellow("orientation_unknown", "The file does not state directions: left and right cannot be trusted")
    if volume.grid.obliquity_deg > OBLIQUE_LIMIT_DEG:
        yield _yellow(
            "oblique",
            f"The slices are tilted by {volume.grid.obliquity_deg:.0f} degrees against the patient; "
            "axes are measured in their plane",
        )


def _gantry_tilt(headers: Mapping[str, Any]) -> Iterator[Finding]:
    tilt = headers.get("tilt_deg", 0.0)
    stated = headers.get("stated_tilt_deg", math.nan)
    if tilt:
        yield _yellow("gantry_tilt", f"The scan was made with a gantry tilt of {tilt:.1f} degrees, now straightened")
    elif abs(stated) > TILT_LIMIT_DEG:
        message = f"A gantry tilt of {stated:.1f} degrees is stated, but the slices lie straight"
        yield _green("gantry_tilt", message)


_PLANES = ("axial", "coronal", "sagittal")


def _direction(volume: Volume, headers: Mapping[str, Any]) -> Iterator[Finding]:
    """How the voxels are stored; all of this is handled, and said so that nobody wonders."""
    left, posterior, superior = volume.grid.patient_axes
    matrix = volume.grid.matrix
    stored = _PLANES[(superior, posterior, left).index(0)]
    if stored != "axial":
        yield _green("not_axial", f"The images are stored as {stored} slices")
    elif matrix[2, 2 - superior] < 0:
        yield _green("head_first", "Slices are stored from head to feet")
    if str(headers.get("patient_position", "")).startswith("FF"):
        yield _green("feet_first", "The patient lay feet first in the scanner; directions are as stated")
    in_plane = matrix[0, 2 - left], matrix[1, 2 - posterior]
    if stored == "axial" and min(in_plane) < 0 and headers.get("format") == "DICOM":
        yield _green("turned_images", "The images are stored upside down or mirrored, and shown upright")


def _rescale(volume: Volume, headers: Mapping[str, Any]) -> Iterator[Finding]:
    if volume.modality != Modality.CT or headers.get("rescale_stated"):
        return
    if float(np.fmin.reduce(volume.array, axis=None)) >= 0:
        yield _yellow(
            "missing_rescale",
            "This CT has no rescale slope and intercept and no value below 0: its values are no Hounsfield units",
        )


def _comments(headers: Mapping[str, Any]) -> Iterator[Finding]:
    comments = headers.get("comments", ())
    for number, text in comments[:NAMED]:
        words = " ".join(text.split())
        words = words if len(words) <= COMMENT_LENGTH else f"{words[:COMMENT_LENGTH]}…"
        where = f"of image {number} " if number is not None else ""
        yield _yellow("file_comment", f"A comment {where}says: {words}")
    if len(comments) > NAMED:
        yield _yellow("file_comment", f"{len(comments) - NAMED} more images carry such comments")
