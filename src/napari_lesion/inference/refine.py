"""The second stage: each mark of the first is looked at again in a window centred on it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.augment import MirroredMean
from napari_lesion.inference.components import components
from napari_lesion.inference.ports import Backend
from napari_lesion.inference.sliding import WindowCutter, window_results
from napari_lesion.inference.windows import Start
from napari_lesion.models.bundle import REPLACED, Refinement

FloatArray = npt.NDArray[np.float32]
Place = tuple[slice, ...]

STAGE: Final = "Outlining"
CONNECTED_AT: Final = 0.1
"""Probability down to which a refined mark is kept whole."""


@dataclass(frozen=True)
class CandidateRule:
    """Which marks of the first stage are looked at again.

    Parameters
    ----------
    threshold
        Probability of the first stage from which a voxel belongs to a candidate.
    min_voxels
        Smaller candidates are dropped; voxels of the model grid.
    combine
        One of `napari_lesion.models.bundle.COMBINED`.
    flipped
        Whether each window is seen a second time, flipped, and the mean counts.
    """

    threshold: float = 0.5
    min_voxels: int = 8
    combine: str = REPLACED
    flipped: bool = False

    @classmethod
    def of(cls, refinement: Refinement, voxel_mm3: float) -> CandidateRule:
        """What a bundle states, on a grid of voxels of this volume."""
        least = math.ceil(refinement.min_volume_mm3 / voxel_mm3)
        return cls(refinement.candidates_at, least, refinement.combine, refinement.flipped)

    def combined(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """The probability that stands where both networks looked."""
        return second if self.combine == REPLACED else np.sqrt(first * second)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """One mark of the first stage, and the window around it."""

    number: int
    box: Place
    start: Start
    fits: bool


def refine(
    dense: FloatArray,
    cutter: WindowCutter,
    backend: Backend,
    rule: CandidateRule,
    batch: int = 1,
    ctx: JobContext | None = None,
) -> FloatArray:
    """Probability of the second stage, or of both, around each candidate of the first, 0 elsewhere.

    Parameters
    ----------
    dense
        Probability of the first stage on the model grid.
    cutter
        Image on the same grid, with the window size of the second stage.
    backend
        Runs the second network.
    rule
        What counts as a candidate.
    batch
        Windows computed together.
    ctx
        Told before each batch, so that a cancel takes effect within one.

    Returns
    -------
    numpy.ndarray
        float32, shape of ``dense``. In a window only what touches its own candidate counts; where windows of two
        candidates overlap, the larger value. A candidate that is larger than the window keeps the probability of the
        first stage.
    """
    ctx = ctx or JobContext()
    labels = components(dense >= rule.threshold, 26)
    found = list(_candidates(labels, cutter.roi, rule.min_voxels))
    backend = MirroredMean(backend) if rule.flipped else backend
    refined = np.zeros_like(dense)
    for candidate in found:
        if not candidate.fits:
            own = labels[candidate.box] == candidate.number
            np.maximum(refined[candidate.box], np.where(own, dense[candidate.box], 0.0), out=refined[candidate.box])
    small = [candidate for candidate in found if candidate.fits]
    starts = [candidate.start for candidate in small]
    for number, window in window_results(cutter, starts, backend, batch, ctx, STAGE):
        candidate = small[number]
        image, inner = cutter.places(candidate.start)
        values = rule.combined(dense[image], window[inner])
        own = _own_part(values, labels[image] == candidate.number)
        np.maximum(refined[image], own, out=refined[image])
    return refined


def _candidates(labels: npt.NDArray[Any], roi: tuple[int, int, int], min_voxels: int) -> Iterator[_Candidate]:
    import cc3d

    statistics: dict[str, Any] = cc3d.statistics(labels, no_slice_conversion=False)
    for number, box in enumerate(statistics["bounding_boxes"]):
        if number == 0 or statistics["voxel_counts"][number] < min_voxels:
            continue
        z, y, x = (_start(part, size, n) for part, size, n in zip(box, roi, labels.shape, strict=True))
        fits = all(part.stop - part.start <= size for part, size in zip(box, roi, strict=True))
        yield _Candidate(number, tuple(box), (z, y, x), fits)


def _start(part: slice, size: int, n: int) -> int:
    """First voxel of a window that is centred on a part, moved into the image where it fits there."""
    start = (part.start + part.stop - size) // 2
    return min(max(start, 0), n - size) if n >= size else (n - size) // 2


def _own_part(values: FloatArray, candidate: npt.NDArray[np.bool_]) -> FloatArray:
    """What of a window touches the candidate, whole down to `CONNECTED_AT`."""
    parts = components(values >= CONNECTED_AT, 26)
    touching = np.zeros(int(parts.max()) + 1, dtype=bool)
    touching[np.unique(parts[candidate])] = True
    touching[0] = False
    return np.where(touching[parts], values, np.float32(0.0))
