"""Which windows the network sees: as few as cover the search region with the overlap of the model."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Start = tuple[int, int, int]


def plan_windows(
    region: BoolArray, roi: tuple[int, int, int], overlap: float, margin: tuple[int, int, int] = (0, 0, 0)
) -> list[Start]:
    """First voxels of the windows that together cover a region.

    Parameters
    ----------
    region
        Boolean search region on the model grid, any axis order.
    roi
        Window size in the same axis order.
    overlap
        Smallest share, 0 to below 1, by which neighbouring windows overlap.
    margin
        Voxels beyond the region that are covered too, as far as this needs no further window.

    Returns
    -------
    list of tuple
        Starts in scan order; negative along an axis on which the image is smaller than the window, which then
        lies centred on the image as MONAI's sliding window puts it.

    Notes
    -----
    Rows of windows are fitted axis by axis: the extent of the region is cut into evenly spaced slabs, the extent
    inside each slab into rows, and that inside each row into windows. A window without a voxel of the region is
    left out.
    """
    starts: list[Start] = []
    planes: BoolArray = np.asarray(region.any(axis=(1, 2)))
    for z in _starts(planes, roi[0], overlap, margin[0]):
        slab: BoolArray = np.any(region[_span(z, roi[0], region.shape[0])], axis=0)
        lines: BoolArray = np.asarray(slab.any(axis=1))
        for y in _starts(lines, roi[1], overlap, margin[1]):
            row: BoolArray = np.any(slab[_span(y, roi[1], region.shape[1])], axis=0)
            starts.extend((z, y, x) for x in _starts(row, roi[2], overlap, margin[2]))
    return starts


def _starts(used: BoolArray, size: int, overlap: float, margin: int) -> Iterator[int]:
    """Starts along one axis for windows that cover the used places of a profile."""
    n = len(used)
    places = np.nonzero(used)[0]
    if not len(places):
        return
    if n <= size:
        yield -((size - n) // 2)
        return
    low, extent = int(places[0]), int(places[-1]) + 1 - int(places[0])
    stride = max(1, math.floor(size * (1.0 - overlap)))
    count = max(0, math.ceil((extent - size) / stride)) + 1
    covered = min(n, size + (count - 1) * stride, max(size, extent + 2 * margin))
    first = min(max(0, low - (covered - extent) // 2), n - covered)
    for i in range(count):
        start = first + (round(i * (covered - size) / (count - 1)) if count > 1 else 0)
        if used[start : start + size].any():
            yield start


def _span(start: int, size: int, n: int) -> slice:
    return slice(max(0, start), min(n, start + size))


def gaussian_weights(roi: tuple[int, int, int], sigma_scale: float = 0.125) -> npt.NDArray[np.float32]:
    """Blending weights of a window, as ``monai.data.utils.compute_importance_map`` in Gaussian mode gives them.

    Written out in NumPy (a test compares both), so that a detection on the CPU loads neither torch nor MONAI,
    which take seconds to import.
    """
    weights = np.ones((1, 1, 1), dtype=np.float32)
    for axis, n in enumerate(roi):
        offset = np.arange(n, dtype=np.float32) - (n - 1) / 2
        curve = np.exp(-(offset**2) / np.float32(2 * (sigma_scale * n) ** 2))
        weights = weights * curve.reshape([-1 if a == axis else 1 for a in range(3)])
    floor = max(float(weights.min()), 1e-3)
    result: npt.NDArray[np.float32] = np.maximum(weights, floor).astype(np.float32)
    return result
