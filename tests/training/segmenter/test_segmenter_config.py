"""What a configuration may name, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from segmenter_tiny import CONTENT, tiny_config

from napari_lesion.core.errors import InputError
from napari_lesion.training.named import build
from napari_lesion.training.segmenter.config import SegmenterConfig, load_segmenter_config, with_steps

PARAMETERS = [torch.nn.Parameter(torch.zeros(2))]


def test_the_preset_is_the_defaults_and_can_be_built() -> None:
    config = load_segmenter_config("segmenter")
    assert config == SegmenterConfig()
    assert type(build("network", config.network_def)).__name__ == "UNet"
    for part in config.augmentation:
        build("augmentation", part)


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("steps: 7\nloss: {_target_: TverskyLoss, sigmoid: true}\n", encoding="utf-8")
    (tmp_path / "a.json").write_text(
        '{"steps": 7, "loss": {"_target_": "TverskyLoss", "sigmoid": true}}', encoding="utf-8"
    )
    assert load_segmenter_config(str(tmp_path / "a.yaml")) == load_segmenter_config(str(tmp_path / "a.json"))


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "torch.optim.AdamW"])
def test_optimisers_by_name(name: str) -> None:
    made = build("optimizer", {"_target_": name, "lr": 0.25}, PARAMETERS)
    assert isinstance(made, torch.optim.Optimizer)
    assert made.param_groups[0]["lr"] == 0.25


def test_schedules_by_name_know_the_number_of_steps() -> None:
    optimizer = torch.optim.SGD(PARAMETERS, lr=1.0)
    definition = with_steps({"_target_": "CosineAnnealingLR", "T_max": "@steps"}, 40)
    assert build("schedule", definition, optimizer).T_max == 40


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("network", "os.system"),
        ("network", "torch.nn.Module"),
        ("network", ""),
        ("network", "UNet.__init__"),
        ("loss", "builtins.eval"),
        ("loss", "Linear"),
        ("optimizer", "Optimizer2"),
        ("optimizer", "LBFGS"),
        ("schedule", "ReduceLROnPlateau"),
        ("augmentation", "Lambdad"),
        ("augmentation", "RandLambdad"),
        ("augmentation", "LoadImaged"),
        ("augmentation", "SaveImaged"),
        ("augmentation", "RandFlip"),
    ],
)
def test_other_names_are_refused(kind: str, name: str) -> None:
    with pytest.raises(InputError, match=f"(?i)There is no {kind} named"):
        build(kind, {"_target_": name})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stepz": 3}, "unknown key 'stepz'"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch": -1}, "batch must be at least 1"),
        ({"precision": "fp8"}, "precision cannot be fp8"),
        ({"roi_size": [16, 16]}, "values to unpack"),
        ({"roi_size": [4, 16, 16]}, "roi_size cannot be"),
        ({"lesion_share": 0}, "lesion_share cannot be 0"),
        ({"modality": "US"}, "modality cannot be US"),
        ({"intensity": {"a_min": 4, "a_max": 4}}, "intensity cannot be"),
        ({"intensity": {"low": 4}}, "low"),
        ({"folds": 1}, "folds cannot be 1"),
    ],
)
def test_impossible_values(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"(?i){message}"):
        SegmenterConfig.from_mapping({**CONTENT, **change})


def test_a_network_that_the_engine_cannot_run_is_not_trained() -> None:
    with pytest.raises(InputError, match=r"(?i)There is no network VISTA3D that can be trained here"):
        _ = tiny_config(network={"_target_": "VISTA3D"}).network_def


def test_arguments_that_a_class_does_not_take() -> None:
    with pytest.raises(InputError, match=r"(?i)The loss DiceLoss cannot be made"):
        build("loss", {"_target_": "DiceLoss", "no_such": 1})
