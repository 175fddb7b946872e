"""Small bundles with random weights, for tests of everything that loads or runs a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TINY_UNET: dict[str, Any] = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 1,
    "channels": [4, 8, 16],
    "strides": [2, 2],
    "num_res_units": 1,
    "norm": "INSTANCE",
}

OWN: dict[str, Any] = {
    "schema_version": 1,
    "task": "segmentation",
    "organ": "lung",
    "modality": "CT",
    "spacing_mm": [1, 1, 1],
    "axcodes": "RAS",
    "intensity": {"a_min": -1000, "a_max": 400, "b_min": 0, "b_max": 1, "clip": True},
    "roi_size": [32, 32, 32],
    "overlap": 0.25,
    "activation": "sigmoid",
    "lesion_channel": 0,
    "labels": {"1": "lung nodule"},
    "default_threshold": 0.5,
    "min_volume_mm3": 30,
    "max_slice_spacing_mm": 3.0,
    "operating_points": [
        {
            "name": "default",
            "threshold": 0.5,
            "sensitivity": 0.9,
            "false_marks_per_scan": 2.0,
            "measured_on": "fold 0",
        }
    ],
    "training_patients": ["A", "B"],
    "title": "Lung nodules, CT",
}


def write_bundle(
    folder: Path, own: dict[str, Any] | None = None, network: dict[str, Any] | None = None, seed: int = 0
) -> Path:
    """Write a bundle with random float16 weights; ``own`` and ``network`` replace single entries."""
    import torch
    from monai.networks import nets

    definition = {**TINY_UNET, **(network or {})}
    for part in ("configs", "models", "docs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": definition}))
    metadata = {"version": "0.0.1", "description": "Random weights.", "napari_lesion": {**OWN, **(own or {})}}
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "docs" / "README.md").write_text("# Random weights\n")
    torch.manual_seed(seed)
    arguments = {key: value for key, value in definition.items() if key != "_target_"}
    state = getattr(nets, definition["_target_"])(**arguments).state_dict()
    torch.save({key: value.half() for key, value in state.items()}, folder / "models" / "model.pt")
    return folder
