"""What a training does: network, loss, optimiser, schedule and augmentation by name, and the numbers around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from napari_lesion.core.errors import InputError
from napari_lesion.core.grid import Triple
from napari_lesion.models.bundle import BundleInfo, Intensity
from napari_lesion.models.safety import NETWORKS
from napari_lesion.training.config import read_preset
from napari_lesion.training.named import build

if TYPE_CHECKING:
    import torch

Definition = dict[str, Any]

PRECISIONS: Final = ("auto", "bf16", "float32")
STEPS: Final = "@steps"
"""What stands in a configuration for the number of steps."""
BOTH: Final = ["image", "label"]


def _network() -> Definition:
    return {
        "_target_": "UNet", "channels": [16, 32, 64, 128, 256], "strides": [2, 2, 2, 2], "num_res_units": 2,
        "norm": "INSTANCE",
    }  # fmt: skip


def _schedule() -> Definition:
    return {"_target_": "WarmupCosineSchedule", "warmup_steps": 50, "t_total": STEPS}


def _augmentation() -> list[Definition]:
    flips: list[Definition] = [
        {"_target_": "RandFlipd", "keys": BOTH, "prob": 0.5, "spatial_axis": axis} for axis in range(3)
    ]
    return [
        *flips,
        {"_target_": "RandRotate90d", "keys": BOTH, "prob": 0.5, "max_k": 3},
        {"_target_": "RandZoomd", "keys": BOTH, "prob": 0.2, "min_zoom": 0.9, "max_zoom": 1.1,
         "mode": ["trilinear", "nearest"], "align_corners": [True, None]},
        {"_target_": "RandGaussianNoised", "keys": ["image"], "prob": 0.3, "std": 0.02},
        {"_target_": "RandGaussianSmoothd", "keys": ["image"], "prob": 0.1},
        {"_target_": "RandScaleIntensityd", "keys": ["image"], "prob": 0.3, "factors": 0.1},
        {"_target_": "RandShiftIntensityd", "keys": ["image"], "prob": 0.3, "offsets": 0.05},
    ]  # fmt: skip


@dataclass(frozen=True)
class SegmenterConfig:
    """Everything that decides a training, beside the data.

    Parameters
    ----------
    title, description
        Words for people.
    modality, organ, lesion
        ``CT``, ``MR`` or ``PT``; ``lung`` to search the lungs of a CT alone, empty for the whole volume; what a
        lesion is called.
    intensity
        Image values that become 0 and 1; values outside are cut.
    spacing_mm, axcodes, roi_size
        Voxels, orientation and window of the network.
    network, loss, optimizer, schedule
        ``_target_`` and arguments: `monai.networks.nets`, `monai.losses` or `torch.nn`, `torch.optim`,
        `torch.optim.lr_scheduler` or `monai.optimizers`. ``"@steps"`` stands for the number of steps.
    augmentation
        Dictionary transforms of `monai.transforms` on ``image`` and ``label`` (0 background, 1 lesion, 2 ignored).
    steps, batch
        Optimizer steps; windows a step, over all processes together.
    lesion_share
        Share of the windows that are centred on a voxel of a lesion.
    lesion_from
        Value of the label maps from which a voxel is lesion.
    folds, fold
        Number of folds that patients are dealt into where the datalist states none, and the one that is held out.
    seed
        Seed of weights, folds and windows.
    validate_every, checkpoint_every
        Steps between validations, and between checkpoints.
    patience
        Validations without a better one after which it stops; 0 never stops early.
    precision
        ``bf16``, ``float32``, or ``auto``: bf16 where the device computes it.
    ema_decay, max_grad_norm
        Decay of the running mean of the weights, which is what is validated and kept; gradient clipping.
    overlap, min_volume_mm3
        Overlap of windows and smallest lesion, for the bundle.
    threshold
        Default threshold of the bundle; None chooses that of the largest Dice on the held-out cases.
    """

    title: str = "Lesions"
    description: str = ""
    modality: str = "CT"
    organ: str = ""
    lesion: str = "lesion"
    intensity: Intensity = field(default_factory=lambda: Intensity(-1000.0, 400.0))
    spacing_mm: Triple = (1.0, 1.0, 1.0)
    axcodes: str = "RAS"
    roi_size: tuple[int, int, int] = (64, 64, 64)
    network: Definition = field(default_factory=_network)
    loss: Definition = field(default_factory=lambda: {"_target_": "DiceCELoss", "sigmoid": True})
    optimizer: Definition = field(default_factory=lambda: {"_target_": "AdamW", "lr": 1e-3, "weight_decay": 1e-2})
    schedule: Definition = field(default_factory=_schedule)
    augmentation: tuple[Definition, ...] = field(default_factory=lambda: tuple(_augmentation()))
    steps: int = 1000
    batch: int = 4
    lesion_share: float = 0.67
    lesion_from: int = 1
    folds: int = 5
    fold: int = 0
    seed: int = 2026
    validate_every: int = 100
    checkpoint_every: int = 50
    patience: int = 0
    precision: str = "auto"
    ema_decay: float = 0.99
    max_grad_norm: float = 5.0
    overlap: float = 0.25
    min_volume_mm3: float = 0.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "validate_every", "checkpoint_every", "lesion_from"):
            if getattr(self, name) < 1:
                raise InputError("The training configuration is not valid", f"{name} must be at least 1")
        wrong = {
            "precision": self.precision not in PRECISIONS,
            "lesion_share": not 0 < self.lesion_share <= 1,
            "folds": self.folds < 2,
            "fold": self.fold < 0,
            "patience": self.patience < 0,
            "ema_decay": not 0 <= self.ema_decay < 1,
            "roi_size": min(self.roi_size) < 8,
            "spacing_mm": min(self.spacing_mm) <= 0,
            "modality": self.modality not in ("CT", "MR", "PT"),
            "threshold": self.threshold is not None and not 0 < self.threshold < 1,
            "intensity": not self.intensity.a_min < self.intensity.a_max,
        }
        for name, is_wrong in wrong.items():
            if is_wrong:
                raise InputError("The training configuration is not valid", f"{name} cannot be {getattr(self, name)}")

    @classmethod
    def from_mapping(cls, content: Mapping[str, Any]) -> SegmenterConfig:
        """Build it from the content of a file.

        Raises
        ------
        InputError
            When a key is unknown, or a value impossible.
        """
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(content) - known)
        if unknown:
            raise InputError(
                "The training configuration is not valid",
                f"it has the unknown key {unknown[0]!r}",
                f"The keys are: {', '.join(sorted(known))}",
            )
        values = dict(content)
        try:
            for name in ("spacing_mm", "roi_size"):
                if name in values:
                    first, second, third = values[name]
                    values[name] = (first, second, third)
            if "augmentation" in values:
                values["augmentation"] = tuple(values["augmentation"] or ())
            if "intensity" in values:
                values["intensity"] = Intensity(**values["intensity"])
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise InputError("The training configuration is not valid", str(error)) from error

    @property
    def network_def(self) -> Definition:
        """The network as a bundle states it: one channel in, one logit out."""
        name = str(self.network.get("_target_", "")).rpartition(".")[2]
        if name not in NETWORKS:
            raise InputError(
                f"There is no network {name or '(nothing)'} that can be trained here",
                f"those that can be run are: {', '.join(sorted(NETWORKS))}",
            )
        return {**self.network, "_target_": name, "spatial_dims": 3, "in_channels": 1, "out_channels": 1}


def load_segmenter_config(name: str) -> SegmenterConfig:
    """Read a configuration: JSON or YAML, or a preset of this package by its name.

    Raises
    ------
    InputError
        When there is none, or it is not valid.
    """
    return SegmenterConfig.from_mapping(read_preset(name))


def continued_from(bundle: BundleInfo, config: SegmenterConfig) -> SegmenterConfig:
    """The configuration with network, window and scaling of a bundle whose weights are taken over."""
    return replace(
        config,
        network={key: value for key, value in bundle.network_def.items() if not key.endswith("_channels")},
        modality=str(bundle.modality) if str(bundle.modality) in ("CT", "MR", "PT") else config.modality,
        organ=bundle.organ,
        lesion=bundle.labels.get(1, config.lesion),
        intensity=bundle.intensity,
        spacing_mm=bundle.spacing_mm,
        axcodes=bundle.axcodes,
        overlap=bundle.overlap,
        min_volume_mm3=bundle.min_volume_mm3,
    )


def build_segmenter(config: SegmenterConfig) -> torch.nn.Module:
    """Network of the configuration with random weights."""
    network: torch.nn.Module = build("network", config.network_def)
    return network


def with_steps(definition: Mapping[str, Any], steps: int) -> Definition:
    """Definition in which `STEPS` is the number of steps."""
    return {key: steps if value == STEPS else value for key, value in definition.items()}
