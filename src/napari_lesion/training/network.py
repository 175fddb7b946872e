"""The network, its loss, and how it is run over a whole image; all of them MONAI's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_lesion.training.config import TrainingConfig
from napari_lesion.training.scenes import IGNORE, LESION

if TYPE_CHECKING:
    import torch

SURELY_BACKGROUND = -30.0
"""Logit that ignored voxels are given: its loss and its gradient are nothing."""

LESION_PRIOR = 0.01
"""Lesion probability that an untrained network gives."""


def build_network(config: TrainingConfig) -> torch.nn.Module:
    """MONAI's residual UNet with one output channel, whose sigmoid is the lesion probability."""
    from monai.networks.nets import UNet

    network: torch.nn.Module = UNet(**network_arguments(config))
    expect_background(network)
    return network


def window_gflop(config: TrainingConfig, roi: int) -> float:
    """Floating-point operations of one window of ``roi``³ voxels, 10⁹, as torch counts them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    network = build_network(config).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, roi, roi, roi))
    return float(counter.get_total_flops()) / 1e9


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


def network_arguments(config: TrainingConfig) -> dict[str, object]:
    """Arguments of `monai.networks.nets.UNet`, as the bundle states them too."""
    return {
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 1,
        "channels": list(config.channels),
        "strides": list(config.strides),
        "num_res_units": config.num_res_units,
        "norm": config.norm,
    }


def lesion_loss(
    logits: torch.Tensor, label: torch.Tensor, smooth: float = 1e-5, batch_dice: float = 0.0
) -> torch.Tensor:
    """Dice of each patch plus cross-entropy, with the ignored voxels left out.

    Dice is taken by patch, not over the batch: a 4 mm nodule counts as much as one of 30 mm. But a patch
    without a lesion then has a Dice of 0 whatever is marked in it, unless ``smooth`` or ``batch_dice`` is given.

    Parameters
    ----------
    logits
        Shape (n, 1, x, y, z).
    label
        `BACKGROUND`, `LESION` or `IGNORE` of the same shape.
    smooth
        Voxels added to intersection and union of each patch; with 1, any mark in a patch without a lesion
        costs about as much as a missed nodule.
    batch_dice
        Weight of a further Dice over all patches together, in which large marks cost most.
    """
    from monai.losses import DiceCELoss, DiceLoss

    silenced, lesion = silence_ignored(logits, label)
    loss: torch.Tensor = DiceCELoss(sigmoid=True, smooth_nr=smooth, smooth_dr=smooth)(silenced, lesion)
    return loss + batch_dice * DiceLoss(sigmoid=True, batch=True)(silenced, lesion) if batch_dice else loss


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
