"""The bundle of the second stage, and how it is named in that of the first."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from napari_lesion.core.errors import InputError
from napari_lesion.models.metadata import read_bundle
from napari_lesion.training.bundle import write_bundle
from napari_lesion.training.cases import list_cases
from napari_lesion.training.config import Intensity, TrainingConfig
from napari_lesion.training.evaluate import held_out_scenes, report, sweep
from napari_lesion.training.network import build_network
from napari_lesion.training.refiner.__main__ import main as train
from napari_lesion.training.refiner.bundle import main
from napari_lesion.training.refiner.config import CropConfig


@pytest.fixture
def run(tiny_data: Path, slices: Path, tiny_crops: CropConfig, tmp_path: Path) -> Path:
    """A run of the second stage with fold 0 held out, its data, and the bundle of a first stage."""
    data = tmp_path / "data"
    data.mkdir()
    for name in ("lidc_nodules", "tables", "chest_ct"):
        (data / name).symlink_to(tiny_data / name)
    (data / "lidc_slices").symlink_to(slices)
    preset = tmp_path / "preset.json"
    preset.write_text(json.dumps(asdict(tiny_crops)))
    train(data, tmp_path / "run", str(preset), 0)
    return tmp_path / "run"


def test_the_first_bundle_uses_the_second(tiny_config: TrainingConfig, run: Path, tmp_path: Path) -> None:
    data, first, second = tmp_path / "data", tmp_path / "first", tmp_path / "second"
    scenes = held_out_scenes(data, 0, Intensity())
    network = build_network(tiny_config).eval()
    figures = report(scenes, sweep(network, scenes), 0)
    torch.manual_seed(3)
    write_bundle(first, tiny_config, list_cases(data), network.state_dict(), figures)
    (first / "LICENSE").write_text("licence")
    stage = tmp_path / "first_preset.json"
    stage.write_text(json.dumps(asdict(tiny_config)))
    main(data, run, first, second, 0.01, str(stage))
    info = read_bundle(first)
    assert info.refinement is not None
    assert info.refinement.bundle.path == second
    assert (info.refinement.candidates_at, info.default_threshold) == (0.01, 0.5)
    assert info.refinement.bundle.roi_size == (48, 48, 48)
    assert info.refinement.bundle.task == "refinement"
    assert info.version == "0.2.0"
    assert "looked at again by `second`" in (first / "docs" / "README.md").read_text(encoding="utf-8")
    card = (second / "docs" / "README.md").read_text(encoding="utf-8")
    measured = json.loads((second / "docs" / "two_stages.json").read_text(encoding="utf-8"))
    assert all(f"{row['dice']:.3f}" in card for row in measured["thresholds"])
    assert all(patient in card for patient in info.refinement.bundle.training_patients)
    assert not set(measured["patients"]) & set(info.refinement.bundle.training_patients)


def test_stages_in_different_folders_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must lie in one folder"):
        main(tmp_path / "data", run, tmp_path / "first", tmp_path / "elsewhere" / "second")
