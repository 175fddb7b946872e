"""Which bundles the user trusts: the hash of every file as it was when they said so.

A bundle whose files changed since is no longer trusted, and the user is asked again.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from napari_lesion.core.errors import ModelError, OutputError
from napari_lesion.models.catalogue import user_folder
from napari_lesion.models.config.files import digests

FILE: Final = "trusted.json"
SCHEMA_VERSION: Final = 1


def trust(root: Path, seen: Mapping[str, str] | None = None) -> None:
    """Pin every file of a bundle as it is now.

    Parameters
    ----------
    root
        Folder of the bundle.
    seen
        Hashes of the files when the user was asked; none when nobody was shown them before.

    Raises
    ------
    ModelError
        When a file is another one than the user was asked about.
    OutputError
        When the record cannot be written.
    """
    now = digests(root)
    if seen is not None and dict(seen) != now:
        raise ModelError(
            f"Files of the model {root.name} changed while you were asked", "", "Look at them, and try again"
        )
    record = _read()
    record[_key(root)] = {"trusted_at": datetime.now(UTC).isoformat(timespec="seconds"), "files": now}
    _write(record)


def distrust(root: Path) -> None:
    """Forget that a bundle was trusted."""
    record = _read()
    if record.pop(_key(root), None) is not None:
        _write(record)


def is_trusted(root: Path) -> bool:
    """Whether the user trusted a bundle and no file of it was added, changed or taken away since."""
    entry = _read().get(_key(root))
    return isinstance(entry, Mapping) and entry.get("files") == digests(root)


def changed_files(root: Path) -> tuple[str, ...]:
    """Files of a trusted bundle that are no longer what they were; empty for a bundle that was never trusted."""
    entry = _read().get(_key(root))
    pinned = entry.get("files") if isinstance(entry, Mapping) else None
    if not isinstance(pinned, Mapping):
        return ()
    now = digests(root)
    return tuple(sorted(name for name in {*pinned, *now} if pinned.get(name) != now.get(name)))


def _key(root: Path) -> str:
    return str(root.resolve())


def _path() -> Path:
    return user_folder() / FILE


def _read() -> dict[str, Any]:
    """The record; an unreadable one trusts nothing."""
    try:
        content = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    bundles = content.get("bundles") if isinstance(content, dict) else None
    known = isinstance(content, dict) and content.get("schema_version") == SCHEMA_VERSION
    return dict(bundles) if known and isinstance(bundles, dict) else {}


def _write(bundles: Mapping[str, Any]) -> None:
    path = _path()
    text = json.dumps({"schema_version": SCHEMA_VERSION, "bundles": dict(bundles)}, indent=2)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE}-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"The record of trusted models {path} cannot be written", error.strerror or str(error)
        ) from error
