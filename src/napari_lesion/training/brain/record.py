"""What a run of the brain model learned from, kept beside its weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from napari_lesion.core.errors import InputError
from napari_lesion.training.brain.pool import PoolItem
from napari_lesion.training.detector.config import RECORD, CropConfig


def write_brain_record(folder: Path, config: CropConfig, leave_out: str, seen: Sequence[PoolItem]) -> None:
    """Keep configuration, versions, the patient left out and every scan in the folder of a run.

    Raises
    ------
    InputError
        When the folder holds a run of another configuration, patient or pool.
    """
    record = {
        "config": json.loads(json.dumps(asdict(config))),
        "leave_out": leave_out,
        "scans": [item.name for item in seen],
        "patients": sorted({item.patient for item in seen} - {""}),
        "masks": sorted({mask for item in seen for mask in item.masks}),
        "versions": {package: version(package) for package in ("torch", "monai", "numpy")},
    }
    path = folder / RECORD
    if path.is_file():
        if read_brain_record(folder) != record:
            raise InputError(
                f"{folder} holds another run",
                "its configuration, patient, pool or versions differ",
                "Give a new folder",
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_brain_record(folder: Path) -> dict[str, Any]:
    """What `write_brain_record` wrote.

    Raises
    ------
    InputError
        When the folder holds no run.
    """
    path = folder / RECORD
    if not path.is_file():
        raise InputError(f"{folder} holds no run", f"{RECORD} is missing")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record
