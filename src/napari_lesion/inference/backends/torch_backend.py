"""PyTorch, on the CPU or on a CUDA card, with autocast where less than float32 is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.backends.memory import memory_guard, network_guard
from napari_lesion.inference.backends.network import probability_network
from napari_lesion.inference.settings import BF16, FLOAT16, FLOAT32
from napari_lesion.models.bundle import BundleInfo

FloatArray = npt.NDArray[np.float32]


class TorchBackend:
    """Runs a bundle with PyTorch.

    Parameters
    ----------
    bundle
        The model.
    device
        ``cpu`` or ``cuda``.
    threads
        CPU threads; 0 leaves torch's choice.
    precision
        ``float32``, or ``float16`` or ``bf16`` under autocast, in which instance norms and the activation stay in
        float32.

    Notes
    -----
    On CUDA the memory layout is channels last.
    """

    name = "torch"

    def __init__(self, bundle: BundleInfo, device: str = "cpu", threads: int = 0, precision: str = FLOAT32) -> None:
        import torch

        self._torch: Any = torch
        self._kind = device
        self._bundle = bundle
        self._short = False
        self.precision = precision
        self._type = {FLOAT16: torch.float16, BF16: torch.bfloat16}.get(precision)
        self._before = torch.get_num_threads()
        if threads:
            torch.set_num_threads(threads)
        network: Any = probability_network(bundle)
        with memory_guard(device):
            layout = torch.channels_last_3d if device == "cuda" else torch.preserve_format
            self._network: Any = network.to(device=device, memory_format=layout)
        self.device = f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else "cpu"

    def infer(self, windows: FloatArray) -> FloatArray:
        """Probability of lesion (n, x, y, z) of windows (n, channels, x, y, z)."""
        torch = self._torch
        if self._short:  # only now: the exception that told of it held arrays on the card
            torch.cuda.empty_cache()
        self._short = self._kind == "cuda"
        with network_guard(self._bundle, self.device), torch.inference_mode():
            batch = torch.from_numpy(windows).to(self._kind)
            with torch.autocast(self._kind, dtype=self._type, enabled=self._type is not None):
                result = self._network(batch)
            probability: FloatArray = result.float().cpu().numpy()
        self._short = False
        return probability

    def close(self) -> None:
        """Forget the network and give cached memory of the card back."""
        self._network = None
        self._torch.set_num_threads(self._before)
        if self._kind == "cuda":
            self._torch.cuda.empty_cache()
