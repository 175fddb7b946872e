"""Build hook: napari.yaml and resources/ stand at the top level and ship inside the package."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = ("napari.yaml", "resources")


class ShipTopLevel(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        for name in SHIPPED:
            if version == "editable":
                _link(root / name, root / "src" / "napari_lesion" / name)
            else:
                build_data["force_include"][str(root / name)] = f"napari_lesion/{name}"


def _link(target: Path, link: Path) -> None:
    """Point the package at the top level; copy where links are not allowed (Windows)."""
    if link.is_symlink() or link.is_file():
        link.unlink()
    elif link.is_dir():
        shutil.rmtree(link)
    try:
        link.symlink_to(os.path.relpath(target, link.parent), target_is_directory=target.is_dir())
    except OSError:
        (shutil.copytree if target.is_dir() else shutil.copy)(target, link)
