"""Paths of the studies that were opened last."""

from __future__ import annotations

import json
from pathlib import Path

from napari_lesion.io.records import state_folder

FILE_NAME = "recent.json"
LIMIT = 8


class RecentStudies:
    """The last few paths, newest first, kept in one small file; a damaged or read-only file is forgiven."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = (folder or state_folder()) / FILE_NAME

    def paths(self) -> list[Path]:
        """Paths that still exist, newest first."""
        return [path for path in self._stored() if path.exists()][:LIMIT]

    def add(self, path: Path) -> None:
        """Put a path first."""
        path = path.absolute()
        kept = [path, *(other for other in self._stored() if other != path)][:LIMIT]
        temporary = self._file.with_suffix(".tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps([str(item) for item in kept]), encoding="utf-8")
            temporary.replace(self._file)
        except OSError:
            return

    def _stored(self) -> list[Path]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return [Path(item) for item in content if isinstance(item, str)] if isinstance(content, list) else []
