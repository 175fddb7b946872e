"""Between volumes of this program and MONAI's images: the same voxels, the same places, nothing resampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import Grid, require_same_grid
from napari_lesion.core.volume import Volume

TOLERANCE_MM = 1e-2


def meta_tensor(volumes: Sequence[Volume]) -> Any:
    """What MONAI's ``LoadImage`` gives for the file of a volume, or for the files of several sequences.

    Parameters
    ----------
    volumes
        One volume, or several sequences on one grid in the order of the network's channels.

    Returns
    -------
    monai.data.MetaTensor
        float32, (x, y, z) for one volume, (channel, x, y, z) for several; affine in RAS mm.

    Raises
    ------
    GeometryError
        When the sequences lie on different grids.
    """
    from monai.data import MetaTensor
    from monai.utils import MetaKeys, SpaceKeys

    for other in volumes[1:]:
        require_same_grid(volumes[0].grid, other.grid, f"The sequence {other.source.case}")
    arrays = [np.ascontiguousarray(volume.array.T, dtype=np.float32) for volume in volumes]
    affine = volumes[0].grid.affine_ras
    several = len(arrays) > 1
    meta = {
        MetaKeys.ORIGINAL_AFFINE: affine.copy(),
        MetaKeys.SPACE: SpaceKeys.RAS,
        MetaKeys.SPATIAL_SHAPE: np.asarray(arrays[0].shape),
        MetaKeys.ORIGINAL_CHANNEL_DIM: 0 if several else float("nan"),
        "filename_or_obj": volumes[0].source.case,
    }
    return MetaTensor(np.stack(arrays) if several else arrays[0], affine=affine, meta=meta)


def native_array(image: Any, grid: Grid, *, nearest: bool) -> npt.NDArray[Any]:
    """Channels of a MONAI image as (channel, z, y, x) on a native grid; resampled only when it lies elsewhere.

    Parameters
    ----------
    image
        (channel, x, y, z), with its affine in RAS mm where it lies on another grid.
    grid
        Grid of the volume.
    nearest
        Nearest voxel for labels, linear for numbers.

    Raises
    ------
    GeometryError
        When the shape is another one and nothing says where the voxels lie.
    """
    shape = grid.shape[::-1]
    affine = getattr(image, "affine", None)
    same_shape = tuple(image.shape[1:]) == shape
    if affine is None and not same_shape:
        raise GeometryError(
            "The model's result does not fit the image", f"{tuple(image.shape[1:])} voxels against {shape}"
        )
    if affine is not None and not (same_shape and _same_place(affine, grid)):
        image = _resampled(image, grid, shape, nearest=nearest)
    array: npt.NDArray[Any] = image.detach().cpu().numpy()
    return np.ascontiguousarray(array.transpose(0, 3, 2, 1))


def _same_place(affine: Any, grid: Grid) -> bool:
    """Whether every corner lies where the grid has it."""
    corners = np.array(np.meshgrid(*([0, n - 1] for n in grid.shape[::-1]), [1.0], indexing="ij")).reshape(4, -1)
    moved = np.asarray(affine, dtype=np.float64) @ corners - grid.affine_ras @ corners
    return bool(np.abs(moved).max() <= TOLERANCE_MM)


def _resampled(image: Any, grid: Grid, shape: tuple[int, ...], *, nearest: bool) -> Any:
    import torch
    from monai.transforms import SpatialResample

    resample = SpatialResample(mode="nearest" if nearest else "bilinear", padding_mode="zeros")
    return resample(image.float(), dst_affine=torch.as_tensor(grid.affine_ras), spatial_size=shape)
