"""The ring of tissue around a lesion, which its contrast is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.measure.boundary_near import RING_MM, margin_of, pixel_of
from napari_lesion.measure.topology import distance_inside

if TYPE_CHECKING:
    from napari_lesion.measure.context import LesionContext

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


@dataclass(frozen=True, eq=False)
class Around:
    """What distance from the lesion decides.

    Parameters
    ----------
    ring
        Statistics of the ring.
    close
        Voxels at most 3 mm from the lesion, in the middle of its neighbourhood.
    """

    ring: Ring
    close: BoolArray


def around_of(c: LesionContext) -> Around:
    """Ring of a lesion, and the voxels close to it."""
    near, pixel = c.near, pixel_of(c)
    margin = margin_of(pixel + RING_MM, c.spacing)
    view = near.inner(tuple(n + 2 * extra for n, extra in zip(c.mask.shape, margin, strict=True)))
    away = distance_inside(~near.lesion[view], c.spacing, closed=False)
    ring = away <= (pixel + RING_MM) * (1 + SLACK)
    ring &= away > pixel * (1 + SLACK)
    ring &= ~near.blocked[view]
    if near.other is not None:
        ring &= ~grown(near.other[view], c.spacing, pixel)
    return Around(_statistics(near.image[view][ring]), away <= RING_MM * (1 + SLACK))


def _statistics(values: npt.NDArray[Any]) -> Ring:
    if values.size < RING_VOXELS:
        return Ring(values.size, float("nan"), float("nan"))
    return Ring(values.size, float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)))


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
