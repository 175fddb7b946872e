"""From a stored probability to marked lesions, at any threshold, without losing what the reader did.

What the reader decided stays: lesions that were drawn, edited, reviewed or measured by hand keep their voxels and
numbers, and a lesion that was deleted is not marked again. Only untouched marks of the model follow the threshold. A
mark that overlaps one of the former threshold keeps its number. All work is done in the box where a probability is
stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box, shifted, union
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.probability import SCALE, ProbabilityMap
from napari_lesion.core.volume import LabelMap
from napari_lesion.inference.augment import with_agreement
from napari_lesion.inference.candidates import find_candidates
from napari_lesion.workflow.study import EditRecord, Index, Study

LabelArray = npt.NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class ReaderState:
    """What the reader has done so far, for a job that must respect it.

    Parameters
    ----------
    labels, model_labels
        Present labels, and those of the model. The arrays are shared with the study, not copied.
    lesions
        Present lesions by label.
    dismissed
        Peaks of deleted lesions, see `Study`.
    next_label
        First number that is free.
    box
        Native box outside of which the model has no marks now; None for no marks at all.
    """

    labels: LabelMap
    model_labels: LabelMap
    lesions: Mapping[int, Lesion]
    dismissed: tuple[Index, ...]
    next_label: int
    box: Box | None = None

    @classmethod
    def of(cls, study: Study) -> ReaderState:
        """State of a study."""
        return cls(
            labels=study.labels,
            model_labels=study.model_labels,
            lesions=dict(study.lesions),
            dismissed=(*study.dismissed, *_deleted_peaks(study)),
            next_label=study.next_label,
            box=_marked_box(study),
        )

    @property
    def kept(self) -> dict[int, Lesion]:
        """Lesions that the reader drew, edited, reviewed, named, measured or gave a threshold of their own."""
        return {
            label: lesion
            for label, lesion in self.lesions.items()
            if lesion.status != Status.MODEL
            or lesion.review != Review.NONE
            or lesion.caliper is not None
            or lesion.lesion_id
            or not math.isnan(lesion.threshold)
        }


@dataclass(frozen=True, eq=False)
class Marks:
    """Lesions at one threshold, ready to be installed in a study in one step.

    Parameters
    ----------
    threshold, min_volume_mm3
        Operating point; no threshold where the marks follow from the classes of a model.
    box
        Native box that the arrays fill; nothing changes outside of it. None when there is nothing to change.
    labels, model_labels
        New labels and new model labels inside the box.
    lesions
        All lesions, those of the reader first, then by probability.
    gained, lost
        Numbers of marks that came and went against the state before.
    dismissed
        Peaks of deleted lesions.
    moved
        Marks that were given a threshold of their own.
    """

    threshold: float | None
    min_volume_mm3: float
    box: Box | None
    labels: LabelArray
    model_labels: LabelArray
    lesions: dict[int, Lesion]
    gained: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    dismissed: tuple[Index, ...] = ()
    moved: tuple[int, ...] = ()

    def on(self, grid: Grid, reader: ReaderState | None = None) -> LabelMap:
        """A label map of its own on the whole grid: the reader's labels with the box put in."""
        whole = reader.labels.copy() if reader else LabelMap.empty(grid)
        if self.box is not None:
            _write_changed(whole.array[self.box], self.labels)
        return whole


def mark_lesions(
    probability: ProbabilityMap, threshold: float, min_volume_mm3: float, reader: ReaderState | None = None
) -> Marks:
    """Mark lesions at a threshold, around what the reader did."""
    candidates, found = find_candidates(probability, threshold, min_volume_mm3)
    found = with_agreement(found, candidates, probability, threshold)
    return _around(candidates, found, probability.bounds(), (threshold, min_volume_mm3), reader)


def mark_classes(labels: LabelMap, lesions: Mapping[int, Lesion], reader: ReaderState | None = None) -> Marks:
    """Marks that follow from the classes of a model and not from a threshold, around what the reader did.

    Parameters
    ----------
    labels
        Label map on the native grid.
    lesions
        One lesion a label.
    reader
        What the reader did before, to be kept.
    """
    z, y, x = (slice(0, n) for n in labels.array.shape)
    return _around(labels, dict(lesions), (z, y, x), (None, 0.0), reader)


def _around(
    candidates: LabelMap,
    found: dict[int, Lesion],
    bounds: Box | None,
    point: tuple[float | None, float],
    reader: ReaderState | None,
) -> Marks:
    """Candidates as marks, around what the reader did."""
    threshold, min_volume_mm3 = point
    box = _around_both(bounds, reader.box if reader else None)
    if box is None:
        nothing = np.zeros((0, 0, 0), dtype=np.uint16)
        return Marks(threshold, min_volume_mm3, None, nothing, nothing, dict(reader.lesions) if reader else {})
    start = Marks(
        threshold,
        min_volume_mm3,
        box,
        labels=candidates.array[box],
        model_labels=candidates.array[box],
        lesions=found,
        gained=tuple(found),
    )
    return _merge(start, reader, box) if reader else start


def _merge(found: Marks, reader: ReaderState, box: Box) -> Marks:
    kept = reader.kept
    now, was = reader.labels.array[box], reader.model_labels.array[box]
    blocked = _blocked(found.labels, now, was, list(kept))
    blocked |= {int(found.labels[local]) for local in _inside(reader.dismissed, box)}
    free = [label for label in found.lesions if label not in blocked]
    numbers = _numbers(found.labels, now, free, reader)
    lookup = np.zeros(max(found.lesions, default=0) + 1, dtype=np.uint16)
    for candidate, number in numbers.items():
        lookup[candidate] = number
    marked = lookup[found.labels]
    model = marked.copy()
    if kept:
        for array, source in ((model, was), (marked, now)):
            mine = np.isin(source, list(kept))
            array[mine] = source[mine]
    lesions = dict(kept)
    lesions.update({number: replace(found.lesions[c], label=number) for c, number in numbers.items()})
    return replace(
        found,
        labels=marked,
        model_labels=model,
        lesions=lesions,
        gained=tuple(sorted(set(lesions) - set(reader.lesions))),
        lost=tuple(sorted(set(reader.lesions) - set(lesions))),
        dismissed=reader.dismissed,
    )


def _blocked(candidates: LabelArray, now: LabelArray, was: LabelArray, kept: list[int]) -> set[int]:
    """Candidates that overlap a lesion of the reader, as it is or as the model had it."""
    inside = candidates > 0
    touched = np.isin(now[inside], kept) | np.isin(was[inside], kept)
    return {int(label) for label in np.unique(candidates[inside][touched])}


def _inside(points: tuple[Index, ...], box: Box) -> list[Index]:
    """Those points that lie in the box, relative to it."""
    local = [tuple(i - part.start for i, part in zip(point, box, strict=True)) for point in points]
    shape = [part.stop - part.start for part in box]
    return [(z, y, x) for z, y, x in local if all(0 <= i < n for i, n in zip((z, y, x), shape, strict=True))]


def _numbers(candidates: LabelArray, now: LabelArray, free: list[int], reader: ReaderState) -> dict[int, int]:
    """Number of each free candidate: that of the former mark it shares most voxels with, else a new one."""
    inside = (candidates > 0) & (now > 0)
    pairs, counts = np.unique(np.stack([candidates[inside], now[inside]]), axis=1, return_counts=True)
    taken = set(reader.kept)
    numbers: dict[int, int] = {}
    for position in np.argsort(-counts, kind="stable"):
        candidate, former = int(pairs[0, position]), int(pairs[1, position])
        if former not in taken and candidate in free and candidate not in numbers:
            numbers[candidate] = former
            taken.add(former)
    names = {lesion.lesion_id for lesion in reader.lesions.values()}
    following = (number for number in count(reader.next_label) if str(number) not in names)
    for candidate in free:
        if candidate not in numbers:
            numbers[candidate] = next(following)
    return {candidate: numbers[candidate] for candidate in free}


def _marked_box(study: Study) -> Box | None:
    """Native box outside of which there is no mark of the model: the whole image where marks have no threshold."""
    if study.detection is None or study.threshold is not None:
        return study.detection.probability.bounds() if study.detection else None
    z, y, x = (slice(0, n) for n in study.labels.array.shape)
    return z, y, x


def _deleted_peaks(study: Study) -> list[Index]:
    """Peak voxel of every mark of the model whose number is gone from the study."""
    bounds = study.detection.probability.bounds() if study.detection else None
    if study.detection is None or bounds is None:
        return []
    from scipy.ndimage import find_objects

    marks = study.model_labels.array[bounds]
    peaks: list[Index] = []
    for number, local in enumerate(find_objects(marks), start=1):
        if local is None or number in study.lesions:
            continue
        box = shifted(local, bounds)
        values = np.where(marks[local] == number, study.detection.probability.dense(box), 0)
        peak = np.unravel_index(int(values.argmax()), values.shape)
        z, y, x = (int(i) + part.start for i, part in zip(peak, box, strict=True))
        peaks.append((z, y, x))
    return peaks


def _around_both(one: Box | None, other: Box | None) -> Box | None:
    """Smallest box around those that there are."""
    return union(one, other) if one is not None and other is not None else one or other


def install_marks(study: Study, marks: Marks) -> None:
    """Put marks into a study, in place, in one step; the rows of lost lesions leave the table."""
    if marks.box is not None:
        _write_changed(study.labels.array[marks.box], marks.labels)
        _write_changed(study.model_labels.array[marks.box], marks.model_labels)
    study.lesions = dict(marks.lesions)
    study.threshold, study.min_volume_mm3 = marks.threshold, marks.min_volume_mm3
    study.dismissed = marks.dismissed
    study.table = study.table.ordered(study.lesions)
    study.log.append(EditRecord("threshold", (*marks.gained, *marks.lost, *marks.moved)))
    study.touched()


def _write_changed(target: LabelArray, new: LabelArray) -> None:
    """Write only what differs, slice by slice: memory of a large study that holds no lesion is never touched.

    Seven times faster than to assign the whole box of a chest CT, on the thread that draws.
    """
    for here, there in zip(target, new, strict=True):
        changed = here != there
        if changed.any():
            here[changed] = there[changed]


def rethreshold(study: Study, threshold: float, min_volume_mm3: float | None = None) -> Marks:
    """Mark and install at another threshold; the network is not run again. The caller measures afterwards.

    Raises
    ------
    ValueError
        When the study holds no detection.
    """
    if study.detection is None:
        raise ValueError("there is no stored probability to threshold")
    smallest = study.min_volume_mm3 if min_volume_mm3 is None else min_volume_mm3
    marks = mark_lesions(study.detection.probability, threshold, smallest, ReaderState.of(study))
    install_marks(study, marks)
    return marks


def highest_probability(probability: ProbabilityMap) -> float:
    """Largest stored probability, 0 to 1: the threshold at which something would be marked."""
    return max((int(block.max()) for block in probability.blocks.values()), default=0) / SCALE
