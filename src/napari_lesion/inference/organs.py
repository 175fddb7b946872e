"""Where to search: the organ of a model, or the whole volume when no organ mask can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.surroundings import Region, Surroundings
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.inference.brain import find_brain
from napari_lesion.inference.lungs import find_lungs
from napari_lesion.inference.ports import OrganFinder, OrganMask

FINDERS: Final[Mapping[tuple[str, Modality], OrganFinder]] = {
    ("lung", Modality.CT): find_lungs,
    ("brain", Modality.MR): find_brain,
}
"""Organ finders by organ of the model and modality of the model."""


_found: WeakKeyDictionary[Volume, dict[tuple[str, Modality], OrganMask]] = WeakKeyDictionary()


def find_organ(volume: Volume, organ: str, modality: Modality, ctx: JobContext | None = None) -> OrganMask:
    """Region that a model searches in a volume; found once for each volume and remembered as long as it lives.

    Parameters
    ----------
    volume
        Any volume.
    organ, modality
        As the bundle states them; without a finder for them the whole volume is searched.
    ctx
        Progress and cancel.
    """
    finder = FINDERS.get((organ, modality))
    if finder is None:
        what = organ or "this model"
        return OrganMask.whole(
            volume.grid, organ, f"There is no search region for {what}; the whole volume is searched"
        )
    known = _found.setdefault(volume, {})
    if (organ, modality) not in known:
        known[organ, modality] = finder(volume, ctx)
    return known[organ, modality]


def found_surroundings(volume: Volume) -> Surroundings:
    """What a search of this volume has found around its lesions; empty when there was none, or it is not trusted."""
    trusted = (organ.surroundings for organ in _found.get(volume, {}).values() if organ.trusted)
    return next(trusted, Surroundings())


def mask_on(organ: OrganMask, grid: Grid) -> npt.NDArray[np.bool_]:
    """The search region on another grid with the same axes (nearest voxel).

    Parameters
    ----------
    organ
        A trusted or whole mask.
    grid
        Any grid with the axes of the volume: another spacing, another box.

    Returns
    -------
    numpy.ndarray
        Boolean, shape ``grid.shape``; all True for a whole volume, False outside the organ's grid.
    """
    if organ.array is None:
        return np.ones(grid.shape, dtype=bool)
    z, y, x = (slice(0, n) for n in grid.shape)
    return Region(organ.organ, organ.array, organ.grid).crop((z, y, x), grid)


def native_box(organ: OrganMask, grid: Grid) -> Box:
    """Smallest box of the native grid around the search region."""
    if organ.array is None:
        z, y, x = (slice(0, n) for n in grid.shape)
        return z, y, x
    parts = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        used = np.nonzero(organ.array.any(axis=others))[0]
        factor = organ.grid.spacing_zyx[axis] / grid.spacing_zyx[axis]
        start, stop = int(np.floor(used[0] * factor)), int(np.ceil((used[-1] + 1) * factor))
        parts.append(slice(max(0, start), min(grid.shape[axis], stop)))
    return parts[0], parts[1], parts[2]
