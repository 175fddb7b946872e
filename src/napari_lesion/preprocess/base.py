"""How a function of NumPy arrays becomes a MONAI transform, in array and dictionary form."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from monai.config import KeysCollection  # noqa: TID253 (imported by a chain that runs, not by the dock)
from monai.transforms import MapTransform, Transform  # noqa: TID253
from monai.utils import TransformBackends, convert_data_type, convert_to_dst_type  # noqa: TID253

from napari_lesion.core.grid import Grid
from napari_lesion.preprocess.images import grid_of

FloatArray = npt.NDArray[np.float32]
Report = Callable[[int, int], None]


def quiet(_done: int, _total: int) -> None:
    """Report nothing."""


class StepTransform(Transform):
    """A transform of one channel-first image that tells how far it is, and can be prepared on a coarse copy.

    Contract
    --------
    - Takes (channel, x, y, z) as array, tensor or `MetaTensor`; gives the same kind, float32, with the same metadata,
      on the same grid.
    - Never changes its input.
    - ``report`` is called with (done, total) now and then; what it raises ends the transform.
    - ``frozen`` gives a transform that has taken what it needs to know of the whole image from a coarse copy, and can
      be called with a part of the image then.
    """

    backend = (TransformBackends.NUMPY,)

    def __init__(self) -> None:
        self.report: Report = quiet

    def frozen(self, img: Any) -> Transform:
        """Transform for parts of an image of which this is a coarse copy."""
        return self


class ImageTransform(StepTransform):
    """Treats each channel by itself."""

    def __call__(self, img: Any) -> Any:
        """Transform an image."""
        array = convert_data_type(img, np.ndarray, dtype=np.float32)[0]
        if array.ndim != 4:
            raise ValueError(f"an image has the shape (channel, x, y, z), not {tuple(array.shape)}")
        grid = grid_of(img)
        made = np.stack([self.filtered(channel, grid) for channel in array])
        return convert_to_dst_type(made, img, dtype=np.float32)[0]

    def filtered(self, array: FloatArray, grid: Grid) -> FloatArray:
        """One channel (x, y, z) on its grid, transformed."""
        raise NotImplementedError


class DictionaryTransform(MapTransform):
    """Dictionary form of an array transform; its arguments are those of ``array`` behind the keys.

    Parameters
    ----------
    keys
        Keys of the images.
    allow_missing_keys
        Whether a key may be missing.
    **arguments
        Arguments of the array transform.
    """

    array: Callable[..., Transform]

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False, **arguments: Any) -> None:
        super().__init__(keys, allow_missing_keys)
        self.transform = type(self).array(**arguments)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Transform the images of a case; other entries stay as they are."""
        made = dict(data)
        for key in self.key_iterator(made):
            made[key] = self.transform(made[key])
        return made
