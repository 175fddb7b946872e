"""Unpack the zip file of a bundle: nothing leads out of its folder, and nothing unfolds without end."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

from napari_lesion.core.errors import ModelError
from napari_lesion.core.jobs import JobContext
from napari_lesion.models.config.files import MAX_FILES

MAX_BYTES: Final = 8 * 2**30
MAX_RATIO: Final = 200
"""Unpacked over packed size; weights shrink by a third at most, texts by twenty."""
RATIO_FROM_BYTES: Final = 16 * 2**20
CHUNK: Final = 2**20


def unpack(archive: Path, folder: Path, ctx: JobContext | None = None) -> None:
    """Unpack a zip file into an empty folder.

    Raises
    ------
    ModelError
        For a damaged archive, and for one with absolute or climbing paths, links, encryption, too many files, or
        more bytes than it states; what was unpacked by then is for the caller to delete.
    """
    ctx = ctx or JobContext()
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _require_bounded(archive, entries)
            written = 0
            for entry in ctx.track(entries, "Unpacking", len(entries)):
                written += _extract(archive, opened, entry, folder, MAX_BYTES - written)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
        raise ModelError(f"{archive.name} is damaged", "it is not a whole zip file", "Copy it again") from error


def _require_bounded(archive: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_FILES:
        raise _refused(archive, f"it holds more than {MAX_FILES} files")
    total = sum(entry.file_size for entry in entries)
    packed = max(1, archive.stat().st_size)  # not what the entries state: they may overlap
    if total > MAX_BYTES or (total > RATIO_FROM_BYTES and total / packed > MAX_RATIO):
        raise _refused(archive, f"it would unfold to {total / 2**30:.1f} GiB from {packed / 2**20:.1f} MiB")
    for entry in entries:
        if not entry.filename.isprintable():
            raise _refused(archive, "the name of a file in it is no plain text")
        if entry.flag_bits & 1:
            raise _refused(archive, f"{entry.filename} is encrypted")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise _refused(archive, f"{entry.filename} is a symbolic link")
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0:1] or ":" in entry.filename:
            raise _refused(archive, f"{entry.filename} leads out of its folder")


def _extract(archive: Path, opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, left: int) -> int:
    """Write one entry; the bytes are counted, since what the archive states may be a lie."""
    target = folder / PurePosixPath(entry.filename.replace("\\", "/"))
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(entry) as source, target.open("xb") as sink:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > min(left, entry.file_size):
                raise _refused(archive, f"{entry.filename} unfolds to more than it states")
            sink.write(chunk)
    return written


def _refused(archive: Path, why: str) -> ModelError:
    return ModelError(f"{archive.name} was refused; nothing of it was kept", why)
