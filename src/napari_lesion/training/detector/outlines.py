"""How well a network outlines nodules in crops that are centred on them; what training is watched by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_lesion.training.detector.crops import cut
from napari_lesion.training.detector.nodules import Nodule
from napari_lesion.training.scenes import IGNORE, LESION
from napari_lesion.training.scoring import AGREED_READERS

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float32]

VALIDATION_ROI = {2: 64, 3: 48}


def centred_probability(network: torch.nn.Module, nodule: Nodule, roi: int, fast: bool = False) -> FloatArray:
    """Probability in the crop around the nodule, put back into the shape of its image (0 outside)."""
    import torch

    crop = cut((nodule.image, nodule.label, nodule.share), nodule.center, roi)
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=fast):
        logits = network(torch.from_numpy(crop["image"])[None].to(device))
    inner = torch.sigmoid(logits.float())[0, 0].cpu().numpy()
    whole = np.zeros(nodule.image.shape, dtype=np.float32)
    low = nodule.center - roi // 2
    ends = np.minimum(low + roi, whole.shape)
    to = tuple(slice(max(int(a), 0), int(b)) for a, b in zip(low, ends, strict=True))
    of = tuple(slice(part.start - int(a), part.stop - int(a)) for part, a in zip(to, low, strict=True))
    whole[to] = inner[of]
    return whole


def outline_dice(probability: FloatArray, nodule: Nodule, threshold: float = 0.5) -> float:
    """Dice of the marks that touch the nodule, ignored voxels left out; 0 when nothing touches it."""
    from scipy.ndimage import label as label_components

    lesion = nodule.label == LESION
    above = (probability >= threshold) & (nodule.label != IGNORE)
    marks, _ = label_components(above, np.ones((3,) * above.ndim))
    touching = set(np.unique(marks[lesion]).tolist()) - {0}
    mine = np.isin(marks, list(touching))
    return float(2 * (mine & lesion).sum() / (mine.sum() + lesion.sum()))


def validate(network: torch.nn.Module, nodules: Sequence[Nodule]) -> dict[str, float]:
    """Mean Dice of the nodules of three and more readers in crops centred on them, by threshold, in bfloat16."""
    agreed = [nodule for nodule in nodules if nodule.n_readers >= AGREED_READERS]
    table: Mapping[float, list[float]] = {threshold: [] for threshold in (0.3, 0.4, 0.5)}
    for nodule in agreed:
        probability = centred_probability(network, nodule, VALIDATION_ROI[nodule.image.ndim], fast=True)
        for threshold, dices in table.items():
            dices.append(outline_dice(probability, nodule, threshold))
    return {str(threshold): float(np.mean(dices)) if dices else float("nan") for threshold, dices in table.items()}
