"""Train the stages of a preset one after the other; a run that was stopped continues where it was.

``python -m napari_lesion.training.train --data FOLDER --out DIR`` trains the lung nodule model.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from napari_lesion.training.cases import list_cases
from napari_lesion.training.checkpoints import (
    JsonLog,
    TrainingState,
    load_weights,
    running_average,
    save_atomically,
)
from napari_lesion.training.combine import average_weights, centre_threshold
from napari_lesion.training.config import Stage, TrainingConfig, load_config
from napari_lesion.training.folds import load_folds
from napari_lesion.training.mine import hard_points, mine_marks, with_doubt
from napari_lesion.training.network import build_network, lesion_loss
from napari_lesion.training.patches import PatchBatches
from napari_lesion.training.scenes import Scene, load_scenes
from napari_lesion.training.scoring import (
    CUBE_ROI,
    SCAN_ROI,
    Summary,
    merit,
    probability_of,
    score_scene,
    summarise,
)

if TYPE_CHECKING:
    import torch

VALIDATION_THRESHOLD = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunPlace:
    """Where a run lives and how it computes.

    Parameters
    ----------
    out
        Folder of the run.
    device
        ``cpu`` or ``cuda``.
    workers
        Processes that make batches ahead; 0 makes them in this one.
    """

    out: Path
    device: str = "cpu"
    workers: int = 1

    def stage_folder(self, stage: Stage) -> Path:
        """Folder with the checkpoint, the log and the best weights of one stage."""
        return self.out / stage.name


@dataclass(frozen=True, eq=False)
class SplitScenes:
    """Prepared cases: those that are learned from, and those of the fold that is held out."""

    train: list[Scene]
    held_out: list[Scene]


def load_split(data: Path, config: TrainingConfig, cache: Path) -> SplitScenes:
    """Prepare all cases and split them by patient."""
    folds = load_folds()
    cases = list_cases(data)
    held = [folds.held_out(case.patient_id, config.fold) for case in cases]
    train = [case for case, out in zip(cases, held, strict=True) if not out]
    # A slab is thinner than a window; its nodule is in the cubes as well.
    kept = [case for case, out in zip(cases, held, strict=True) if out and case.kind != "slab"]
    return SplitScenes(
        load_scenes(train, config.intensity, cache),
        load_scenes(kept, config.intensity, cache),
    )


def start_state(config: TrainingConfig, stage: Stage, device: str) -> TrainingState:
    """Network, running mean, AdamW and schedule at step 0; the same for the same seed."""
    import torch
    from monai.optimizers import WarmupCosineSchedule
    from monai.utils import set_determinism

    set_determinism(seed=config.seed)
    network = build_network(config).to(device)
    mean = running_average(network, config.ema_decay)
    optimizer = torch.optim.AdamW(network.parameters(), stage.learning_rate, weight_decay=config.weight_decay)
    schedule = WarmupCosineSchedule(optimizer, config.warmup_steps, stage.steps, end_lr=stage.learning_rate / 100)
    return TrainingState(network, mean, optimizer, schedule)


def train_step(
    state: TrainingState, batch: Mapping[str, torch.Tensor], config: TrainingConfig, stage: Stage
) -> float:
    """Do one optimizer step in bfloat16 autocast and return the loss."""
    import torch

    device = next(state.network.parameters()).device
    state.network.train()
    with torch.autocast(device.type, torch.bfloat16):
        logits = state.network(batch["image"].to(device))
    loss = lesion_loss(logits.float(), batch["label"].to(device), stage.smooth, stage.batch_dice)
    return state.advance(loss, config.max_grad_norm)


def validate(network: torch.nn.Module, scenes: Sequence[Scene], threshold: float = VALIDATION_THRESHOLD) -> Summary:
    """Score the held-out cases in bfloat16: cubes in mirrored 64³ windows, scans in 96³ windows."""
    network.eval()
    scores = []
    for scene in scenes:
        roi = CUBE_ROI if scene.case.kind == "cube" else SCAN_ROI
        scores.append(score_scene(scene, probability_of(network, scene, roi, fast=True), threshold))
    return summarise(scenes, scores)


def _loader(batches: PatchBatches, first: int, workers: int) -> torch.utils.data.DataLoader[dict[str, torch.Tensor]]:
    from torch.utils.data import DataLoader

    return DataLoader(
        batches,  # type: ignore[arg-type]
        batch_size=None,
        sampler=range(first, len(batches)),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )


def train_stage(
    config: TrainingConfig, stage: Stage, scenes: SplitScenes, place: RunPlace, initial: Path | None
) -> Path:
    """Train one stage and return the file with its best weights (of the running mean).

    Parameters
    ----------
    config, stage
        What to do.
    scenes
        Training and held-out cases.
    place
        Where; a checkpoint found there is continued from.
    initial
        Weights to start from; None starts from the seed.
    """
    folder = place.stage_folder(stage)
    folder.mkdir(parents=True, exist_ok=True)
    state = start_state(config, stage, place.device)
    checkpoint, best = folder / "checkpoint.pt", folder / "best.pt"
    journal = JsonLog(folder / "log.jsonl")
    if checkpoint.is_file():
        state.load(checkpoint)
    elif initial is not None:
        state.start_from(load_weights(initial))
    batches = _batches(config, stage, scenes.train, place, initial)
    keeper = _Keeper(checkpoint, best, journal, scenes.held_out)
    _run_steps(state, _loader(batches, state.step, place.workers), config, stage, keeper)
    return best


def _batches(
    config: TrainingConfig, stage: Stage, scenes: list[Scene], place: RunPlace, initial: Path | None
) -> PatchBatches:
    if not stage.mine_first or initial is None:
        return PatchBatches(scenes, stage, config.seed)
    network = build_network(config).to(place.device)
    network.load_state_dict(load_weights(initial))
    mined = mine_marks(network, scenes, config.intensity, place.stage_folder(stage) / "mined.json")
    return PatchBatches(with_doubt(scenes, mined), stage, config.seed, hard_points(scenes, mined))


@dataclass(frozen=True, eq=False)
class _Keeper:
    """Validates, logs and keeps what a stage makes."""

    checkpoint: Path
    best: Path
    journal: JsonLog
    held_out: list[Scene]

    def keep(self, state: TrainingState) -> None:
        state.save(self.checkpoint)

    def validate(self, state: TrainingState, loss: float) -> None:
        summary = validate(state.mean_network.module, self.held_out)
        former = [record["merit"] for record in self.journal.read() if record["step"] < state.step]
        self.journal.write(step=state.step, loss=loss, merit=merit(summary), time=time.time(), **asdict(summary))
        log.info("step %d loss %.3f %s", state.step, loss, summary)
        if merit(summary) > max(former, default=-np.inf):
            save_atomically(state.mean_network.module.state_dict(), self.best)
        save_atomically(state.mean_network.module.state_dict(), self.best.with_name("last.pt"))


def _run_steps(
    state: TrainingState,
    loader: torch.utils.data.DataLoader[dict[str, torch.Tensor]],
    config: TrainingConfig,
    stage: Stage,
    keeper: _Keeper,
) -> None:
    losses: list[float] = []
    last = state.step + len(loader)
    for batch in loader:
        losses.append(train_step(state, batch, config, stage))
        if state.step % 50 == 0:
            log.info("step %d loss %.3f", state.step, np.mean(losses[-50:]))
        if state.step % config.validate_every == 0 or state.step == last:
            keeper.validate(state, float(np.mean(losses)))
            losses = []
        if state.step % config.checkpoint_every == 0 or state.step == last:
            keeper.keep(state)


def train(data: Path, config: TrainingConfig, place: RunPlace) -> Path:
    """Train all stages and return the file with the weights that come of them."""
    scenes = load_split(data, config, place.out / "scenes")
    log.info("%d cases to train on, %d held out", len(scenes.train), len(scenes.held_out))
    best: dict[str, Path] = {}
    for stage in config.stages:
        before = best.get(stage.start_from, list(best.values())[-1] if best else None)
        best[stage.name] = train_stage(config, stage, scenes, place, before)
    return _combine(config, place, list(best.values())[-1])


def _combine(config: TrainingConfig, place: RunPlace, last: Path) -> Path:
    parts = [place.out / f"{part}.pt" for part in config.average] or [last]
    weights = average_weights([load_weights(part) for part in parts])
    result = place.out / "weights.pt"
    save_atomically(centre_threshold(weights, config.centre), result)
    return result


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoints, logs, prepared cases.")],
    preset: Annotated[str, typer.Option(help="Preset of this package, or a JSON file.")] = "lung_nodule_ct",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="Threads of torch; 0 leaves its choice.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that make batches ahead.")] = 1,
) -> Path:
    """Train a preset on the data below DATA; started again, it continues."""
    import torch

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    if threads:
        torch.set_num_threads(threads)
    config = load_config(preset)
    place = RunPlace(out, device, workers)
    best = train(data, config, place)
    log.info("weights: %s", best)
    return best


if __name__ == "__main__":
    typer.run(main)
