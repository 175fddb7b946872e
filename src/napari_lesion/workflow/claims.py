"""Several masks of one image: numbers of their own for all lesions, and the voxels that two masks claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import LabelMap
from napari_lesion.measure.boxes import find_boxes


@dataclass(frozen=True, eq=False)
class ClaimedMask:
    """One mask among several.

    Parameters
    ----------
    first
        What was added to its labels; 0 for the first mask.
    boxes
        Box of each of its lesions, by their numbers.
    places, values
        Flat indices of the voxels that an earlier mask claims too, and the numbers that this mask has there.
    """

    first: int
    boxes: Mapping[int, Box]
    places: npt.NDArray[np.intp]
    values: npt.NDArray[np.int64]


@dataclass(eq=False)
class Claims:
    """The lesions of several masks in one label map, each mask whole when its turn comes.

    The labels of the first mask stay as they are; those of a later one are raised by the highest number of the masks
    before it. A voxel that two masks claim is the earlier one's, but while a mask is `shown` it has all of its
    voxels, and the lesions of the others are its neighbours.

    Parameters
    ----------
    grid
        Grid of the image; places are reported through it.
    """

    grid: Grid
    masks: list[ClaimedMask] = field(default_factory=list)
    _union: npt.NDArray[np.integer] | None = None
    _highest: int = 0
    _sharing: set[int] = field(default_factory=set)

    @property
    def overlapping(self) -> frozenset[int]:
        """Numbers of lesions with voxels that another mask claims too."""
        return frozenset(self._sharing)

    def add(self, labels: LabelMap) -> None:
        """Take in one more mask on the same voxels."""
        array, first = labels.array, self._highest
        boxes = {first + label: box for label, box in find_boxes(array).items()}
        self._highest = max(boxes, default=first)
        if self._union is None:
            self._union = array  # a single mask is never written to, and not copied
            places, values = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.int64)
        else:
            needed = np.promote_types(self._union.dtype, np.min_scalar_type(self._highest))
            self._union = self._union.astype(needed, order="C", copy=len(self.masks) == 1)
            places, values = self._claim(array, first)
        self.masks.append(ClaimedMask(first, boxes, places, values))

    @contextmanager
    def shown(self, mask: ClaimedMask) -> Iterator[LabelMap]:
        """The label map with every voxel of one mask, and beside it the lesions of the others."""
        assert self._union is not None
        if not mask.places.size:
            yield LabelMap(self._union, self.grid)
            return
        flat = self._union.reshape(-1)
        before = flat[mask.places]
        flat[mask.places] = mask.values
        try:
            yield LabelMap(self._union, self.grid)
        finally:
            flat[mask.places] = before

    def _claim(
        self, array: npt.NDArray[np.integer], first: int
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
        """Write a later mask where nobody was; what it shares with others."""
        assert self._union is not None
        own = np.flatnonzero(array)
        values = array.reshape(-1)[own].astype(np.int64) + first
        flat = self._union.reshape(-1)
        taken = flat[own] > 0
        flat[own[~taken]] = values[~taken]
        shared = np.concatenate([flat[own[taken]].astype(np.int64), values[taken]])
        self._sharing.update(int(label) for label in np.unique(shared))
        return own[taken], values[taken]
