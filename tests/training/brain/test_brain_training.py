"""Runs of the brain model: who is learned from, batches by the step, stopping and going on, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_lesion.core.errors import InputError
from napari_lesion.training.brain.__main__ import seen_by, train
from napari_lesion.training.brain.batches import BrainBatches, PoolScan
from napari_lesion.training.brain.pool import read_pool
from napari_lesion.training.brain.record import read_brain_record
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.detector.config import CropConfig, load_crop_config


def test_nothing_of_the_patient_left_out_is_seen(brain_pool: Path, brain_config: CropConfig) -> None:
    items = read_pool(brain_pool)
    first, second = brain_config.stretches
    assert {item.patient for item in seen_by(items, first, "")} == {""}
    left = seen_by(items, second, "mslesseg_P14")
    assert {item.patient for item in left} == {"", "ljubljana_ms_p07"}
    assert not any("P14" in name for item in left for name in (item.name, *item.masks))
    assert len(seen_by(items, second, "")) == len(items)


def test_no_shape_of_a_patient_with_an_image_is_in_the_pool(brain_pool: Path) -> None:
    items = read_pool(brain_pool)
    masks = {mask for item in items for mask in item.masks}
    assert masks
    assert not any(mask.startswith(item.patient) for mask in masks for item in items if item.patient)


def test_a_patient_who_is_not_there_cannot_be_left_out(brain_pool: Path, brain_config: CropConfig) -> None:
    with pytest.raises(InputError, match="p99 cannot be left out"):
        seen_by(read_pool(brain_pool), brain_config.stretches[1], "p99")
    with pytest.raises(InputError, match="nothing to learn from"):
        seen_by([], brain_config.stretches[1], "")


def test_a_batch_is_a_function_of_seed_and_step(brain_pool: Path, brain_config: CropConfig) -> None:
    scans = [PoolScan(item, brain_pool / f"{item.name}.npy") for item in read_pool(brain_pool)]
    stretch = replace(brain_config.stretches[1], batch=4, jitter=0)
    first, again, other = (BrainBatches(scans, stretch, seed)[3] for seed in (1, 1, 2))
    torch.testing.assert_close(first["image"], again["image"], rtol=0, atol=0)
    assert not torch.equal(first["image"], other["image"])
    assert first["image"].shape == (4, 1, 16, 16, 16)
    assert (first["target"][1:, 1].amax(dim=(1, 2, 3)) > 0.5).all(), "all but the first are centred on a lesion"


def test_every_lesion_of_a_scan_is_drawn_from(brain_pool: Path) -> None:
    item = next(item for item in read_pool(brain_pool) if item.name == "mslesseg_P14_T1_real")
    scan = PoolScan(item, brain_pool / f"{item.name}.npy")
    lesion = np.asarray(scan.arrays[1]) == 1
    assert len(scan.lesions) == 3
    assert all(lesion[tuple(points.T)].all() for points in scan.lesions)
    assert not lesion[tuple(scan.tissue.T)].any()


@pytest.fixture(scope="module")
def run(brain_pool: Path, brain_config: CropConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "ljubljana_ms_p07"
    train(brain_config, brain_pool, out, "ljubljana_ms_p07")
    return out


def test_a_run_says_what_it_saw(run: Path, brain_config: CropConfig) -> None:
    record = read_brain_record(run)
    assert record["leave_out"] == "ljubljana_ms_p07"
    assert record["patients"] == ["mslesseg_P14"]
    assert not any("ljubljana_ms_p07" in name for name in (*record["scans"], *record["masks"]))
    shared = read_brain_record(run.parent / "template")
    assert shared["patients"] == []
    assert shared["config"]["seed"] == brain_config.seed


def test_a_run_that_was_stopped_ends_with_the_same_weights(
    run: Path, brain_pool: Path, brain_config: CropConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    calls = []
    whole = BrainBatches.__getitem__

    def until_step_5(self: BrainBatches, step: int) -> object:
        calls.append(step)
        if len(calls) == 5:  # two steps of the first stretch, two of the second
            raise Stopped
        return whole(self, step)

    out = tmp_path / "ljubljana_ms_p07"
    monkeypatch.setattr(BrainBatches, "__getitem__", until_step_5)
    with pytest.raises(Stopped):
        train(brain_config, brain_pool, out, "ljubljana_ms_p07")
    weights = load_weights(train(brain_config, brain_pool, out, "ljubljana_ms_p07"))
    assert calls == [0, 1, 0, 1, 2, 2, 3]
    unbroken = load_weights(run / "weights.pt")
    assert all(torch.equal(value, unbroken[name]) for name, value in weights.items())


def test_a_folder_with_another_run_is_refused(run: Path, brain_pool: Path, brain_config: CropConfig) -> None:
    with pytest.raises(InputError, match="holds another run"):
        train(brain_config, brain_pool, run, "mslesseg_P14")
    before = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert before["leave_out"] == "ljubljana_ms_p07"


def test_the_preset_can_be_read() -> None:
    config = load_crop_config("brain_flair_lesion")
    assert [stretch.data for stretch in config.stretches] == ["template"]
    patients = load_crop_config("brain_flair_patients")
    assert [stretch.data for stretch in patients.stretches] == ["template", "brains"]
    assert patients.stretches[0] == config.stretches[0]
