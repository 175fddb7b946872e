"""Checkpoints that a run continues from exactly, and the log that stays."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_lesion.core.errors import InputError

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
        AdamW and its warm-up and cosine schedule.
    step
        Optimizer steps done.
    """

    network: torch.nn.Module
    mean_network: torch.optim.swa_utils.AveragedModel
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    step: int = 0

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


def save_atomically(content: Any, path: Path) -> None:
    """Write with torch to a temporary name in the same folder, and rename."""
    import torch

    temporary = path.with_suffix(".tmp")
    torch.save(content, temporary)
    os.replace(temporary, path)


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
