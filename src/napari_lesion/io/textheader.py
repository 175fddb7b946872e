"""The text headers of NRRD and MetaImage, looked at before SimpleITK does: some damaged ones make it crash."""

from __future__ import annotations

import math
from pathlib import Path

from napari_lesion.core.errors import InputError

HEADER_BYTES = 1 << 16
MOST_DIMENSIONS = 7
MOST_VOXELS_PER_BYTE = 1032
"""What deflate can pack into one byte at most (zlib, technical details)."""


def read_header(path: Path) -> dict[str, str]:
    """Keys and values of a NRRD or MetaImage header, as text.

    Raises
    ------
    InputError
        When the header states no plausible size.
    """
    with path.open("rb") as file:
        text = file.read(HEADER_BYTES).decode("latin-1")
    nrrd = text.startswith("NRRD")
    lines = _lines(text, ":" if nrrd else "=", last="" if nrrd else "ElementDataFile")
    stated = (lines.get("dimension"), lines.get("sizes")) if nrrd else (lines.get("NDims"), lines.get("DimSize"))
    sizes = _sizes(*stated)
    if not sizes or not _can_hold(path, math.prod(sizes)):
        raise damaged(path, "its header states no size, or one that the file cannot hold")
    return lines


def damaged(path: Path, why: str) -> InputError:
    """Error for a file that breaks off or makes no sense."""
    return InputError(f"{path.name} is damaged or incomplete", why, "Copy or export the file again")


def _lines(text: str, mark: str, last: str) -> dict[str, str]:
    """Keys and values up to the empty line of NRRD, or the last key of MetaImage."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition(mark))
        if not key and not last:
            break
        found[key] = value
        if key and key == last:
            break
    return found


def _sizes(dimension: str | None, sizes: str | None) -> list[int]:
    """Size along each axis; empty when the header does not make sense."""
    try:
        count, numbers = int(dimension or 0), [int(word) for word in (sizes or "").split()]
    except ValueError:
        return []
    return numbers if 0 < count == len(numbers) <= MOST_DIMENSIONS and min(numbers) > 0 else []


def _can_hold(path: Path, voxels: int) -> bool:
    """Whether a file can hold so many voxels; one with its data elsewhere is left to the reader."""
    detached = path.suffix.lower() in (".mhd", ".nhdr")
    return voxels < 2**40 if detached else voxels <= path.stat().st_size * MOST_VOXELS_PER_BYTE
