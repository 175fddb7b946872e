"""Where every label lies: a box a label that follows edits without looking at the whole volume again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box, shifted, union

IntArray = npt.NDArray[Any]


class BoxIndex:
    """The smallest native box of every label in an array that is edited in place.

    A gain of voxels grows a box at once. A loss only notes that the box may be too large; it is shrunk to the very
    box when somebody asks for it, by looking at the old box alone.

    Parameters
    ----------
    array
        Labels (z, y, x); 0 is background. The whole of it is looked at once, here.
    """

    def __init__(self, array: IntArray) -> None:
        self._array = array
        self._boxes = _all_boxes(array)
        self._loose: set[int] = set()

    @property
    def labels(self) -> list[int]:
        """Labels that hold a voxel, ascending."""
        for label in tuple(self._loose):
            self.box(label)
        return sorted(self._boxes)

    def box(self, label: int) -> Box | None:
        """Smallest box of a label; None when it holds no voxel."""
        if label in self._loose:
            self._loose.discard(label)
            outer = self._boxes.pop(label)
            inner = box_of(self._array[outer] == label)
            if inner is not None:
                self._boxes[label] = shifted(inner, outer)
        return self._boxes.get(label)

    def boxes(self, labels: Iterable[int]) -> dict[int, Box]:
        """Smallest box of each of these labels that holds a voxel."""
        found = ((label, self.box(label)) for label in labels)
        return {label: box for label, box in found if box is not None}

    def gained(self, label: int, box: Box) -> None:
        """Note that a label was written somewhere in this box, which must hold no more than that."""
        known = self._boxes.get(label)
        self._boxes[label] = box if known is None else union(known, box)

    def lost(self, label: int) -> None:
        """Note that some voxels of a label were taken away."""
        if label in self._boxes:
            self._loose.add(label)

    def near(self, box: Box) -> set[int]:
        """Labels whose box meets this one: all that have a voxel in it, and perhaps more."""
        return {label for label, known in self._boxes.items() if meet(known, box)}


def box_of(mask: npt.NDArray[np.bool_]) -> Box | None:
    """Smallest box of the true voxels of a 3-D mask; None when there are none."""
    bounds = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        line = np.flatnonzero(mask.any(axis=others))
        if not line.size:
            return None
        bounds.append(slice(int(line[0]), int(line[-1]) + 1))
    return bounds[0], bounds[1], bounds[2]


def meet(one: Box, other: Box) -> bool:
    """Whether two boxes share a voxel."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


def _all_boxes(array: IntArray) -> dict[int, Box]:
    """Box of every label, looking closely only at the slices that hold one."""
    from scipy.ndimage import find_objects

    boxes: dict[int, Box] = {}
    rows: npt.NDArray[np.bool_] = np.any(_as_words(array), axis=2)
    for start, stop in _runs(np.any(rows, axis=1)):
        lines = np.flatnonzero(np.any(rows[start:stop], axis=0))
        outer = (slice(start, stop), slice(int(lines[0]), int(lines[-1]) + 1), slice(0, array.shape[2]))
        part = array[outer]
        for label, box in enumerate(find_objects(part, int(part.max())), start=1):
            if box is not None:
                here = shifted((box[0], box[1], box[2]), outer)
                boxes[label] = union(boxes[label], here) if label in boxes else here
    return boxes


def _as_words(array: IntArray) -> IntArray:
    """The same bytes as numbers of eight, where that is possible: empty rows are found several times as fast."""
    if array.flags.c_contiguous and array.shape[2] * array.itemsize % 8 == 0:
        return array.view(np.uint64)
    return array


def _runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First index of each run of true values, and the index after it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
