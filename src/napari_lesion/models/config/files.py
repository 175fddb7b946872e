"""The files of a bundle: what leads out of it, what is no file, how large it all is, and the hash of each."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from napari_lesion.models.safety import sha256_of

MAX_FILES: Final = 5000


def walk_files(root: Path) -> Iterator[Path]:
    """Every entry below a folder that is no plain folder, in the order of names; links are not followed."""
    for folder, names, files in os.walk(root, followlinks=False):
        names.sort()
        links = [name for name in names if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*files, *links]):
            yield Path(folder) / name


def file_problems(root: Path) -> Iterator[tuple[str, str]]:
    """Relative path and words for every entry of a bundle that is refused."""
    base = root.resolve()
    for count, path in enumerate(walk_files(root)):
        relative = path.relative_to(root).as_posix()
        if count >= MAX_FILES:
            yield relative, f"the bundle has more than {MAX_FILES} files"
            return
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            if not path.resolve().is_relative_to(base):
                yield relative, "a symbolic link that leads out of the bundle"
        elif not stat.S_ISREG(mode):
            yield relative, "neither a file nor a folder"


def digests(root: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle by its relative path; byte code that Python made is left out."""
    found: dict[str, str] = {}
    for path in walk_files(root):
        relative = path.relative_to(root)
        if "__pycache__" in relative.parts or not path.is_file():
            continue
        found[relative.as_posix()] = sha256_of(path)
    return found
