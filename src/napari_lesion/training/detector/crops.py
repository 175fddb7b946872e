"""Crops of an image with their target."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.training.scenes import IGNORE, LESION

FloatArray = npt.NDArray[np.float32]
Points = npt.NDArray[np.int64]
Crop = dict[str, FloatArray]

SHARE, CONSENSUS, IGNORED = 0, 1, 2
"""Channels of the target."""


def cut(arrays: tuple[Any, Any, Any], center: Points, roi: int) -> Crop:
    """Cut a crop; beyond the faces the image is mirrored and the target is ignored.

    Parameters
    ----------
    arrays
        Image, label and share of two or three axes; a share of None is the consensus.
    center
        Voxel in the middle of the crop; may lie outside.
    roi
        Edge, voxels.

    Returns
    -------
    dict
        ``image`` (1, ...) and ``target`` (3, ...): share, consensus, ignored; float32.
    """
    image, label, share = arrays
    mirrored, inside = [], np.ones((roi,) * image.ndim, dtype=bool)
    for axis, (middle, length) in enumerate(zip(center, image.shape, strict=True)):
        index = np.arange(roi) + int(middle) - roi // 2
        shape = [roi if other == axis else 1 for other in range(image.ndim)]
        inside &= ((index >= 0) & (index < length)).reshape(shape)
        period = max(2 * (length - 1), 1)
        folded = np.mod(index, period)
        mirrored.append(np.minimum(folded, period - folded))
    window = np.ix_(*mirrored)
    consensus = (label[window] == LESION) & inside
    part = consensus if share is None else np.where(inside, share[window], 0)
    ignored = ~inside | (label[window] == IGNORE)
    return {
        "image": image[window].astype(np.float32)[None],
        "target": np.stack([part, consensus, ignored]).astype(np.float32),
    }
