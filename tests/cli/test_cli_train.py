"""``napari-lesion train``: bad input is one clear sentence, and what was there stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_inputs import Run, write_image

CONFIG: dict[str, Any] = {
    "network": {"_target_": "UNet", "channels": [4, 8], "strides": [2]},
    "roi_size": [16, 16, 16],
    "steps": 2,
    "batch": 2,
    "validate_every": 2,
    "precision": "float32",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two outlined blocks, an empty mask, a mask of another size, and a configuration."""
    mask = np.zeros((20, 20, 20), dtype=np.uint8)
    mask[6:12, 6:12, 6:12] = 1
    for name, lung in (("a", -850), ("b", -830)):
        write_image(tmp_path / f"{name}.nii.gz", np.where(mask, 0, lung).astype(np.int16))
    write_image(tmp_path / "mask.nii.gz", mask)
    write_image(tmp_path / "empty.nii.gz", np.zeros_like(mask))
    write_image(tmp_path / "other.nii.gz", np.ones((20, 20, 5), dtype=np.uint8))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return tmp_path


def case(name: str, mask: object = "mask.nii.gz", **more: object) -> dict[str, object]:
    return {"image": f"{name}.nii.gz", "label": mask, "patient": name, **more}


def start(run: Run, folder: Path, content: object, *options: object) -> Any:
    path = folder / "datalist.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    config = folder / "config.json"
    return run("train", "--data", path, "--config", config, "--out", folder / "model", "--device", "cpu", *options)


def test_a_model_from_two_cases_is_used_at_once(run: Run, folder: Path) -> None:
    result = start(run, folder, [case("a", fold=0), case("b", fold=1)])
    assert result.exit_code == 0, result.stderr
    assert "model: Dice" in result.stdout
    detected = run("detect", folder / "a.nii.gz", "--model", folder / "model", "--out", folder / "out")
    assert detected.exit_code == 0
    evaluated = run(
        "evaluate", "--model", folder / "model", "--data", folder / "datalist.json", "--out", folder / "figures"
    )
    assert "1 of 2 cases are no test of this model" in evaluated.stderr


DATALISTS = [
    ("not json", "[", "is not valid JSON"),
    ("missing file", [case("a"), case("gone")], "names files that are missing"),
    ("no label", [case("a"), {"image": "b.nii.gz", "patient": "b"}], "it has no label"),
    ("a class for a mask", [case("a"), case("b", 1)], "its label is the number 1"),
    ("grids differ", [case("a"), case("b", "other.nii.gz")], "The mask other.nii.gz lies on another grid"),
    ("all masks empty", [case("a", "empty.nii.gz"), case("b", "empty.nii.gz")], "holds a lesion"),
    ("one case only", [case("a")], "it has one patient"),
    ("one patient only", [case("a"), case("b", patient="a")], "it has one patient"),
    ("not a mask", [case("a"), case("b", "a.nii.gz")], "it has negative values"),
    ("no such fold", [case("a", fold=1), case("b", fold=1)], "leaves no case to hold out"),
]


@pytest.mark.parametrize(("content", "message"), [row[1:] for row in DATALISTS], ids=[row[0] for row in DATALISTS])
def test_bad_datalists(run: Run, folder: Path, content: object, message: str) -> None:
    result = start(run, folder, content)
    assert result.exit_code == 2
    assert message.lower() in result.stderr.lower()
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (folder / "model").exists()


CONFIGS = [
    ("not json", "{", "is not valid"),
    ("a list", "[]", "it is not an object"),
    ("unknown key", {**CONFIG, "learning": 1}, "unknown key 'learning'"),
    ("no such network", {**CONFIG, "network": {"_target_": "NoNet"}}, "There is no network NoNet"),
    ("no such loss", {**CONFIG, "loss": {"_target_": "NoLoss"}}, "There is no loss named NoLoss"),
    (
        "no such optimiser",
        {**CONFIG, "optimizer": {"_target_": "os.system"}},
        "There is no optimizer named os.system",
    ),
    ("code as augmentation", {**CONFIG, "augmentation": [{"_target_": "Lambdad"}]}, "no augmentation named Lambdad"),
    ("bad argument", {**CONFIG, "optimizer": {"_target_": "AdamW", "lr": -1}}, "The optimizer AdamW cannot be made"),
]


@pytest.mark.parametrize(("content", "message"), [row[1:] for row in CONFIGS], ids=[row[0] for row in CONFIGS])
def test_bad_configurations(run: Run, folder: Path, content: object, message: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "config.json").write_text(text, encoding="utf-8")
    result = start(run, folder, [case("a"), case("b")])
    assert result.exit_code == 2
    assert message.lower() in result.stderr.lower()


def test_a_model_to_start_from_that_is_of_another_kind(
    run: Run, folder: Path, write_bundle: Callable[..., Path]
) -> None:
    bundle = write_bundle(folder / "models" / "wide", network={"out_channels": 2})
    result = start(run, folder, [case("a"), case("b")], "--start-from", bundle)
    assert result.exit_code == 2
    assert "weights to start from do not fit" in result.stderr


def test_what_was_trained_before_survives_a_bad_call(run: Run, folder: Path) -> None:
    good = [case("a", fold=0), case("b", fold=1)]
    assert start(run, folder, good).exit_code == 0
    before = (folder / "model" / "models" / "model.pt").read_bytes()
    result = start(run, folder, good, "--seed", 5)
    assert "holds another training" in result.stderr
    assert (folder / "model" / "models" / "model.pt").read_bytes() == before
