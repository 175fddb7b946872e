"""The loop: windows, loss, optimiser, validation, early stop; started again, it continues to the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_lesion.core.errors import InputError
from napari_lesion.core.jobs import JobCancelled, JobContext
from napari_lesion.training.checkpoints import TrainingState, running_average, save_atomically
from napari_lesion.training.named import build
from napari_lesion.training.network import expect_background, silence_ignored
from napari_lesion.training.segmenter.checking import Standing, standings
from napari_lesion.training.segmenter.config import SegmenterConfig, build_segmenter, with_steps
from napari_lesion.training.segmenter.journal import Journal
from napari_lesion.training.segmenter.prepare import PreparedCase
from napari_lesion.training.segmenter.ranks import Ranks
from napari_lesion.training.segmenter.windows import WindowBatches

if TYPE_CHECKING:
    import torch

CHECKPOINT: Final = "checkpoint.pt"
BEST: Final = "best.pt"
STAGE: Final = "Training"


@dataclass(frozen=True, eq=False)
class FitTask:
    """What to fit.

    Parameters
    ----------
    config
        Network, loss, optimiser and the rest.
    train, held_out
        Prepared cases.
    folder
        Where checkpoint, log and best weights lie; a checkpoint there is continued from.
    start
        Weights to start from; None starts from the seed.
    workers
        Processes that make batches ahead; 0 makes them in this one.
    """

    config: SegmenterConfig
    train: Sequence[PreparedCase]
    held_out: Sequence[PreparedCase]
    folder: Path
    start: dict[str, torch.Tensor] | None = None
    workers: int = 0


def start_state(config: SegmenterConfig, device: str, start: dict[str, torch.Tensor] | None = None) -> TrainingState:
    """Network, running mean, optimiser and schedule at step 0; the same for the same seed.

    Raises
    ------
    InputError
        When a name of the configuration is not known, or weights do not fit.
    """
    from monai.utils import set_determinism

    set_determinism(seed=config.seed)
    network = build_segmenter(config).to(device)
    expect_background(network)
    mean = running_average(network, config.ema_decay)
    optimizer = build("optimizer", with_steps(config.optimizer, config.steps), network.parameters())
    schedule = build("schedule", with_steps(config.schedule, config.steps), optimizer)
    state = TrainingState(network, mean, optimizer, schedule)
    if start is not None:
        try:
            state.start_from({key: value.float() for key, value in start.items()})
        except RuntimeError as error:
            raise InputError("The weights to start from do not fit the network", str(error)[:200]) from error
    return state


def fit(task: FitTask, ranks: Ranks, ctx: JobContext) -> Path:
    """Train, and give the file with the best weights (of the running mean).

    Raises
    ------
    InputError
        When the configuration cannot be used.
    OutputError
        When a checkpoint cannot be written; the former one is whole.
    JobCancelled
        When the job was asked to stop; what is done is kept, and the next call continues.
    """
    config = task.config
    task.folder.mkdir(parents=True, exist_ok=True)
    state = start_state(config, ranks.device, task.start)
    checkpoint = task.folder / CHECKPOINT
    if checkpoint.is_file():
        state.load(checkpoint)
    ranks.wait()
    journal = Journal(task.folder, state.step) if ranks.first else None
    try:
        _run(task, state, ranks, journal, ctx)
    except JobCancelled:
        if ranks.first:
            state.save(checkpoint)
        raise
    finally:
        if journal is not None:
            journal.close()
    return task.folder / BEST


def _run(task: FitTask, state: TrainingState, ranks: Ranks, journal: Journal | None, ctx: JobContext) -> None:
    config = task.config
    shared = ranks.share(state.network)
    loss = build("loss", config.loss)
    stopped = journal is not None and is_exhausted(journal.read(), config.patience)
    if ranks.agree(stopped):
        return
    losses: list[float] = []
    for batch in _loader(task, state.step, ranks):
        ctx.step(STAGE, state.step, config.steps)
        state.network.train()
        losses.append(state.advance(_loss(shared, batch, loss, config, ranks.device), config.max_grad_norm))
        last = state.step == config.steps
        if state.step % config.validate_every == 0 or last:
            if journal is not None:
                _validate(task, state, journal, float(np.mean(losses)), ctx)
                stopped = is_exhausted(journal.read(), config.patience)
            losses = []
            stopped = ranks.agree(stopped)
        if ranks.first and (state.step % config.checkpoint_every == 0 or last or stopped):
            state.save(task.folder / CHECKPOINT)
        if stopped:
            return


def _loss(
    network: torch.nn.Module, batch: dict[str, torch.Tensor], loss: Any, config: SegmenterConfig, device: str
) -> torch.Tensor:
    import torch

    kind = torch.device(device).type
    label = batch["label"].to(device)
    with torch.autocast(kind, torch.bfloat16, enabled=computes_in_bf16(config, device)):
        logits = network(batch["image"].to(device))
    if not isinstance(logits, torch.Tensor):
        raise InputError("The network gives several outputs", "only one, or DynUNet's stack of them, can be trained")
    # deep supervision: DynUNet stacks its heads at full size along the second axis, the finest first
    heads = logits.unbind(1) if logits.ndim > label.ndim else (logits,)
    weights = [0.5**place for place in range(len(heads))]
    parts = [
        weight * loss(*silence_ignored(head.float(), label)) for weight, head in zip(weights, heads, strict=True)
    ]
    total: torch.Tensor = torch.stack(parts).sum() / sum(weights)
    if not torch.isfinite(total):
        raise InputError("The training went astray", "the loss is not finite any more", "Lower the learning rate")
    return total


def computes_in_bf16(config: SegmenterConfig, device: str) -> bool:
    """Whether the network runs in bfloat16: as configured, or where the device has instructions for it."""
    if config.precision != "auto":
        return config.precision == "bf16"
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _loader(task: FitTask, first: int, ranks: Ranks) -> torch.utils.data.DataLoader[dict[str, torch.Tensor]]:
    from torch.utils.data import DataLoader

    batches = WindowBatches(task.train, task.config, ranks.rank, ranks.world)
    return DataLoader(
        batches,  # type: ignore[arg-type]
        batch_size=None,
        sampler=range(first, len(batches)),
        num_workers=task.workers,
        prefetch_factor=2 if task.workers else None,
    )


def _validate(task: FitTask, state: TrainingState, journal: Journal, loss: float, ctx: JobContext) -> Standing:
    """Score the running mean on the held-out cases; keep it when it is the best so far."""
    ctx.step("Validating")
    device = str(next(state.network.parameters()).device)
    fast = computes_in_bf16(task.config, device)
    (standing,) = standings(state.mean_network.module, task.held_out, task.config, fast=fast)
    former = [record["dice"] for record in journal.read()]
    rate = float(state.optimizer.param_groups[0]["lr"])
    journal.write(state.step, loss=loss, learning_rate=rate, **asdict(standing))
    if standing.dice > max(former, default=-1.0):
        save_atomically(state.mean_network.module.state_dict(), task.folder / BEST)
    return standing


def is_exhausted(records: Sequence[dict[str, Any]], patience: int) -> bool:
    """Whether the last ``patience`` validations brought no better Dice; never for a patience of 0."""
    if not patience or len(records) <= patience:
        return False
    best = max(range(len(records)), key=lambda place: (records[place]["dice"], -place))
    return len(records) - 1 - best >= patience
