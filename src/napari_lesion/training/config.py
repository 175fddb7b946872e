"""What one training run does, as one frozen value that is read from a preset by name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from napari_lesion.core.errors import InputError


@dataclass(frozen=True)
class Intensity:
    """HU window that is mapped to 0..1; values outside are clipped."""

    a_min: float = -1000.0
    a_max: float = 400.0

    def scaled(self, hu: float) -> float:
        """Scale one value as MONAI's ScaleIntensityRange does, without the clip."""
        return (hu - self.a_min) / (self.a_max - self.a_min)


@dataclass(frozen=True)
class Stage:
    """One stretch of training with one patch size.

    Parameters
    ----------
    name
        Name of the folder that its checkpoints and log lie in.
    steps
        Optimizer steps.
    roi
        Edge of the cubic patches, voxels of 1 mm; a multiple of 16.
    lesion_patches, background_patches
        Patches a batch around lesions, and elsewhere in the lungs.
    hard_fraction
        Share of the background patches that are centred on mined false marks.
    inset_fraction
        Share of the patches of cubes and slabs that are set into the lung of a scan.
    smooth, batch_dice
        Voxels added to intersection and union of each patch, and weight of the Dice over the whole batch
        (`network.lesion_loss`); both let marks in patches without a lesion cost more.
    learning_rate
        Peak of the warm-up and cosine schedule.
    start_from
        Stage whose best weights this one starts from; empty for the one before.
    mine_first
        Whether false marks are mined with the weights of the stage before.
    """

    name: str
    steps: int
    roi: int = 64
    lesion_patches: int = 4
    background_patches: int = 2
    hard_fraction: float = 0.0
    inset_fraction: float = 0.5
    smooth: float = 1e-5
    batch_dice: float = 0.0
    learning_rate: float = 1e-3
    start_from: str = ""
    mine_first: bool = False


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a run, beside the data.

    Parameters
    ----------
    name
        Name of the bundle that is made.
    fold
        Fold that is held out: checkpoints and threshold are chosen on it.
    seed
        Seed of weights and patches.
    channels, strides, num_res_units, norm
        Shape of MONAI's residual UNet.
    intensity
        Window of the input.
    stages
        Stretches of training, each starting from the best weights of an earlier one.
    average
        Weights whose mean is the result, as ``stage/best`` or ``stage/last``; empty for the best of the last
        stage.
    centre
        Probability of that mean which is shifted to one half; 0.5 shifts nothing.
    weight_decay, warmup_steps, ema_decay, max_grad_norm
        AdamW decay, warm-up of the schedule, decay of the running mean of the weights (which is what
        is validated and kept), gradient clipping.
    validate_every, checkpoint_every
        Steps between validations, and between checkpoints.
    """

    name: str
    stages: tuple[Stage, ...]
    average: tuple[str, ...] = ()
    centre: float = 0.5
    fold: int = 0
    seed: int = 2026
    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    strides: tuple[int, ...] = (2, 2, 2, 2)
    num_res_units: int = 2
    norm: str = "INSTANCE"
    intensity: Intensity = field(default_factory=Intensity)
    weight_decay: float = 1e-2
    warmup_steps: int = 200
    ema_decay: float = 0.999
    max_grad_norm: float = 5.0
    validate_every: int = 500
    checkpoint_every: int = 250

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> TrainingConfig:
        """Build it from the content of a preset.

        Raises
        ------
        InputError
            When a key is unknown or one is missing.
        """
        content = {**content, "stages": tuple(content.get("stages", ()))}
        for key in ("channels", "strides", "average"):
            if key in content:
                content[key] = tuple(content[key])
        try:
            content["stages"] = tuple(Stage(**stage) for stage in content["stages"])
            if "intensity" in content:
                content["intensity"] = Intensity(**content["intensity"])
            return cls(**content)
        except TypeError as error:
            raise InputError("The training preset is not valid", str(error)) from error


def load_config(name: str) -> TrainingConfig:
    """Read a preset of this package by name, or one of the user's by path.

    Raises
    ------
    InputError
        When there is none, or it is not valid.
    """
    return TrainingConfig.from_json(read_preset(name))


def read_preset(name: str) -> dict[str, Any]:
    """Content of a preset of this package by name, or of the user's file: JSON, or YAML by its extension.

    Raises
    ------
    InputError
        When there is none, or it is no object.
    """
    own = files("napari_lesion.training.presets") / f"{name}.json"
    source = own if own.is_file() else Path(name)
    if not source.is_file():
        raise InputError(f"There is no training preset {name}", "it is neither a preset's name nor a file")
    try:
        text = source.read_text(encoding="utf-8")
        content = yaml.safe_load(text) if source.name.endswith((".yaml", ".yml")) else json.loads(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"The training preset {name} is not valid", str(error)) from error
    if not isinstance(content, dict):
        raise InputError(f"The training preset {name} is not valid", "it is not an object")
    return content
