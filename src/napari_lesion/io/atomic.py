"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_lesion.core.errors import OutputError

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")

_ADVICE = {
    errno.ENOSPC: "Free some space, or choose another folder",
    errno.EDQUOT: "Free some space, or choose another folder",
    errno.EFBIG: "Choose a folder on a disk that takes files of this size",
    errno.EACCES: "Choose a folder that you may write to",
    errno.EPERM: "Choose a folder that you may write to",
    errno.EROFS: "Choose a folder that you may write to",
    errno.ENOENT: "Choose a folder that exists",
}


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; rename it to ``path`` when the block ends well.

    The temporary file keeps the whole extension (``.nii.gz``), because writers choose the format by it.
    It is synced to the disk before the rename, and the folder after it. When the block raises, the
    temporary file is removed, and a file that was there before stays as it was.

    Raises
    ------
    OutputError
        For every `OSError` in the block or in the rename: a folder that is missing, full or read only.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name.split('.')[0]}-{secrets.token_hex(4)}{extension(path)}")
    try:
        try:
            yield temporary
            _sync_file(temporary)
            os.replace(temporary, path)
            _sync_folder(path.parent)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        raise output_error(path, error) from error


def output_error(path: Path, error: OSError) -> OutputError:
    """Say in plain words why a file could not be written."""
    reason = error.strerror or str(error)
    return OutputError(
        f"{path.name} could not be written to {path.parent}",
        reason,
        _ADVICE.get(error.errno or 0, "Choose another folder"),
    )


def extension(path: Path) -> str:
    """Extension of a file as it is written, with both parts of ``.nii.gz``."""
    for suffix in IMAGE_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[-len(suffix) :]
    return path.suffix


def write_text(path: Path, text: str) -> None:
    """Write a small UTF-8 file atomically, with the line ends as they are in ``text``."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; Windows cannot open folders and needs no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems refuse to sync a folder; the file itself is safe.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
