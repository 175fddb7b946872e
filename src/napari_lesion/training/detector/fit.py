"""Train the stretches of a crop configuration; a run that was stopped continues where it was.

``python -m napari_lesion.training.detector --data FOLDER --out DIR --fold 0`` trains the refiner of lung nodules.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_lesion.training.checkpoints import (
    JsonLog,
    TrainingState,
    load_weights,
    running_average,
    save_atomically,
)
from napari_lesion.training.detector.batches import Batch, CropBatches
from napari_lesion.training.detector.config import CropConfig, Stretch, build_crop_network
from napari_lesion.training.detector.crops import CONSENSUS, IGNORED, SHARE
from napari_lesion.training.detector.inflate import inflate
from napari_lesion.training.detector.nodules import Nodule
from napari_lesion.training.detector.outlines import validate
from napari_lesion.training.detector.transplant import Graft, Host
from napari_lesion.training.named import build
from napari_lesion.training.network import expect_background
from napari_lesion.training.scenes import Scene

if TYPE_CHECKING:
    import torch

SURELY_BACKGROUND = -30.0
PRIOR = 0.05
CHECKPOINT = "checkpoint.pt"

log = logging.getLogger(__name__)


class Batches(Protocol):
    """Item ``n`` is the batch of step ``n``."""

    def __getitem__(self, step: int, /) -> Batch:
        """The batch of one step; the same whenever it is asked for."""
        ...


@dataclass(frozen=True, eq=False)
class CropData:
    """What one stretch learns from and is watched on."""

    train: Sequence[Nodule]
    held_out: Sequence[Nodule]
    negatives: Sequence[tuple[Scene, npt.NDArray[np.int64]]] = ()
    grafts: Sequence[Graft] = ()
    hosts: Sequence[Host] = ()

    @property
    def spatial_dims(self) -> int:
        """Axes of the crops."""
        return int(self.train[0].image.ndim)


def crop_loss(logits: torch.Tensor, target: torch.Tensor, config: CropConfig, overlap: Any) -> torch.Tensor:
    """Overlap with the consensus, plus cross-entropy against consensus and share; ignored voxels are left out.

    Parameters
    ----------
    logits
        Shape (n, 1, ...).
    target
        Share, consensus and ignored, shape (n, 3, ...).
    config
        ``soft`` and ``voxel_weight``.
    overlap
        Loss that takes logits and a binary target.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    ignored = target[:, IGNORED, None] >= 0.5
    consensus = ((target[:, CONSENSUS, None] >= 0.5) & ~ignored).to(logits.dtype)
    silenced = torch.where(ignored, torch.full_like(logits, SURELY_BACKGROUND), logits)
    share = torch.where(ignored, torch.zeros_like(consensus), target[:, SHARE, None])
    wanted = config.soft * share + (1 - config.soft) * consensus
    loss: torch.Tensor = overlap(silenced, consensus)
    return loss + config.voxel_weight * binary_cross_entropy_with_logits(silenced, wanted)


def start_state(config: CropConfig, stretch: Stretch, spatial_dims: int, device: str) -> TrainingState:
    """Network, running mean, optimiser and schedule at step 0; the same for the same seed."""
    import torch
    from monai.optimizers import WarmupCosineSchedule
    from monai.utils import set_determinism

    set_determinism(seed=config.seed)
    network = build_crop_network(config, spatial_dims).to(device)
    expect_background(network, PRIOR)
    if spatial_dims == 3:
        network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    mean = running_average(network, config.ema_decay)
    optimizer = build("optimizer", config.optimizer, network.parameters(), lr=stretch.learning_rate)
    schedule = WarmupCosineSchedule(optimizer, config.warmup_steps, stretch.steps, end_lr=stretch.learning_rate / 100)
    return TrainingState(network, mean, optimizer, schedule)


def fit_stretch(
    config: CropConfig, stretch: Stretch, data: CropData, folder: Path, start: Path | None = None, device: str = "cpu"
) -> Path:
    """Train one stretch and return the file of its weights (their running mean).

    Parameters
    ----------
    config, stretch
        What to do.
    data
        Nodules and negatives.
    folder
        Where checkpoint, log and weights lie; a checkpoint there is continued from.
    start
        Weights to start from, inflated when they are flat; None starts from the seed.
    device
        ``cpu`` or ``cuda``.
    """
    state = ready_state(config, stretch, data.spatial_dims, folder, start, device)
    batches = CropBatches(data.train, stretch, config.seed, data.negatives, data.grafts, data.hosts)
    return run_steps(config, stretch, state, batches, folder, lambda network: validate(network, data.held_out))


def ready_state(
    config: CropConfig, stretch: Stretch, spatial_dims: int, folder: Path, start: Path | None, device: str
) -> TrainingState:
    """State to go on from: the checkpoint of the folder, else the weights to start from, else the seed."""
    folder.mkdir(parents=True, exist_ok=True)
    state = start_state(config, stretch, spatial_dims, device)
    checkpoint = folder / CHECKPOINT
    if checkpoint.is_file():
        state.load(checkpoint)
    elif start is not None:
        state.start_from(inflate(load_weights(start), state.network))
    return state


def run_steps(
    config: CropConfig,
    stretch: Stretch,
    state: TrainingState,
    batches: Batches,
    folder: Path,
    watch: Callable[[torch.nn.Module], Mapping[str, float]] | None = None,
) -> Path:
    """Take the steps that are left, and return the file of the weights.

    Parameters
    ----------
    config, stretch
        What to do.
    state
        By `ready_state`.
    batches
        Item ``n`` is the batch of step ``n``.
    folder
        Where checkpoint, log and weights lie.
    watch
        Dice of a network by threshold, for the log; None leaves it out.
    """
    overlap = build("loss", config.overlap)
    weights = folder / "weights.pt"
    losses: list[float] = []
    began = time.monotonic()
    for step in range(state.step, stretch.steps):
        losses.append(_step(state, batches[step], config, overlap))
        if state.step % config.validate_every == 0 or state.step == stretch.steps:
            record: dict[str, Any] = {"step": state.step, "loss": float(np.mean(losses))}
            if watch is not None:
                record["dice"] = watch(state.mean_network.module)
            JsonLog(folder / "log.jsonl").write(**record, seconds=time.monotonic() - began, **asdict(stretch))
            log.info("%s %s", stretch.name, record)
            losses = []
        if state.step % config.checkpoint_every == 0 or state.step == stretch.steps:
            state.save(folder / CHECKPOINT)
            save_atomically(state.mean_network.module.state_dict(), weights)
    return weights


def _step(state: TrainingState, batch: Batch, config: CropConfig, overlap: Any) -> float:
    import torch

    device = next(state.network.parameters()).device
    state.network.train()
    with torch.autocast(device.type, torch.bfloat16):
        logits = state.network(batch["image"].to(device))
    # Networks with deep supervision give a stack of outputs; the first is the finest.
    logits = logits[:, 0] if logits.ndim > batch["image"].ndim else logits
    loss = crop_loss(logits.float(), batch["target"].to(device), config, overlap)
    return state.advance(loss, config.max_grad_norm)
