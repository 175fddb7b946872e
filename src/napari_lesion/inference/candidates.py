"""From probability to lesions: threshold, components, size; cheap enough for a slider."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.probability import SCALE, ProbabilityMap, threshold_byte
from napari_lesion.core.volume import LabelMap
from napari_lesion.inference.components import components

MAX_LESIONS: Final = np.iinfo(np.uint16).max
TILE: Final = 16


@dataclass(frozen=True)
class _Candidate:
    """One component: where it lies, and what orders it."""

    box: Box
    mask: npt.NDArray[np.bool_]
    voxels: int
    peak: int

    @property
    def order(self) -> tuple[int, int, tuple[int, ...]]:
        return -self.peak, -self.voxels, tuple(part.start for part in self.box)


def find_candidates(
    probability: ProbabilityMap, threshold: float, min_volume_mm3: float = 0.0
) -> tuple[LabelMap, dict[int, Lesion]]:
    """Lesions at a threshold.

    Parameters
    ----------
    probability
        Stored probability on the native grid.
    threshold
        Smallest probability of a lesion voxel, above 0 to 1.
    min_volume_mm3
        Smaller components are dropped, mm³.

    Returns
    -------
    tuple
        Label map (uint16) on the native grid, and one lesion a label. Labels run from 1 in the order of the
        largest probability inside, then of size. Voxels that touch by a corner belong together (26-connected).

    Notes
    -----
    Only groups of touching tiles of 16³ voxels that hold a voxel at the threshold are looked at. Of more than 65535
    lesions the first 65535 in that order are kept.
    """
    level = max(1, threshold_byte(threshold))
    smallest = min_volume_mm3 / probability.grid.voxel_volume_mm3
    found = [
        candidate
        for box, own in _groups(probability, level)
        for candidate in _components(np.where(own, probability.dense(box), 0), box, level)
        if candidate.voxels >= smallest
    ]
    found.sort(key=lambda candidate: candidate.order)
    labels = LabelMap.empty(probability.grid)
    lesions: dict[int, Lesion] = {}
    for label, candidate in enumerate(found[:MAX_LESIONS], start=1):
        labels.array[candidate.box][candidate.mask] = label
        lesions[label] = Lesion(label, Status.MODEL, candidate.peak / SCALE)
    return labels, lesions


def _groups(probability: ProbabilityMap, level: int) -> Iterator[tuple[Box, npt.NDArray[np.bool_]]]:
    """Box and voxels at the level of each group of touching tiles; no component leaves its group."""
    import cc3d

    shape = probability.grid.shape
    occupied = np.zeros([-(-n // TILE) for n in shape], dtype=bool)
    for box, block in probability.items():
        if block.max() >= level:
            occupied[tuple(slice(part.start // TILE, -(-part.stop // TILE)) for part in box)] = _tiles(block >= level)
    groups = components(occupied, 26)
    for number, tiles in enumerate(cc3d.statistics(groups)["bounding_boxes"]):
        if number == 0:
            continue
        z, y, x = (slice(t.start * TILE, min(t.stop * TILE, n)) for t, n in zip(tiles, shape, strict=True))
        own = groups[tiles] == number
        for axis in range(3):
            own = np.repeat(own, TILE, axis=axis)
        yield (z, y, x), own[: z.stop - z.start, : y.stop - y.start, : x.stop - x.start]


def _tiles(above: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which tiles of a block hold a voxel."""
    missing = [-n % TILE for n in above.shape]
    if any(missing):
        above = np.pad(above, [(0, n) for n in missing])
    for axis in range(3):
        shape = list(above.shape)
        shape[axis : axis + 1] = [shape[axis] // TILE, TILE]
        above = np.asarray(above.reshape(shape).any(axis=axis + 1))
    return above


def _components(values: npt.NDArray[np.uint8], outer: Box, level: int) -> Iterator[_Candidate]:
    import cc3d

    above = values >= level
    inner = _bounds(above)
    labels = components(above[inner], 26)
    statistics: dict[str, Any] = cc3d.statistics(labels, no_slice_conversion=False)
    part = values[inner]
    for label, box in enumerate(statistics["bounding_boxes"]):
        if label == 0:
            continue
        mask = labels[box] == label
        place = [
            slice(o.start + i.start + b.start, o.start + i.start + b.stop)
            for o, i, b in zip(outer, inner, box, strict=True)
        ]
        peak = int(part[box][mask].max())
        yield _Candidate((place[0], place[1], place[2]), mask, int(statistics["voxel_counts"][label]), peak)


def _bounds(mask: npt.NDArray[np.bool_]) -> Box:
    spans = []
    for axis in range(3):
        used = np.nonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))[0]
        spans.append(slice(int(used[0]), int(used[-1]) + 1))
    return spans[0], spans[1], spans[2]
