"""MONAI's ResNet on two channels, its loss over all ratings, and how it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_lesion.training.classifier.crops import CropSource, plain_crops
from napari_lesion.training.classifier.recipe import Recipe
from napari_lesion.training.classifier.slices import MAX_READERS, NoduleSlice
from napari_lesion.training.classifier.targets import (
    CALCIFIED_OUTPUT,
    LEVELS,
    N_ORDINAL,
    N_OUTPUTS,
    TEXTURE_OUTPUTS,
    TEXTURES,
    calcified,
    ordinal_targets,
    outputs_of,
    texture_classes,
)

if TYPE_CHECKING:
    import torch


def network_arguments(recipe: Recipe, outputs: int = N_OUTPUTS) -> dict[str, Any]:
    """Arguments of `monai.networks.nets.ResNet`, as the bundle states them too."""
    return {
        "block": "basic",
        "layers": list(recipe.layers),
        "block_inplanes": list(recipe.planes),
        "spatial_dims": 2,
        "n_input_channels": 2,
        "num_classes": outputs,
        "conv1_t_size": 3,
        "conv1_t_stride": 1,
    }


def build_network(recipe: Recipe) -> torch.nn.Module:
    """Network with random weights."""
    from monai.networks.nets import ResNet

    network: torch.nn.Module = ResNet(**network_arguments(recipe))
    return network


@dataclass(frozen=True, eq=False)
class Targets:
    """What a batch is compared with.

    Parameters
    ----------
    ordinal
        Shares of the readers, shape (nodule, `N_ORDINAL`).
    texture
        Class, -1 where unknown.
    calcified
        0 or 1; NaN where unknown.
    weight
        Weight of each nodule: its readers, as a share of four.
    texture_weight
        Weight of each texture class, so that the classes weigh the same together.
    """

    ordinal: torch.Tensor
    texture: torch.Tensor
    calcified: torch.Tensor
    weight: torch.Tensor
    texture_weight: torch.Tensor

    def at(self, indices: npt.NDArray[np.int64]) -> Targets:
        """Those of some nodules."""
        import torch

        chosen = torch.from_numpy(indices)
        return Targets(
            self.ordinal[chosen],
            self.texture[chosen],
            self.calcified[chosen],
            self.weight[chosen],
            self.texture_weight,
        )


def make_targets(nodules: list[NoduleSlice], train: npt.NDArray[np.int64]) -> Targets:
    """Targets of all nodules; class weights come from those that are trained on."""
    import torch

    classes = texture_classes(nodules)
    counts = np.bincount(classes[train][classes[train] >= 0], minlength=len(TEXTURES)).clip(1)
    weight = np.array([min(nodule.n_readers, MAX_READERS) / MAX_READERS for nodule in nodules])
    return Targets(
        torch.from_numpy(ordinal_targets(nodules)),
        torch.from_numpy(classes),
        torch.from_numpy(calcified(nodules)),
        torch.from_numpy(weight.astype(np.float32)),
        torch.from_numpy((counts.sum() / (len(counts) * counts)).astype(np.float32)),
    )


def rating_loss(logits: torch.Tensor, targets: Targets, recipe: Recipe) -> torch.Tensor:
    """Weighted sum over the heads: binary cross-entropy with soft ordinal labels, cross-entropy of the texture."""
    import torch
    from torch.nn import functional

    known = ~torch.isnan(targets.ordinal)
    soft = torch.where(known, targets.ordinal, 0.5)
    each = functional.binary_cross_entropy_with_logits(logits[:, :N_ORDINAL], soft, reduction="none")
    each = each * known * targets.weight[:, None]
    malignancy = outputs_of("malignancy")
    total = each.sum() / N_ORDINAL + recipe.malignancy_weight * each[:, malignancy].sum() / len(LEVELS)
    texture = functional.cross_entropy(
        logits[:, TEXTURE_OUTPUTS],
        targets.texture,
        weight=targets.texture_weight,
        ignore_index=-1,
        reduction="none",
        label_smoothing=recipe.label_smoothing,
    )
    rated = ~torch.isnan(targets.calcified)
    hard = torch.where(rated, targets.calcified, 0.0)
    chalk = functional.binary_cross_entropy_with_logits(logits[:, CALCIFIED_OUTPUT], hard, reduction="none") * rated
    total = total + (targets.weight * (recipe.texture_weight * texture + recipe.calcified_weight * chalk)).sum()
    return total / targets.weight.sum().clamp(min=1e-6)


def views(crops: torch.Tensor) -> list[torch.Tensor]:
    """The eight turns and flips of square crops, the crop itself first."""
    import torch

    turned = [torch.rot90(crops, quarter, dims=(2, 3)) for quarter in range(4)]
    return [*turned, *(torch.flip(crop, dims=(3,)) for crop in turned)]


def predict_logits(
    network: torch.nn.Module, source: CropSource, recipe: Recipe, indices: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Logits of nodules, mean over the eight turns and flips of a crop, shape (nodule, `N_OUTPUTS`)."""
    import torch

    network.eval()
    rows = []
    with torch.inference_mode():
        for start in range(0, len(indices), 64):
            crops = plain_crops(source, recipe.crop, indices[start : start + 64])
            rows.append(torch.stack([network(view) for view in views(crops)]).mean(0).numpy())
    return np.concatenate(rows) if rows else np.zeros((0, N_OUTPUTS), dtype=np.float32)
