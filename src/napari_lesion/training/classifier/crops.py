"""Crops that the network sees: one interpolation from native pixels, with every change of place in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.rating.crops import CropSpec, signed_depth
from napari_lesion.training.classifier.slices import MAX_READERS, NoduleSlice

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Augmentation:
    """How far a crop is changed; 0 everywhere changes nothing but flips and turns.

    Parameters
    ----------
    zoom
        Largest change of scale, as a share. Size is what readers go by, so it stays small.
    shift_mm
        Largest shift of the centre.
    border_mm
        Largest distance by which the mask's border moves in or out.
    other_mask
        Chance that a single reader's mask is used in place of the consensus.
    noise_hu, offset_hu
        Standard deviation of noise, drawn between 0 and this, and of a constant added to all.
    blur_px, blur_chance
        Largest sigma of a Gaussian blur, and how often there is one.
    """

    zoom: float = 0.08
    shift_mm: float = 2.0
    border_mm: float = 0.6
    other_mask: float = 0.4
    noise_hu: float = 30.0
    offset_hu: float = 15.0
    blur_px: float = 1.0
    blur_chance: float = 0.3


@dataclass(frozen=True, eq=False)
class CropSource:
    """Nodules as tensors, ready to be cropped in batches.

    Parameters
    ----------
    image
        HU, shape (nodule, 1, y, x).
    depth
        Signed distance to the border of each mask, mm, positive inside, shape (nodule, 1 + readers, y, x); the
        first is the consensus, and places of readers that are missing repeat it.
    centre
        Centroid of the consensus, pixels (x, y), shape (nodule, 2).
    spacing
        Edge of a native pixel, mm, shape (nodule,).
    """

    image: torch.Tensor
    depth: torch.Tensor
    centre: torch.Tensor
    spacing: torch.Tensor

    def __len__(self) -> int:
        return len(self.image)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays for a file, distances as float16."""
        return {
            "image": self.image.numpy().astype(np.int16),
            "depth": self.depth.numpy().astype(np.float16),
            "centre": self.centre.numpy(),
            "spacing": self.spacing.numpy(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> CropSource:
        """Read what `to_arrays` gave."""
        import torch

        names = ("image", "depth", "centre", "spacing")
        return cls(*(torch.from_numpy(arrays[name].astype(np.float32)) for name in names))


def crop_source(nodules: Sequence[NoduleSlice]) -> CropSource:
    """Prepare nodules of one image size for cropping."""
    import torch

    depths, centres = [], []
    for nodule in nodules:
        consensus = nodule.consensus
        masks = [consensus, *nodule.masks[:MAX_READERS]]
        depth = [signed_depth(mask, (nodule.spacing_mm, nodule.spacing_mm)) for mask in masks]
        depths.append(np.stack(depth + [depth[0]] * (1 + MAX_READERS - len(depth))))
        centres.append(np.argwhere(consensus).mean(axis=0)[::-1])
    return CropSource(
        torch.from_numpy(np.stack([nodule.image for nodule in nodules]).astype(np.float32))[:, None],
        torch.from_numpy(np.stack(depths)),
        torch.from_numpy(np.stack(centres).astype(np.float32)),
        torch.tensor([nodule.spacing_mm for nodule in nodules]),
    )


def plain_crops(source: CropSource, spec: CropSpec, indices: npt.NDArray[np.int64]) -> torch.Tensor:
    """Crops without any change, shape (nodule, 2, y, x): scaled HU, and the consensus as 0 and 1."""
    import torch

    chosen = torch.from_numpy(indices)
    turns = torch.eye(2).repeat(len(indices), 1, 1)
    image, depth = _sample(source, spec, chosen, turns, torch.zeros(len(indices), 2), None)
    return torch.cat((_scaled(image, spec), (depth > 0).float()), dim=1)


def augmented_crops(
    source: CropSource, spec: CropSpec, change: Augmentation, indices: npt.NDArray[np.int64], seed: int
) -> torch.Tensor:
    """Crops changed at random; the same for the same seed.

    Returns
    -------
    torch.Tensor
        Shape (nodule, 2, y, x): scaled HU, and a mask as 0 and 1.
    """
    import torch

    random = torch.Generator().manual_seed(seed)
    count = len(indices)
    chosen = torch.from_numpy(indices)
    angle = torch.rand(count, generator=random) * 2 * torch.pi
    scale = 1 + change.zoom * (2 * torch.rand(count, generator=random) - 1)
    flip = 1 - 2 * (torch.rand(count, generator=random) < 0.5).float()
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    turns = torch.stack((torch.stack((cos * flip, -sin), -1), torch.stack((sin * flip, cos), -1)), 1)
    shift = change.shift_mm * (2 * torch.rand(count, 2, generator=random) - 1)
    reader = 1 + (MAX_READERS * torch.rand(count, generator=random)).long()
    reader = torch.where(torch.rand(count, generator=random) < change.other_mask, reader, 0)
    image, depth = _sample(source, spec, chosen, turns, shift, reader)
    border = change.border_mm * (2 * torch.rand(count, 1, 1, 1, generator=random) - 1)
    # The innermost half millimetre stays, so that no mask vanishes.
    innermost = depth.amax(dim=(2, 3), keepdim=True) - 0.5
    mask = (depth > torch.minimum(-border, innermost)).float()
    return torch.cat((_scaled(_degraded(image, change, random), spec), mask), dim=1)


def _sample(
    source: CropSource,
    spec: CropSpec,
    chosen: torch.Tensor,
    turns: torch.Tensor,
    shift_mm: torch.Tensor,
    reader: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image and depth on the grid of the crop; ``turns`` maps crop to source, about the centre of the nodule."""
    import torch
    from monai.networks.layers import AffineTransform

    spacing, extent = source.spacing[chosen], source.image.shape[-1]
    centre = source.centre[chosen] + shift_mm / spacing[:, None]
    # Normalised coordinates: -1 and 1 are the outer edges of the first and the last pixel.
    zoom = (spec.size * spec.pixel_mm) / (extent * spacing)
    theta = torch.cat((turns * zoom[:, None, None], ((2 * centre + 1) / extent - 1)[:, :, None]), dim=2)
    rows = torch.arange(len(chosen))
    place = torch.zeros_like(rows) if reader is None else reader
    layers = torch.cat((source.image[chosen], source.depth[chosen][rows, place][:, None]), dim=1)
    layer = AffineTransform(
        (spec.size, spec.size), normalized=True, padding_mode="border", align_corners=False, reverse_indexing=False
    )
    sampled = layer(layers, theta)
    return sampled[:, :1], sampled[:, 1:]


def _scaled(image: torch.Tensor, spec: CropSpec) -> torch.Tensor:
    return ((image - spec.a_min) / (spec.a_max - spec.a_min)).clamp(0, 1)


def _degraded(image: torch.Tensor, change: Augmentation, random: torch.Generator) -> torch.Tensor:
    import torch
    from monai.networks.layers import GaussianFilter

    count = len(image)
    blurred = torch.rand(count, generator=random) < change.blur_chance
    sigma = 0.3 + (change.blur_px - 0.3) * float(torch.rand(1, generator=random))
    if change.blur_px and bool(blurred.any()):
        image = torch.where(blurred[:, None, None, None], GaussianFilter(2, sigma)(image), image)
    level = change.noise_hu * torch.rand(count, 1, 1, 1, generator=random)
    noise = torch.randn(image.shape, generator=random)
    offset = change.offset_hu * torch.randn(count, 1, 1, 1, generator=random)
    return image + level * noise + offset
