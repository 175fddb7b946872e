"""Checkpoints that a run continues from exactly, and the log that stays."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_lesion.core.errors import InputError
from napari_lesion.io.atomic import atomic_path

if TYPE_CHECKING:
    import torch


@dataclass
class TrainingState:
    """Everything that changes while a stage runs.

    Parameters
    ----------
    network, mean_network
        The network that is optimised, and the running mean of its weights that is validated and kept.
    optimizer, scheduler
        Optimiser and its schedule.
    step
        Optimizer steps done.
    """

    network: torch.nn.Module
    mean_network: torch.optim.swa_utils.AveragedModel
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    step: int = 0

    def advance(self, loss: torch.Tensor, max_grad_norm: float) -> float:
        """Do one optimizer step down the gradient of a loss, and give the loss.

        Parameters
        ----------
        loss
            Scalar that depends on the weights of the network.
        max_grad_norm
            Length to which the gradient is cut.
        """
        import torch

        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), max_grad_norm)
        self.optimizer.step()
        self.scheduler.step()
        self.mean_network.update_parameters(self.network)
        self.step += 1
        return float(loss.detach())

    def start_from(self, weights: dict[str, torch.Tensor]) -> None:
        """Take over the weights of another network of the same shape."""
        self.network.load_state_dict(weights)
        self.mean_network.module.load_state_dict(weights)

    def save(self, path: Path) -> None:
        """Write a checkpoint in one piece: a kill leaves the former one whole."""
        content = {
            name: getattr(self, name).state_dict() for name in ("network", "mean_network", "optimizer", "scheduler")
        }
        save_atomically({**content, "step": self.step}, path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint."""
        content = load_weights(path)
        for name in ("network", "mean_network", "optimizer", "scheduler"):
            getattr(self, name).load_state_dict(content[name])
        self.step = int(content["step"])


def running_average(network: torch.nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel:
    """Exponential mean of the weights of a network."""
    from torch.optim.swa_utils import AveragedModel

    return AveragedModel(network, avg_fn=partial(_running_mean, 1 - decay))


def _running_mean(rate: float, mean: torch.Tensor, new: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
    """Exponential mean whose rate starts high, so that early weights are forgotten soon."""
    return mean.lerp(new, max(rate, 9.0 / (10.0 + float(count))))


def save_atomically(content: Any, path: Path) -> None:
    """Write with torch; a disk that fills or a kill leaves the former file whole.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    import torch

    # torch hides the reason when it writes to a full disk itself
    stream = io.BytesIO()
    torch.save(content, stream)
    with atomic_path(path) as temporary:
        temporary.write_bytes(stream.getbuffer())


def load_weights(path: Path) -> dict[str, Any]:
    """Read what torch wrote, tensors and plain values only.

    Raises
    ------
    InputError
        When the file is missing.
    """
    import torch

    if not path.is_file():
        raise InputError("The checkpoint cannot be read", f"{path} is missing", "Run the stage before it first")
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


class JsonLog:
    """A log of one JSON object a line, only ever appended to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, **record: Any) -> None:
        """Append one record."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """All records, oldest first."""
        if not self._path.is_file():
            return []
        return [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
