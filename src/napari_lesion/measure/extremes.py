"""Smallest and largest value of an image, looked up once for as long as the image lives."""

from __future__ import annotations

import weakref

import numpy as np

from napari_lesion.core.volume import Volume

_known: weakref.WeakKeyDictionary[Volume, tuple[float, float]] = weakref.WeakKeyDictionary()


def stored_extremes(volume: Volume) -> tuple[float, float]:
    """Smallest and largest finite value of a volume; NaN when it has none."""
    if volume not in _known:
        _known[volume] = _extremes(volume)
    return _known[volume]


def _extremes(volume: Volume) -> tuple[float, float]:
    if np.issubdtype(volume.array.dtype, np.integer):
        return float(volume.array.min()), float(volume.array.max())
    low, high = np.inf, -np.inf
    for part in volume.array:  # slice by slice: no temporary of the size of the volume
        finite = part[np.isfinite(part)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else (float("nan"), float("nan"))
