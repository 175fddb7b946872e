"""One thing that the reader did to voxels or caliper, small enough to be kept, and a history of them."""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box, shifted
from napari_lesion.workflow.caliper import CaliperChange
from napari_lesion.workflow.edit_boxes import box_of

HISTORY_BYTES = 64 * 2**20
HISTORY_CHANGES = 1000

IntArray = npt.NDArray[Any]


class EditKind(StrEnum):
    """What the reader did."""

    STROKE = "stroke"
    NEW = "new"
    DELETE = "delete"
    SPLIT = "split"
    MERGE = "merge"
    CALIPER = "caliper"


@dataclass(frozen=True)
class Patch:
    """Voxels of one box before and after, compressed; only those that differ are kept.

    Parameters
    ----------
    box
        Smallest native box of the voxels that changed.
    labels
        Labels that gained or lost a voxel, ascending.
    voxels
        Number of voxels that changed.
    """

    box: Box
    labels: tuple[int, ...]
    voxels: int
    _mask: bytes
    _before: bytes
    _after: bytes
    _dtype: str

    @classmethod
    def between(cls, outer: Box, before: IntArray, after: IntArray) -> Patch | None:
        """The patch from ``before`` to ``after``, both voxels of the native box ``outer``; None when equal."""
        inner = box_of(before != after)
        if inner is None:
            return None
        old, new = before[inner], after[inner]
        mask = old != new
        was, now = old[mask], new[mask]
        return cls(
            box=shifted(inner, outer),
            labels=tuple(int(label) for label in np.union1d(was, now) if label),
            voxels=int(was.size),
            _mask=_packed(np.packbits(mask)),
            _before=_packed(was),
            _after=_packed(now),
            _dtype=was.dtype.str,
        )

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Which voxels of the box changed."""
        z, y, x = (part.stop - part.start for part in self.box)
        bits = np.frombuffer(zlib.decompress(self._mask), dtype=np.uint8)
        return np.unpackbits(bits, count=z * y * x).reshape(z, y, x).astype(bool)

    @property
    def before(self) -> IntArray:
        """Labels of the changed voxels before, in the order of ``array[box][mask]``."""
        return np.frombuffer(zlib.decompress(self._before), dtype=self._dtype)

    @property
    def after(self) -> IntArray:
        """Labels of the changed voxels after."""
        return np.frombuffer(zlib.decompress(self._after), dtype=self._dtype)

    @property
    def nbytes(self) -> int:
        """Memory that the patch holds, bytes."""
        return len(self._mask) + len(self._before) + len(self._after)


@dataclass(frozen=True)
class Change:
    """One thing that the reader did.

    Parameters
    ----------
    kind
        What was done.
    patches
        What became of the voxels; no voxel stands in two of them. At least one, unless only the caliper changed.
    caliper
        What became of the caliper of a lesion.
    """

    kind: EditKind
    patches: tuple[Patch, ...] = ()
    caliper: CaliperChange | None = None

    @property
    def nbytes(self) -> int:
        """Memory that the change holds, bytes."""
        return sum(patch.nbytes for patch in self.patches)


class History:
    """Changes that can be taken back and done again; the oldest are forgotten when they hold too much memory.

    Parameters
    ----------
    limit_bytes
        Compressed voxels that are kept at most. A stroke takes about a hundred bytes, a deleted lesion of a million
        voxels a few kilobytes.
    limit_changes
        Number of changes that are kept at most.
    """

    def __init__(self, limit_bytes: int = HISTORY_BYTES, limit_changes: int = HISTORY_CHANGES) -> None:
        self.limit_bytes = limit_bytes
        self.limit_changes = limit_changes
        self._done: deque[Change] = deque()
        self._undone: list[Change] = []

    @property
    def undoable(self) -> Change | None:
        """The change that `back` would return."""
        return self._done[-1] if self._done else None

    @property
    def redoable(self) -> Change | None:
        """The change that `forward` would return."""
        return self._undone[-1] if self._undone else None

    @property
    def nbytes(self) -> int:
        """Memory held, bytes."""
        return sum(change.nbytes for change in (*self._done, *self._undone))

    def __len__(self) -> int:
        return len(self._done)

    def add(self, change: Change) -> None:
        """Put a new change on top; what was undone cannot be done again."""
        self._undone.clear()
        self._done.append(change)
        held = self.nbytes
        while len(self._done) > 1 and (held > self.limit_bytes or len(self._done) > self.limit_changes):
            held -= self._done.popleft().nbytes

    def back(self) -> Change | None:
        """Step back: the change to undo, or None."""
        if not self._done:
            return None
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def forward(self) -> Change | None:
        """Step forward: the change to do again, or None."""
        if not self._undone:
            return None
        self._done.append(self._undone.pop())
        return self._done[-1]


def _packed(values: IntArray) -> bytes:
    return zlib.compress(np.ascontiguousarray(values).tobytes(), 1)
