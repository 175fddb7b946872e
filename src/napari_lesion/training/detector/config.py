"""What a run of crops does: network, loss and optimiser by name, and the stretches of training."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_lesion.core.errors import InputError
from napari_lesion.training.config import Intensity, read_preset
from napari_lesion.training.named import build

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Stretch:
    """One stretch of training on one kind of crop.

    Parameters
    ----------
    name
        Name of the folder that its checkpoint and log lie in.
    data
        ``slices`` (single slices, two-dimensional) or ``cubes``.
    steps, batch, roi
        Optimizer steps, crops a step, edge of a crop in voxels of 1 mm.
    negatives
        Crops of each batch that hold no nodule: centred on mined false marks, or anywhere in the lungs of the scans.
    jitter
        Largest distance of the nodule's centre from the middle of the crop, voxels an axis.
    learning_rate
        Peak of the warm-up and cosine schedule.
    transplanted
        Share of the crops with a nodule whose nodule is set into another place of another lung.
    thinned
        Share of the transplanted nodules that become ground glass.
    slabs
        Whether the slabs of neighbouring whole slices are background as well.
    synthetic
        Seeds of synthetic chests that are background, and places for transplanted nodules, beside the real scans.
    mine_first
        Search the training cases with the weights so far, and centre the crops without a nodule on the marks that
        lie off every lesion.
    """

    name: str
    data: str
    steps: int
    batch: int = 4
    roi: int = 40
    negatives: int = 0
    jitter: int = 6
    learning_rate: float = 1e-3
    transplanted: float = 0.0
    thinned: float = 0.0
    slabs: bool = False
    synthetic: tuple[int, ...] = ()
    mine_first: bool = False


@dataclass(frozen=True)
class CropConfig:
    """Everything that decides a run, beside the data and the fold.

    Parameters
    ----------
    name
        Name of the bundle that is made.
    stretches
        Stretches of training, each starting from the weights of the one before; the weights of slices are inflated
        for cubes.
    network
        ``_target_`` is a class of `monai.networks.nets`; the rest are its arguments, without ``spatial_dims``.
    second
        Preset of a second network that looks again at each mark of this one; empty for none.
    overlap
        Loss of `monai.losses` against the consensus of the readers.
    optimizer
        Class of `torch.optim` with its arguments, without the learning rate.
    voxel_weight
        Weight of the cross-entropy beside it.
    soft
        Share of the readers, instead of their consensus, as the target of the cross-entropy: 0 for none of it, 1 for
        all.
    intensity
        HU window.
    window
        Edge of the windows that the network is used with, voxels of 1 mm. An instance norm depends on its window, so
        that a network with instance norms is used with windows of the size it was trained on.
    seed
        Seed of weights and crops.
    warmup_steps, ema_decay, max_grad_norm
        Warm-up, decay of the running mean of the weights (which is what is kept), gradient clipping.
    checkpoint_every, validate_every
        Steps between checkpoints, and between validations.
    """

    name: str
    stretches: tuple[Stretch, ...]
    network: dict[str, Any]
    second: str = ""
    overlap: dict[str, Any] = field(default_factory=lambda: {"_target_": "DiceLoss", "sigmoid": True})
    optimizer: dict[str, Any] = field(default_factory=lambda: {"_target_": "AdamW", "weight_decay": 1e-2})
    voxel_weight: float = 1.0
    soft: float = 1.0
    intensity: Intensity = field(default_factory=Intensity)
    window: int = 48
    seed: int = 2026
    warmup_steps: int = 100
    ema_decay: float = 0.998
    max_grad_norm: float = 5.0
    checkpoint_every: int = 200
    validate_every: int = 500

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> CropConfig:
        """Build it from the content of a preset.

        Raises
        ------
        InputError
            When a key is unknown or one is missing.
        """
        try:
            stretches = tuple(
                Stretch(**{**stretch, "synthetic": tuple(stretch.get("synthetic", ()))})
                for stretch in content["stretches"]
            )
            intensity = Intensity(**content.get("intensity", {}))
            return cls(**{**content, "stretches": stretches, "intensity": intensity})
        except (KeyError, TypeError) as error:
            raise InputError("The training preset is not valid", str(error)) from error


SECOND = "second"
"""Folder of the second network's run inside that of the first."""
RECORD = "run.json"
"""File of a run with its configuration, its fold and the versions that computed it."""


def write_record(folder: Path, config: CropConfig, fold: int | None) -> None:
    """Keep what makes a run repeatable in its folder.

    Raises
    ------
    InputError
        When the folder holds a run of another configuration or fold.
    """
    packages = ("torch", "monai", "numpy")
    record = {
        "config": asdict(config),
        "fold": fold,
        "versions": {package: version(package) for package in packages},
    }
    path = folder / RECORD
    if path.is_file():
        former = json.loads(path.read_text(encoding="utf-8"))
        if former["fold"] != fold or CropConfig.from_json(former["config"]) != config:
            raise InputError(f"{folder} holds another run", "its configuration or fold differs", "Give a new folder")
        return
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_record(folder: Path) -> tuple[CropConfig, int | None]:
    """Configuration and fold of a run.

    Raises
    ------
    InputError
        When the folder holds no run.
    """
    path = folder / RECORD
    if not path.is_file():
        raise InputError(f"{folder} holds no run", f"{RECORD} is missing")
    content = json.loads(path.read_text(encoding="utf-8"))
    return CropConfig.from_json(content["config"]), content["fold"]


def load_crop_config(name: str) -> CropConfig:
    """Read a preset of this package by name, or one of the user's by path.

    Raises
    ------
    InputError
        When there is none, or it is not valid.
    """
    return CropConfig.from_json(read_preset(name))


def build_crop_network(config: CropConfig, spatial_dims: int) -> torch.nn.Module:
    """Network of the configuration for slices (2) or cubes (3): one channel in, one logit out."""
    fixed = {"spatial_dims": spatial_dims, "in_channels": 1, "out_channels": 1}
    network: torch.nn.Module = build("network", config.network, **fixed)
    return network
