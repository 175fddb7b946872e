"""Training of crops: the loss, a run that is stopped and continued, the command, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_lesion.core.errors import InputError
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.__main__ import main
from napari_lesion.training.detector.config import CropConfig, load_crop_config, read_record, write_record
from napari_lesion.training.detector.crops import CONSENSUS, IGNORED, SHARE
from napari_lesion.training.detector.fit import CropData, crop_loss, fit_stretch
from napari_lesion.training.detector.measure import main as measure
from napari_lesion.training.detector.measure import read_report
from napari_lesion.training.detector.nodules import slice_nodules, split
from napari_lesion.training.detector.outlines import outline_dice
from napari_lesion.training.named import build


def _target() -> torch.Tensor:
    target = torch.zeros(1, 3, 8, 8)
    target[:, CONSENSUS, 2:6, 2:6] = 1
    target[:, SHARE, 2:6, 2:6] = 0.75
    return target


def test_ignored_voxels_cost_nothing(tiny_crops: CropConfig) -> None:
    overlap = build("loss", tiny_crops.overlap)
    target = _target()
    target[:, IGNORED, 0] = 1
    logits = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    wild = logits.clone()
    wild[:, :, 0] = 20
    assert crop_loss(logits, target, tiny_crops, overlap) == crop_loss(wild, target, tiny_crops, overlap)


def test_the_share_of_the_readers_is_what_the_cross_entropy_wants(tiny_crops: CropConfig) -> None:
    overlap = build("loss", tiny_crops.overlap)
    inside = _target()[:, CONSENSUS, None] > 0

    def entropy(probability: float, soft: float) -> float:
        logit = float(np.log(probability / (1 - probability)))
        logits = torch.where(inside, torch.tensor(logit), torch.tensor(-20.0))
        config = replace(tiny_crops, soft=soft)
        bare = replace(config, voxel_weight=0.0)
        return float(crop_loss(logits, _target(), config, overlap) - crop_loss(logits, _target(), bare, overlap))

    assert entropy(0.75, 1.0) < entropy(0.97, 1.0)
    assert entropy(0.75, 0.0) > entropy(0.97, 0.0)


def test_a_run_that_is_continued_ends_with_the_same_weights(
    slices: Path, tiny_crops: CropConfig, tmp_path: Path
) -> None:
    data = CropData(*split(list(slice_nodules(slices, Intensity())), 0))
    stretch = tiny_crops.stretches[0]
    whole = load_weights(fit_stretch(tiny_crops, stretch, data, tmp_path / "whole"))

    class Stopped(Exception):
        pass

    class Breaking(list[object]):
        """Held-out cases that end the process when they are looked at for the first time."""

        def __iter__(self) -> object:  # type: ignore[override]
            raise Stopped

    eager = replace(tiny_crops, validate_every=3)
    with pytest.raises(Stopped):
        fit_stretch(eager, stretch, replace(data, held_out=Breaking()), tmp_path / "broken")  # type: ignore[arg-type]
    assert load_weights(tmp_path / "broken" / "checkpoint.pt")["step"] == 2
    continued = load_weights(fit_stretch(tiny_crops, stretch, data, tmp_path / "broken"))
    assert all(torch.equal(whole[name], continued[name]) for name in whole)


def test_dice_counts_the_marks_that_touch(slices: Path) -> None:
    nodule = next(slice_nodules(slices, Intensity()))
    lesion = (nodule.label > 0).astype(np.float32)
    far = lesion.copy()
    far[:3, :3] = 1
    assert outline_dice(lesion, nodule) == outline_dice(far, nodule) == 1.0
    assert outline_dice(np.zeros_like(lesion), nodule) == 0.0


def test_the_command_trains_and_the_run_is_measured(
    tiny_data: Path, slices: Path, tiny_crops: CropConfig, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("lidc_nodules", "tables", "chest_ct"):
        (data / name).symlink_to(tiny_data / name)
    (data / "lidc_slices").symlink_to(slices)
    flat, deep = tiny_crops.stretches
    config = replace(
        tiny_crops, stretches=(flat, replace(deep, transplanted=0.5), replace(deep, name="hard", mine_first=True))
    )
    preset = tmp_path / "preset.json"
    preset.write_text(json.dumps(asdict(config)), encoding="utf-8")
    weights = main(data, tmp_path / "run", str(preset), 0)
    assert weights == tmp_path / "run" / "hard" / "weights.pt"
    assert read_record(tmp_path / "run") == (config, 0)
    assert (tmp_path / "run" / "hard" / "mined.json").is_file()
    assert len((tmp_path / "run" / "cubes" / "log.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    measure(data, tmp_path / "run", tmp_path / "fold.json")
    fold, cases = read_report(tmp_path / "fold.json")
    assert fold == 0
    cubes = [case for case in cases if case.kind == "cube"]
    assert len(cubes) == 2
    assert all(case.lesion_voxels > 100 and case.readers_dice == 1.0 for case in cubes)


def test_a_folder_is_not_shared_by_two_runs(tiny_crops: CropConfig, tmp_path: Path) -> None:
    write_record(tmp_path, tiny_crops, 0)
    write_record(tmp_path, tiny_crops, 0)
    with pytest.raises(InputError, match="holds another run"):
        write_record(tmp_path, tiny_crops, 1)


@pytest.mark.parametrize(
    ("kind", "definition"),
    [
        ("network", {"_target_": "NoSuchNet"}),
        ("network", {"_target_": "UNet", "channels": [4, 8]}),
        ("loss", {"_target_": "DiceLoss", "no_such": 1}),
        ("optimizer", {}),
    ],
)
def test_what_is_not_there_is_refused(kind: str, definition: dict[str, object]) -> None:
    with pytest.raises(InputError):
        build(kind, definition)


@pytest.mark.parametrize("text", ["{", "{}", '{"name": "x", "network": {}, "stretches": [{"no": 1}]}'])
def test_a_garbled_preset_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "preset.json"
    path.write_text(text)
    with pytest.raises(InputError):
        load_crop_config(str(path))


def test_the_preset_of_the_package_can_be_built() -> None:
    from napari_lesion.training.detector.config import build_crop_network

    config = load_crop_config("lung_nodule_ct")
    for dims in (2, 3):
        network = build_crop_network(config, dims)
        assert sum(parameter.numel() for parameter in network.parameters()) < 10_000_000
