"""Where a network starts from, what its loss leaves out, and how it is run over a whole image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_lesion.training.scenes import IGNORE, LESION

if TYPE_CHECKING:
    import torch

SURELY_BACKGROUND = -30.0
"""Logit that ignored voxels are given: its loss and its gradient are nothing."""

LESION_PRIOR = 0.01
"""Lesion probability that an untrained network gives."""


def expect_background(network: torch.nn.Module, prior: float = LESION_PRIOR) -> None:
    """Start from a small lesion probability (the bias of Lin et al. 2017, doi:10.1109/ICCV.2017.324).

    Otherwise the first thousand steps are spent on learning that almost every voxel is background.

    Parameters
    ----------
    network
        Network whose last convolution with one output channel is its output layer.
    prior
        Probability that it gives untrained.
    """
    import torch

    kinds = torch.nn.Conv2d | torch.nn.Conv3d | torch.nn.ConvTranspose2d | torch.nn.ConvTranspose3d
    ends = [module for module in network.modules() if isinstance(module, kinds) and module.out_channels == 1]
    for module in ends[-1:]:
        if module.bias is not None:
            torch.nn.init.constant_(module.bias, math.log(prior / (1 - prior)))


def window_gflop(network: torch.nn.Module, roi: int) -> float:
    """Floating-point operations of one window of ``roi``³ voxels, 10⁹, as torch counts them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, 1, roi, roi, roi))
    return float(counter.get_total_flops()) / 1e9


def silence_ignored(logits: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits in which ignored voxels are surely background, and the lesion as 0 and 1: such voxels cost nothing."""
    import torch

    silenced = torch.where(label == IGNORE, torch.full_like(logits, SURELY_BACKGROUND), logits)
    return silenced, (label == LESION).to(logits.dtype)


def predict_probability(
    network: torch.nn.Module, image: torch.Tensor, roi: int | tuple[int, int, int], fast: bool = False
) -> torch.Tensor:
    """Lesion probability of a whole image by MONAI's sliding window.

    Parameters
    ----------
    network
        In evaluation mode; runs on its own device.
    image
        Windowed 1 mm image (x, y, z), float.
    roi
        Edge of the windows, or their three edges, voxels. A smaller image is mirrored up to it.
    fast
        Compute in bfloat16: for validation during training, not for figures.

    Returns
    -------
    Tensor
        Float32 probability (x, y, z) on the CPU.
    """
    import torch
    from monai.inferers import SlidingWindowInferer

    device = next(network.parameters()).device
    size = (roi,) * 3 if isinstance(roi, int) else roi
    inferer = SlidingWindowInferer(size, sw_batch_size=1, overlap=0.25, mode="gaussian", padding_mode="reflect")
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=fast):
        logits = inferer(image[None, None].to(device, torch.float32), network)
    return torch.sigmoid(logits.float())[0, 0].cpu()
