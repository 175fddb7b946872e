"""A training learns, is the same again, survives a kill and a full disk, and stops early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from segmenter_tiny import CONTENT, tiny_config

from napari_lesion.core.errors import InputError, OutputError
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext, Progress
from napari_lesion.io import atomic
from napari_lesion.io.datalist import read_datalist
from napari_lesion.training.checkpoints import load_weights, save_atomically
from napari_lesion.training.segmenter.config import SegmenterConfig
from napari_lesion.training.segmenter.fit import CHECKPOINT, STAGE, FitTask, fit, is_exhausted
from napari_lesion.training.segmenter.journal import Journal
from napari_lesion.training.segmenter.prepare import prepare_cases
from napari_lesion.training.segmenter.ranks import Ranks
from napari_lesion.training.segmenter.train import TrainRequest, train

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def task(balls: Path, cache: Path, tmp_path: Path) -> FitTask:
    cases = prepare_cases(read_datalist(balls).first("training"), tiny_config(), cache, JobContext())
    return FitTask(tiny_config(), cases[:3], cases[3:], tmp_path / "run")


@pytest.fixture(scope="module")
def unbroken(balls: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that nothing disturbed."""
    cases = prepare_cases(read_datalist(balls).first("training"), tiny_config(), cache, JobContext())
    folder = tmp_path_factory.mktemp("unbroken")
    fit(FitTask(tiny_config(), cases[:3], cases[3:], folder), Ranks(), JobContext())
    return folder


def tensors(folder: Path) -> Iterator[torch.Tensor]:
    content = load_weights(folder / CHECKPOINT)
    assert content["step"] == 8
    yield from content["network"].values()
    yield from content["mean_network"].values()


def same(one: Path, other: Path) -> bool:
    return all(a.equal(b) for a, b in zip(tensors(one), tensors(other), strict=True))


def test_it_learns(task: FitTask) -> None:
    longer = replace(task, config=tiny_config(steps=60, validate_every=20))
    fit(longer, Ranks(), JobContext())
    records = Journal(task.folder, 60).read()
    assert [record["step"] for record in records] == [20, 40, 60]
    assert records[-1]["loss"] < 0.7 * records[0]["loss"]
    assert records[-1]["dice"] > 0.8


def test_the_same_seed_gives_the_same_weights(task: FitTask, unbroken: Path) -> None:
    fit(task, Ranks(), JobContext())
    assert same(task.folder, unbroken)


def test_another_seed_gives_others(task: FitTask, unbroken: Path) -> None:
    fit(replace(task, config=tiny_config(seed=1)), Ranks(), JobContext())
    assert not same(task.folder, unbroken)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_run_that_is_killed_continues_to_the_same_weights(
    balls: Path, cache: Path, task: FitTask, unbroken: Path
) -> None:
    script = f"""
        import os, signal, sys
        sys.path[:0] = {[str(HERE), str(HERE.parent)]!r}
        from pathlib import Path
        from segmenter_tiny import tiny_config
        from napari_lesion.core.jobs import JobContext
        from napari_lesion.io.datalist import read_datalist
        from napari_lesion.training.segmenter.fit import STAGE, FitTask, fit
        from napari_lesion.training.segmenter.prepare import prepare_cases
        from napari_lesion.training.segmenter.ranks import Ranks

        def report(now):
            if (now.stage, now.done) == (STAGE, 5):
                os.kill(os.getpid(), signal.SIGKILL)

        cases = prepare_cases(
            read_datalist(Path({str(balls)!r})).first("training"), tiny_config(), Path({str(cache)!r}), JobContext()
        )
        task = FitTask(tiny_config(), cases[:3], cases[3:], Path({str(task.folder)!r}))
        fit(task, Ranks(), JobContext(None, report))
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert load_weights(task.folder / CHECKPOINT)["step"] == 4
    fit(task, Ranks(), JobContext())
    assert same(task.folder, unbroken)
    assert [record["step"] for record in Journal(task.folder, 8).read()] == [4, 8]


def test_a_cancel_keeps_what_was_done(task: FitTask, unbroken: Path) -> None:
    token = CancelToken()

    def report(now: Progress) -> None:
        if (now.stage, now.done) == (STAGE, 3):
            token.cancel()

    with pytest.raises(JobCancelled):
        fit(task, Ranks(), JobContext(token, report))
    assert load_weights(task.folder / CHECKPOINT)["step"] == 4
    fit(task, Ranks(), JobContext())
    assert same(task.folder, unbroken)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full is Linux's")
def test_a_full_disk_leaves_the_former_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    save_atomically({"step": 1}, path)
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda _n: "full")
    (tmp_path / ".checkpoint-full.pt").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"(?i)No space left on device\. Free some space"):
        save_atomically({"step": 2}, path)
    assert load_weights(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_it_stops_when_nothing_gets_better() -> None:
    def records(*dice: float) -> list[dict[str, Any]]:
        return [{"dice": value} for value in dice]

    assert not is_exhausted(records(0.1, 0.5, 0.4), 2)
    assert is_exhausted(records(0.1, 0.5, 0.4, 0.5), 2)
    assert not is_exhausted(records(0.1, 0.5, 0.4, 0.6), 2)
    assert not is_exhausted(records(0.5, 0.1, 0.1, 0.1), 0)


def test_early_stop_and_what_a_second_call_does_then(task: FitTask) -> None:
    still = {"_target_": "SGD", "lr": 0.0}
    config = tiny_config(optimizer=still, steps=40, validate_every=2, patience=2, schedule=constant())
    stopping = replace(task, config=config)
    fit(stopping, Ranks(), JobContext())
    assert load_weights(task.folder / CHECKPOINT)["step"] == 6
    fit(stopping, Ranks(), JobContext())
    assert load_weights(task.folder / CHECKPOINT)["step"] == 6


def constant() -> dict[str, Any]:
    return {"_target_": "ConstantLR", "factor": 1.0}


@pytest.mark.parametrize(
    "change",
    [
        {"loss": {"_target_": "FocalLoss"}, "optimizer": {"_target_": "Adam", "lr": 0.01}},
        {"loss": {"_target_": "torch.nn.BCEWithLogitsLoss"}, "schedule": {"_target_": "StepLR", "step_size": 2}},
        {"network": {"_target_": "SegResNet", "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}},
        {
            "network": {
                "_target_": "DynUNet",
                "kernel_size": [3, 3, 3],
                "strides": [1, 2, 2],
                "upsample_kernel_size": [2, 2],
                "filters": [4, 8, 8],
                "deep_supervision": True,
                "deep_supr_num": 1,
            },
            "precision": "bf16",
        },
    ],
    ids=["focal", "torch loss", "SegResNet", "deep supervision in bf16"],
)
def test_parts_by_name_train(task: FitTask, change: dict[str, Any]) -> None:
    config = SegmenterConfig.from_mapping({**CONTENT, "steps": 2, "validate_every": 2, **change})
    assert fit(replace(task, config=config), Ranks(), JobContext()).is_file()


def test_a_loss_that_is_not_finite_ends_it(task: FitTask) -> None:
    config = tiny_config(optimizer={"_target_": "SGD", "lr": 1e30}, schedule=constant(), max_grad_norm=1e30)
    with pytest.raises(InputError, match=r"(?i)went astray"):
        fit(replace(task, config=config), Ranks(), JobContext())


def test_curves_for_tensorboard_where_it_is_installed(task: FitTask) -> None:
    pytest.importorskip("tensorboard")
    fit(task, Ranks(), JobContext())
    assert list((task.folder / "tensorboard").glob("events*"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="gloo is tried on Linux")
def test_two_processes_give_the_weights_of_one(balls: Path, tmp_path: Path) -> None:
    # SGD: AdamW makes whole steps out of the rounding of gradients that are 0, such as of a bias before a norm
    content = {**CONTENT, "optimizer": {"_target_": "SGD", "lr": 0.05, "momentum": 0.9}}
    config = tmp_path / "config.json"
    config.write_text(json.dumps(content), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "napari_lesion", "train", "--data", str(balls), "--config", str(config)),
        *("--out", str(tmp_path / "two"), "--device", "cpu"),
    ]
    done = subprocess.run(command, check=False, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert done.stdout.decode().count("on the held-out cases") == 1
    train(TrainRequest(balls, SegmenterConfig.from_mapping(content), tmp_path / "one"))
    for one, two in zip(tensors(tmp_path / "one.run"), tensors(tmp_path / "two.run"), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)
