"""The network of a bundle with its last step: logits to the probability of lesion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_lesion.models.bundle import BundleInfo, load_network

if TYPE_CHECKING:
    import torch


def probability_network(bundle: BundleInfo) -> torch.nn.Module:
    """Network from (n, channels, x, y, z) to the probability of lesion (n, x, y, z), float32, on the CPU.

    Raises
    ------
    ModelError
        When the bundle cannot be loaded.
    """
    import torch

    class LesionProbability(torch.nn.Module):
        """Activation and choice of the lesion channel; deep supervision gives its finest output first."""

        def __init__(self, network: torch.nn.Module, activation: str, channel: int) -> None:
            super().__init__()
            self.network = network
            self.softmax = activation == "softmax"
            self.channel = channel

        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            logits = self.network(windows)
            if isinstance(logits, list | tuple):
                logits = logits[0]
            if self.softmax:
                return torch.softmax(logits, dim=1)[:, self.channel]
            return torch.sigmoid(logits[:, self.channel])

    return LesionProbability(load_network(bundle), bundle.activation, bundle.lesion_channel).eval()
