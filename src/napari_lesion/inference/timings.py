"""Seconds a window takes on this machine, remembered from the last run of each model."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from napari_lesion.inference.cache import cache_folder
from napari_lesion.models.bundle import BundleInfo


def remember(bundle: BundleInfo, backend: str, device: str, seconds: float) -> None:
    """Keep the seconds a window took; a cache that cannot be written is no error."""
    path = _path()
    timings = {**_read(path), _key(bundle, backend, device): round(seconds, 6)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(timings, stream, indent=1, sort_keys=True)
        Path(temporary).replace(path)
    except OSError:
        return


def recall(bundle: BundleInfo, backend: str, device: str) -> float | None:
    """Seconds a window took in the last run; None when this model never ran here."""
    value = _read(_path()).get(_key(bundle, backend, device))
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _path() -> Path:
    return cache_folder() / "timings.json"


def _key(bundle: BundleInfo, backend: str, device: str) -> str:
    roi = "x".join(map(str, bundle.roi_size))
    return f"{bundle.weights_sha256[:16]} {roi} {backend} {device.split()[0]}"


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
