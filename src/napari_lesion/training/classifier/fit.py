"""Train one network on some folds; a run that was stopped goes on and ends with the same weights."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.training.checkpoints import JsonLog, load_weights, save_atomically
from napari_lesion.training.classifier.crops import CropSource, augmented_crops, crop_source
from napari_lesion.training.classifier.network import Targets, build_network, make_targets, rating_loss
from napari_lesion.training.classifier.recipe import Recipe
from napari_lesion.training.classifier.slices import NoduleSlice, in_folds

if TYPE_CHECKING:
    import torch

CHECKPOINT_EPOCHS = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """All nodules, ready for training on any of their folds."""

    nodules: list[NoduleSlice]
    source: CropSource

    @classmethod
    def prepare(cls, nodules: list[NoduleSlice], cache: Path | None = None) -> TrainingSet:
        """Compute what the crops are sampled from; ``cache`` (``.npz``) is read when it is of these nodules."""
        names = np.array([nodule.name for nodule in nodules])
        if cache is not None and cache.is_file():
            with np.load(cache, allow_pickle=False) as kept:
                if np.array_equal(kept["names"], names):
                    return cls(nodules, CropSource.from_arrays(kept))
        source = crop_source(nodules)
        if cache is not None:
            cache.parent.mkdir(parents=True, exist_ok=True)
            np.savez(cache, allow_pickle=False, names=names, **source.to_arrays())
        return cls(nodules, source)


def train_network(data: TrainingSet, recipe: Recipe, folds: tuple[int, ...], out: Path) -> torch.nn.Module:
    """Train on the nodules of some folds, in bfloat16 autocast on the CPU: a network this small needs no GPU.

    Parameters
    ----------
    data
        All nodules; those of other folds are not looked at.
    recipe
        What to do. There is no early stopping, so nothing is chosen on other patients.
    folds
        Folds to learn from.
    out
        Folder of ``weights.pt`` (finished), ``checkpoint.pt`` and ``log.jsonl``; what is there is used.

    Raises
    ------
    InputError
        When no nodule is in these folds, or ``out`` holds a run of another recipe.
    """
    import torch
    from monai.optimizers import WarmupCosineSchedule
    from monai.utils import set_determinism

    train = in_folds(data.nodules, folds)
    if not len(train):
        raise InputError("There is nothing to train on", f"no nodule is in the folds {folds}")
    out.mkdir(parents=True, exist_ok=True)
    set_determinism(seed=recipe.seed)
    network = build_network(recipe)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    done = out / "weights.pt"
    if done.is_file():
        network.load_state_dict(_same_run(done, recipe, folds)["network"])
        return network.eval()
    steps = recipe.epochs * _batches_in(len(train), recipe)
    optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = WarmupCosineSchedule(
        optimizer, int(recipe.warmup * steps), steps, end_lr=recipe.learning_rate / 100, warmup_multiplier=0.01
    )
    run = _Run(network, optimizer, schedule, make_targets(data.nodules, train), train, recipe, folds)
    run.resume(out / "checkpoint.pt")
    run.finish(data.source, out)
    save_atomically(run.state(), done)
    return network.eval()


def _batches_in(count: int, recipe: Recipe) -> int:
    return max(1, count // recipe.batch_size)


def _same_run(path: Path, recipe: Recipe, folds: tuple[int, ...]) -> dict[str, Any]:
    content = load_weights(path)
    if content["recipe"] != recipe.digest or tuple(content["folds"]) != folds:
        raise InputError(
            f"{path.parent} holds another run", "its recipe or its folds differ", "Choose another folder"
        )
    return content


@dataclass
class _Run:
    """Everything that changes while a network is trained."""

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    targets: Targets
    train: npt.NDArray[np.int64]
    recipe: Recipe
    folds: tuple[int, ...]
    epoch: int = 0

    def state(self) -> dict[str, object]:
        """Content of a checkpoint."""
        return {
            "recipe": self.recipe.digest,
            "folds": list(self.folds),
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def resume(self, checkpoint: Path) -> None:
        """Go on from a checkpoint, when there is one."""
        if not checkpoint.is_file():
            return
        content = _same_run(checkpoint, self.recipe, self.folds)
        for name in ("network", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(content[name])
        self.epoch = int(content["epoch"])

    def finish(self, source: CropSource, out: Path) -> None:
        """Train the epochs that are left."""
        journal = JsonLog(out / "log.jsonl")
        while self.epoch < self.recipe.epochs:
            started = time.perf_counter()
            loss = self._train_epoch(source)
            self.epoch += 1
            seconds = round(time.perf_counter() - started, 1)
            journal.write(epoch=self.epoch, loss=round(loss, 5), seconds=seconds)
            log.info("%s epoch %d loss %.4f %.0f s", out.name, self.epoch, loss, seconds)
            if self.epoch % CHECKPOINT_EPOCHS == 0 and self.epoch < self.recipe.epochs:
                save_atomically(self.state(), out / "checkpoint.pt")

    def _train_epoch(self, source: CropSource) -> float:
        import torch

        self.network.train()
        size = self.recipe.batch_size
        order = np.random.default_rng((self.recipe.seed, self.epoch)).permutation(self.train)
        losses = []
        for number in range(_batches_in(len(order), self.recipe)):
            indices = order[number * size : (number + 1) * size]
            seed = int(np.random.default_rng((self.recipe.seed, self.epoch, number)).integers(2**31))
            crops = augmented_crops(source, self.recipe.crop, self.recipe.augmentation, indices, seed)
            with torch.autocast("cpu", torch.bfloat16):
                logits = self.network(crops.contiguous(memory_format=torch.channels_last))
            loss = rating_loss(logits.float(), self.targets.at(indices), self.recipe)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            self.optimizer.step()
            self.schedule.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))
