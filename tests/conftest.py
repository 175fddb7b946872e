"""Fixtures that several test packages share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_network import TINY_UNET

from napari_lesion.core.volume import Volume
from napari_lesion.models.bundle import BundleInfo

DATA_VARIABLE = "NAPARI_LESION_DATA"
REQUIRE_VARIABLE = "NAPARI_LESION_REQUIRE_DATA"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with data/ and reference/ of the public studies; skips (or, where required, fails) without it."""
    value = os.environ.get(DATA_VARIABLE, "")
    folder = Path(value)
    if value and (folder / "data").is_dir():
        return folder
    message = f"{DATA_VARIABLE} does not name a folder with data/ in it (see docs/data.md)"
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(autouse=True)
def _private_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep autosaves, caches and preferences of the tests out of the user's folders."""
    monkeypatch.setenv("NAPARI_LESION_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep converted networks, timings and the user's models of this machine out of the tests; one cache for all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_LESION_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("NAPARI_LESION_MODELS", str(tmp_path_factory.mktemp("models")))
        yield


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


def _write_bundle(
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


@pytest.fixture(scope="session")
def write_bundle() -> Callable[..., Path]:
    """``write_bundle(folder, own={}, network={}, seed=0)``: a small bundle with random weights; gives its folder."""
    return _write_bundle


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> BundleInfo:
    """A small UNet with random weights and windows of 32 voxels."""
    from napari_lesion.models.metadata import read_bundle

    return read_bundle(_write_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture(scope="session")
def chest_series(shared_data: Path) -> Volume:
    """The whole CT series of LIDC-IDRI-0314 (512x512x275, JPEG-LS), decoded once for all tests; read only."""
    from napari_lesion.io.read import read_volume

    return read_volume(shared_data / "data" / "chest_ct" / "LIDC-IDRI-0314" / "dicom")
