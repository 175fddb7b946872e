"""Between volumes and the channel-first images of MONAI, whatever grid a transform has put them on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Volume
from napari_lesion.inference.bundles.images import meta_tensor

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def image_of(volume: Volume) -> Any:
    """A volume as MONAI's transforms take it: `MetaTensor`, float32, (1, x, y, z), affine in RAS mm."""
    return meta_tensor([volume])[None]


def grid_of(image: Any) -> Grid:
    """Grid of a channel-first image; that of an identity affine (RAS, 1 mm) for one that does not say.

    Parameters
    ----------
    image
        (channel, x, y, z), array, tensor or `MetaTensor`.
    """
    x, y, z = (int(n) for n in image.shape[1:])
    affine = getattr(image, "affine", None)
    if affine is None:
        return Grid((x, y, z), (1.0, 1.0, 1.0), direction=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    lps = RAS_TO_LPS @ np.asarray(affine, dtype=np.float64)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return Grid(
        size=(x, y, z),
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        origin=(float(lps[0, 3]), float(lps[1, 3]), float(lps[2, 3])),
        direction=tuple(float(c) for c in (lps[:3, :3] / spacing).ravel()),
    )


def native_of(image: Any) -> npt.NDArray[Any]:
    """First channel of an image as an array (z, y, x)."""
    array: npt.NDArray[Any] = np.asarray(image[0].detach().cpu() if hasattr(image, "detach") else image[0])
    return np.ascontiguousarray(array.T)
