"""Masks of body, lungs and brain as MONAI transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from monai.transforms import Transform  # noqa: TID253 (imported by a chain that runs, not by the dock)
from monai.utils import convert_to_dst_type  # noqa: TID253

from napari_lesion.core.surroundings import Region
from napari_lesion.core.volume import Volume
from napari_lesion.preprocess.base import DictionaryTransform, StepTransform
from napari_lesion.preprocess.images import grid_of, native_of
from napari_lesion.preprocess.regions import find_body, find_brain, find_lung_region


class RegionMask(StepTransform):
    """Keeps a region of an image, or gives its mask; the region is found in the first channel.

    Parameters
    ----------
    outside
        Value outside of the region; None for the smallest value of the image.
    as_mask
        Give the mask itself, 1 inside and 0 outside.
    **arguments
        Further arguments of the finder.
    """

    finder: Callable[..., Region]

    def __init__(self, outside: float | None = None, as_mask: bool = False, **arguments: Any) -> None:
        super().__init__()
        self.outside, self.as_mask, self._arguments = outside, as_mask, arguments
        self._region: Region | None = None
        self._smallest: float | None = None

    def __call__(self, img: Any) -> Any:
        """Find the region, and keep it."""
        grid = grid_of(img)
        inside = self._found(img).crop((slice(0, grid.size[2]), slice(0, grid.size[1]), slice(0, grid.size[0])), grid)
        mask = np.broadcast_to(inside.T, tuple(img.shape))
        if self.as_mask:
            return convert_to_dst_type(mask.astype(np.float32), img, dtype=np.float32)[0]
        array = np.asarray(img.detach().cpu() if hasattr(img, "detach") else img, dtype=np.float32)
        smallest = float(array.min()) if self._smallest is None else self._smallest
        outside = smallest if self.outside is None else self.outside
        return convert_to_dst_type(np.where(mask, array, np.float32(outside)), img, dtype=np.float32)[0]

    def frozen(self, img: Any) -> Transform:
        """The same with the region of this coarse copy."""
        made = type(self)(self.outside, self.as_mask, **self._arguments)
        made._region, made._smallest = self._found(img), float(img.min())
        return made

    def _found(self, img: Any) -> Region:
        if self._region is not None:
            return self._region
        return type(self).finder(Volume(native_of(img), grid_of(img)), **self._arguments)


class BodyMask(RegionMask):
    """Keeps the body: table, clothes and the air around are set to one value; see `regions.find_body`."""

    finder = staticmethod(find_body)


class LungMask(RegionMask):
    """Keeps both lungs of a chest CT in HU; takes ``tight`` too, see `regions.find_lung_region`."""

    finder = staticmethod(find_lung_region)


class BrainMask(RegionMask):
    """Keeps the brain of an MR of the head; see `regions.find_brain`."""

    finder = staticmethod(find_brain)


class BodyMaskd(DictionaryTransform):
    """Dictionary form of `BodyMask`."""

    array = BodyMask


class LungMaskd(DictionaryTransform):
    """Dictionary form of `LungMask`."""

    array = LungMask


class BrainMaskd(DictionaryTransform):
    """Dictionary form of `BrainMask`."""

    array = BrainMask
