"""The ring of tissue around a lesion, which its contrast is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.measure.boundary_near import RING_MM, Neighbourhood

BoolArray = npt.NDArray[np.bool_]

RING_VOXELS = 30
SLACK = 1e-4
"""Relative slack of distances, which are float32."""


@dataclass(frozen=True)
class Ring:
    """Statistics of the ring.

    Parameters
    ----------
    voxels
        Number of voxels.
    mean, sd
        Mean and population SD of the intensity; NaN below 30 voxels.
    """

    voxels: int
    mean: float
    sd: float

    @property
    def is_small(self) -> bool:
        """Too few voxels for a statement."""
        return self.voxels < RING_VOXELS


def ring_of(near: Neighbourhood, away: npt.NDArray[np.floating], spacing: Triple, pixel: float) -> Ring:
    """Ring of a lesion.

    Parameters
    ----------
    near
        The lesion and its surroundings.
    away
        Distance to the lesion, mm, in the middle of the crop.
    spacing
        Spacing (z, y, x), mm.
    pixel
        Width of the layer of partial volume, mm, which is skipped around the lesion and around other labels.
    """
    view = near.inner(away.shape)
    ring = away <= (pixel + RING_MM) * (1 + SLACK)
    ring &= away > pixel * (1 + SLACK)
    ring &= ~near.blocked[view]
    if near.other is not None:
        ring &= ~grown(near.other[view], spacing, pixel)
    values = near.image[view][ring].astype(np.float64)
    if values.size < RING_VOXELS:
        return Ring(values.size, float("nan"), float("nan"))
    return Ring(values.size, float(values.mean()), float(values.std()))


def grown(mask: BoolArray, spacing: Triple, radius: float) -> BoolArray:
    """All voxels within a radius, mm, of a voxel of the set; for radii of few voxels."""
    out = mask.copy()
    reach = [int(radius / step * (1 + SLACK)) for step in spacing]
    for shift in product(*(range(-r, r + 1) for r in reach)):
        if 0 < np.linalg.norm(np.multiply(shift, spacing)) <= radius * (1 + SLACK):
            to = tuple(slice(max(0, s), n + min(0, s)) for s, n in zip(shift, mask.shape, strict=True))
            source = tuple(slice(max(0, -s), n + min(0, -s)) for s, n in zip(shift, mask.shape, strict=True))
            out[to] |= mask[source]
    return out
