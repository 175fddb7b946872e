"""Where in its crop the networks saw what made a nodule suspicious: Grad-CAM, and occlusion as the alternative.

Both explain the logit of the rating of malignancy that the networks expect, not the calibrated probability. Grad-CAM
(Selvaraju 2017, doi:10.1109/ICCV.2017.74) and occlusion (Zeiler 2014, doi:10.1007/978-3-319-10590-1_53) are MONAI's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.rating.network import VIEWS, views
from napari_lesion.inference.rating.scores import LEVELS

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float32]

LAYER: Final = "layer3"
"""Stage of the network whose activations are weighed: a cell is 4.8 mm, in the last stage it would be 9.6."""
PATCH_PIXELS: Final = 8
"""Edge of an occluded square; neighbouring squares overlap by half."""
LUNG_SHARE: Final = 0.075
"""What an occluded square is filled with: -850 HU, aerated lung, on the scale of the crop."""


def grad_cam(members: Sequence[torch.nn.Module], crop: FloatArray) -> FloatArray:
    """Grad-CAM of the expected malignancy, summed over all networks and views.

    Parameters
    ----------
    members
        Networks; hooks are left on them, so give each call its own.
    crop
        Shape (2, row, column).

    Returns
    -------
    numpy.ndarray
        Shape (row, column), 0 to 1; 0 everywhere when nothing speaks for a suspicious rating.
    """
    import torch
    from monai.visualize import GradCAM

    batch = torch.from_numpy(views(crop))
    total = np.zeros(crop.shape[1:], np.float32)
    for network in members:
        cam = GradCAM(_suspicion([network]), f"members.0.{LAYER}", postprocessing=_unchanged)
        with torch.enable_grad():
            maps = cam(x=batch, class_idx=0)[:, 0].detach().numpy()
        total += turned_back(maps).sum(axis=0)
    return _scaled(total)


def occlusion(members: Sequence[torch.nn.Module], crop: FloatArray) -> FloatArray:
    """How far the expected malignancy falls where a square is filled with lung that belongs to no lesion.

    Parameters
    ----------
    members
        Networks.
    crop
        Shape (2, row, column).

    Returns
    -------
    numpy.ndarray
        Shape (row, column), 0 to 1: share of the largest fall; 0 where it rises.
    """
    import torch
    from monai.visualize import OcclusionSensitivity

    # the squares are filled with one number in both channels: a mask of so much stands for no lesion
    raised = torch.from_numpy(crop + np.array([0, LUNG_SHARE], np.float32)[:, None, None])[None]
    network = _suspicion(members, mask_at=LUNG_SHARE)
    search = OcclusionSensitivity(
        network, mask_size=PATCH_PIXELS, n_batch=32, verbose=False, mode=LUNG_SHARE, overlap=0.5, activate=False
    )
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI indexes with a list, which torch announces to change
        whole = float(network(raised))
        found, _ = search(raised)
    fall = whole - np.asarray(found, dtype=np.float32).reshape(crop.shape[1:])
    return _scaled(np.maximum(fall, 0))


def turned_back(maps: FloatArray) -> FloatArray:
    """Maps (view, row, column) of the views of a crop, each turned as the crop itself lies."""
    half = VIEWS // 2
    flipped = [np.flip(one, axis=1) if place >= half else one for place, one in enumerate(maps)]
    return np.stack([np.rot90(one, -(place % half)) for place, one in enumerate(flipped)])


def _scaled(values: FloatArray) -> FloatArray:
    largest = float(values.max())
    return (values / largest if largest > 0 else np.zeros_like(values)).astype(np.float32)


def _unchanged(values: Any) -> Any:
    return values


def _suspicion(members: Sequence[torch.nn.Module], mask_at: float = 0.0) -> torch.nn.Module:
    """Module from crops (n, channel, row, column) to the logit of the expected malignancy (n, 1), mean of members."""
    import torch

    class Suspicion(torch.nn.Module):
        """The one output that is explained; ``mask_at`` stands for no lesion in the mask."""

        def __init__(self) -> None:
            super().__init__()
            self.members = torch.nn.ModuleList(members)

        def forward(self, crops: torch.Tensor) -> torch.Tensor:
            plain = torch.cat((crops[:, :1], crops[:, 1:] - mask_at), dim=1)
            shares = [member(plain)[:, :LEVELS].sigmoid().mean(dim=1, keepdim=True) for member in self.members]
            return torch.stack([share.logit(eps=1e-3) for share in shares]).mean(dim=0)

    return Suspicion().eval()
