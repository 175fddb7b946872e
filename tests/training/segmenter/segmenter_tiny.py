"""A handful of small outlined cases, and a training that takes a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from training_tiny import ball, write_nifti

from napari_lesion.training.segmenter.config import SegmenterConfig

EDGE = 24


def write_cases(folder: Path, count: int = 4, **more: Any) -> Path:
    """Write ``count`` cubes of 24 mm with a ball of 5 mm each, one a patient, and their datalist."""
    rng = np.random.default_rng(3)
    entries = []
    for number in range(count):
        inside = ball((EDGE,) * 3, (8 + 2 * number, 12, 12), 5)
        image = np.where(inside, 0, -850) + rng.normal(0, 20, inside.shape)
        write_nifti(folder / f"image{number}.nii.gz", image.astype(np.int16))
        write_nifti(folder / f"label{number}.nii.gz", inside.astype(np.uint8))
        entry = {"image": f"image{number}.nii.gz", "label": f"label{number}.nii.gz", "patient": f"p{number}"}
        entries.append({**entry, **more})
    return write_datalist(folder, entries)


def write_datalist(folder: Path, content: Any) -> Path:
    path = folder / "datalist.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


CONTENT: dict[str, Any] = {
    "title": "Balls",
    "network": {
        "_target_": "UNet",
        "channels": [4, 8],
        "strides": [2],
        "num_res_units": 1,
        "norm": "INSTANCE",
    },
    "optimizer": {"_target_": "AdamW", "lr": 0.02},
    "schedule": {"_target_": "WarmupCosineSchedule", "warmup_steps": 1, "t_total": "@steps"},
    "roi_size": [16, 16, 16],
    "steps": 8,
    "batch": 2,
    "validate_every": 4,
    "checkpoint_every": 2,
    "precision": "float32",
    "ema_decay": 0.5,
}


def tiny_config(**more: Any) -> SegmenterConfig:
    return SegmenterConfig.from_mapping({**CONTENT, **more})
