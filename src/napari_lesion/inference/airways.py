"""Trachea and main bronchi, grown from a seed in the trachea without leaking into the lungs."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.inference.components import components

BoolArray = npt.NDArray[np.bool_]

GAS_HU: Final = (-990.0, -970.0, -950.0, -930.0, -910.0)
SEED_CM2: Final = (0.6, 6.0)
MAX_AIRWAYS_ML: Final = 120.0
LEAK_FACTOR: Final = 1.8
MIDLINE_MM: Final = 40.0
MAX_WIDTH_MM: Final = 40.0


def grow_airways(hu: npt.NDArray[np.float32], lungs: BoolArray, spacing: Triple) -> BoolArray:
    """Airways among the enclosed air.

    Parameters
    ----------
    hu
        Coarse CT in display order (superior to inferior, anterior to posterior, right to left), HU.
    lungs
        Enclosed air: lungs and airways, same shape.
    spacing
        Along those axes, mm.

    Returns
    -------
    numpy.ndarray
        Boolean, same shape; empty when no trachea is seen or it cannot be told from the lungs.

    Notes
    -----
    The threshold rises until the grown region is larger than airways are (120 ml) or jumps by a factor of 1.8
    (a leak into emphysema); the last region before that is kept.
    """
    seed = _trachea_seed(hu, lungs, spacing)
    result = np.zeros(hu.shape, dtype=bool)
    if seed is None:
        return result
    voxel_ml = float(np.prod(spacing)) / 1e3
    before = 0.0
    for limit in GAS_HU:
        labels = components((hu < limit) & lungs, 6)
        label = labels[seed]
        if not label:
            continue
        grown = labels == label
        volume = float(grown.sum()) * voxel_ml
        if volume > MAX_AIRWAYS_ML or (before > 10.0 and volume > LEAK_FACTOR * before):
            break
        result, before = grown, volume
    return result


def _trachea_seed(hu: npt.NDArray[np.float32], lungs: BoolArray, spacing: Triple) -> tuple[int, int, int] | None:
    """Darkest voxel of the most superior small gap of gas near the midline, enclosed in its axial slice."""
    middle = _midline(hu)
    top = np.nonzero(lungs.any(axis=(1, 2)))[0]
    for z in range(int(top[0]), int(top[0]) + max(1, len(top) // 3)):
        labels = components(lungs[z], 4)
        for label in range(1, int(labels.max()) + 1):
            part = labels == label
            if _is_trachea(hu[z], part, middle, spacing):
                y, x = np.unravel_index(int(np.where(part, hu[z], np.inf).argmin()), part.shape)
                return z, int(y), int(x)
    return None


def _is_trachea(plane: npt.NDArray[np.float32], part: BoolArray, middle: float, spacing: Triple) -> bool:
    y, x = np.nonzero(part)
    area_cm2 = len(y) * spacing[1] * spacing[2] / 100
    narrow = int(y.max() - y.min()) * spacing[1] < MAX_WIDTH_MM and int(x.max() - x.min()) * spacing[2] < MAX_WIDTH_MM
    central = abs(float(x.mean()) - middle) * spacing[2] < MIDLINE_MM
    gas = float(plane[part].min()) < GAS_HU[2]
    return SEED_CM2[0] <= area_cm2 <= SEED_CM2[1] and narrow and central and gas


def _midline(hu: npt.NDArray[np.float32]) -> float:
    dense = (hu > -400).sum(axis=(0, 1))
    columns = np.nonzero(dense > 0.25 * dense.max())[0]
    return float(columns[0] + columns[-1]) / 2
