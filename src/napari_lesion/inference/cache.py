"""The user's cache folder: converted networks and timings; everything in it can be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

CACHE_VARIABLE: Final = "NAPARI_LESION_CACHE_DIR"


def cache_folder() -> Path:
    """Folder for what can be made again: ``NAPARI_LESION_CACHE_DIR``, or the place the system has for caches."""
    stated = os.environ.get(CACHE_VARIABLE, "")
    if stated:
        return Path(stated).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("napari-lesion", appauthor=False)
