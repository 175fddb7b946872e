"""One process or several: what torchrun says of this one, and what all of them do together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from napari_lesion.core.errors import InputError

if TYPE_CHECKING:
    import torch

TIMEOUT = timedelta(hours=12)
"""The other processes wait this long while the first one validates."""


@dataclass(frozen=True)
class Ranks:
    """One process among all of a training.

    Parameters
    ----------
    rank, world
        Its number, and how many there are.
    device
        Where it computes: ``cpu``, ``cuda``, or ``cuda:1`` of several cards.
    """

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this process validates, writes and reports."""
        return self.rank == 0

    def share(self, network: torch.nn.Module) -> torch.nn.Module:
        """Module to call in training: its gradients are the mean over all processes."""
        if self.world == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        on_card = [self.device] if self.device.startswith("cuda") else None
        return DistributedDataParallel(network, device_ids=on_card)

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            import torch

            torch.distributed.barrier()

    def agree(self, said: bool) -> bool:
        """What the first process said, in every process."""
        if self.world == 1:
            return said
        import torch

        flag = torch.tensor([float(said)], device=self.device)
        torch.distributed.broadcast(flag, 0)
        return bool(flag.item())


@contextmanager
def all_ranks(device: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started, or be alone.

    Parameters
    ----------
    device
        ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    InputError
        When a card is asked for and there is none.
    """
    import torch

    has_card = torch.cuda.is_available()
    if device == "cuda" and not has_card:
        raise InputError("There is no CUDA card here", "torch sees none", "Train with --device cpu")
    kind = "cuda" if device != "cpu" and has_card else "cpu"
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks(device=kind)
        return
    place = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if kind == "cuda" else kind
    if kind == "cuda":
        torch.cuda.set_device(place)
    torch.distributed.init_process_group("nccl" if kind == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield Ranks(int(os.environ["RANK"]), world, place)
    finally:
        torch.distributed.destroy_process_group()
