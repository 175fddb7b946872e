"""The lesion probability of a model on the native grid, kept in blocks where it was computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import Grid

SCALE = 250
BLOCK = 64

BlockIndex = tuple[int, int, int]
ByteArray = npt.NDArray[np.uint8]


def to_bytes(probability: npt.NDArray[np.floating]) -> ByteArray:
    """Probabilities 0 to 1 as uint8 0 to 250, rounded to nearest."""
    stored: ByteArray = np.rint(np.clip(probability, 0.0, 1.0) * SCALE).astype(np.uint8)
    return stored


def threshold_byte(threshold: float) -> int:
    """Smallest stored value that counts as ``probability >= threshold``."""
    return int(np.ceil(round(threshold * SCALE, 6)))


@dataclass(eq=False)
class ProbabilityMap:
    """Probability of lesion at each voxel, uint8 0 to 250 = 0 to 1, in blocks of 64³ voxels.

    A block that is absent was not computed, or holds nothing but 0; it counts as 0. A threshold, a size
    filter or a slider are cheap functions of this map, so that the network never runs again for them.

    Parameters
    ----------
    grid
        Native grid of the image.
    blocks
        Block index (z, y, x) to voxels; blocks at the far borders are smaller than 64³.
    members
        What each pass of a test-time augmentation said, when the map is the mean of several; empty otherwise.
    """

    grid: Grid
    blocks: dict[BlockIndex, ByteArray] = field(default_factory=dict)
    members: tuple[ProbabilityMap, ...] = ()

    @classmethod
    def from_dense(cls, array: ByteArray, grid: Grid) -> ProbabilityMap:
        """Keep the blocks of a dense uint8 array (z, y, x) that hold anything."""
        if array.shape != grid.shape:
            raise GeometryError("The probability does not fit its grid", f"shape {array.shape} against {grid.shape}")
        result = cls(grid)
        result.insert(array, (0, 0, 0))
        return result

    def insert(self, array: ByteArray, start: tuple[int, int, int]) -> None:
        """Put a dense part (z, y, x) whose first voxel is ``start`` into the map, over what was there."""
        box = _box(start, array.shape)
        for index in self._blocks_of(box):
            whole = self.block_box(index)
            common = _common(whole, box)
            values = array[_relative(common, box)]
            if index not in self.blocks:
                if not values.any():
                    continue
                self.blocks[index] = np.zeros(_shape(whole), dtype=np.uint8)
            self.blocks[index][_relative(common, whole)] = values

    def block_box(self, index: BlockIndex) -> Box:
        """Native box (z, y, x) of a block."""
        parts = [slice(i * BLOCK, min((i + 1) * BLOCK, n)) for i, n in zip(index, self.grid.shape, strict=True)]
        return parts[0], parts[1], parts[2]

    def items(self) -> Iterator[tuple[Box, ByteArray]]:
        """Box and voxels of each block, in index order."""
        for index in sorted(self.blocks):
            yield self.block_box(index), self.blocks[index]

    def bounds(self) -> Box | None:
        """Smallest box around all blocks; None when the map is empty."""
        if not self.blocks:
            return None
        boxes = [self.block_box(index) for index in self.blocks]
        parts = [slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3)]
        return parts[0], parts[1], parts[2]

    def dense(self, box: Box | None = None) -> ByteArray:
        """Dense uint8 array of a box (z, y, x; plain bounds), or of the whole grid."""
        box = box or _box((0, 0, 0), self.grid.shape)
        out = np.zeros(_shape(box), dtype=np.uint8)
        for index in self._blocks_of(box):
            if index in self.blocks:
                whole = self.block_box(index)
                common = _common(whole, box)
                out[_relative(common, box)] = self.blocks[index][_relative(common, whole)]
        return out

    def _blocks_of(self, box: Box) -> Iterator[BlockIndex]:
        z, y, x = (range(part.start // BLOCK, (part.stop - 1) // BLOCK + 1) for part in box)
        return product(z, y, x)

    @property
    def nbytes(self) -> int:
        """Memory held by the blocks, with those of the members, bytes."""
        own = sum(block.nbytes for block in self.blocks.values())
        return own + sum(member.nbytes for member in self.members)


def _box(start: tuple[int, ...], shape: tuple[int, ...]) -> Box:
    z, y, x = (slice(first, first + n) for first, n in zip(start, shape, strict=True))
    return z, y, x


def _common(one: Box, other: Box) -> Box:
    z, y, x = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return z, y, x


def _relative(box: Box, outer: Box) -> Box:
    z, y, x = (slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, outer, strict=True))
    return z, y, x


def _shape(box: Box) -> tuple[int, int, int]:
    z, y, x = (part.stop - part.start for part in box)
    return z, y, x
