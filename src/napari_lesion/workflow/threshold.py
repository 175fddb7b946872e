"""From a stored probability to marked lesions, at any threshold, without losing what the reader did.

What the reader decided stays: lesions that were drawn, edited or reviewed keep their voxels and numbers, and a
lesion that was deleted is not marked again. Only untouched marks of the model follow the threshold. A mark that
overlaps one of the former threshold keeps its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.probability import ProbabilityMap, threshold_byte
from napari_lesion.core.volume import LabelMap
from napari_lesion.inference.candidates import find_candidates
from napari_lesion.workflow.study import EditRecord, Index, Study

LabelArray = npt.NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class ReaderState:
    """What the reader has done so far, for a job that must respect it.

    Parameters
    ----------
    labels, model_labels
        Present labels, and those of the model.
    lesions
        Present lesions by label.
    dismissed
        Peaks of deleted lesions, see `Study`.
    next_label
        First number that is free.
    """

    labels: LabelMap
    model_labels: LabelMap
    lesions: Mapping[int, Lesion]
    dismissed: tuple[Index, ...]
    next_label: int

    @classmethod
    def of(cls, study: Study) -> ReaderState:
        """State of a study. The arrays are shared: do not edit while a job that holds it runs."""
        dismissed = (*study.dismissed, *_deleted_peaks(study))
        return cls(study.labels, study.model_labels, dict(study.lesions), dismissed, study.next_label)

    @property
    def kept(self) -> dict[int, Lesion]:
        """Lesions that the reader drew, edited or reviewed."""
        return {
            label: lesion
            for label, lesion in self.lesions.items()
            if lesion.status != Status.MODEL or lesion.review != Review.NONE
        }


@dataclass(frozen=True, eq=False)
class Marks:
    """Lesions at one threshold, ready to be installed in a study in one step.

    Parameters
    ----------
    threshold, min_volume_mm3
        Operating point.
    labels, model_labels
        New labels and new model labels on the native grid.
    lesions
        All lesions, those of the reader first, then by probability.
    gained, lost
        Numbers of marks that came and went against the state before.
    dismissed
        Peaks of deleted lesions.
    """

    threshold: float
    min_volume_mm3: float
    labels: LabelMap
    model_labels: LabelMap
    lesions: dict[int, Lesion]
    gained: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    dismissed: tuple[Index, ...] = ()


def mark_lesions(
    probability: ProbabilityMap, threshold: float, min_volume_mm3: float, reader: ReaderState | None = None
) -> Marks:
    """Mark lesions at a threshold, around what the reader did."""
    candidates, found = find_candidates(probability, threshold, min_volume_mm3)
    if reader is None or not (reader.lesions or reader.dismissed):
        return Marks(threshold, min_volume_mm3, candidates.copy(), candidates, found, gained=tuple(found))
    return _merge(candidates, found, reader, Marks(threshold, min_volume_mm3, candidates, candidates, {}))


def _merge(candidates: LabelMap, found: Mapping[int, Lesion], reader: ReaderState, start: Marks) -> Marks:
    kept = reader.kept
    blocked = _blocked(candidates, reader, kept)
    numbers = _numbers(candidates, [label for label in found if label not in blocked], reader, kept)
    lookup = np.zeros(max(found, default=0) + 1, dtype=candidates.array.dtype)
    for candidate, number in numbers.items():
        lookup[candidate] = number
    marked = lookup[candidates.array]
    model = marked.copy()
    for label in kept:
        was = reader.model_labels.array == label
        model[was] = label
        now = reader.labels.array == label
        marked[now] = label
    lesions = dict(kept)
    lesions.update({number: replace(found[c], label=number) for c, number in numbers.items()})
    return replace(
        start,
        labels=LabelMap(marked, candidates.grid),
        model_labels=LabelMap(model, candidates.grid),
        lesions=lesions,
        gained=tuple(sorted(set(lesions) - set(reader.lesions))),
        lost=tuple(sorted(set(reader.lesions) - set(lesions))),
        dismissed=reader.dismissed,
    )


def _blocked(candidates: LabelMap, reader: ReaderState, kept: Mapping[int, Lesion]) -> set[int]:
    """Candidates that overlap a lesion of the reader, or hold the peak of one that was deleted."""
    blocked = {int(candidates.array[peak]) for peak in reader.dismissed}
    inside = candidates.array > 0
    present = reader.labels.array[inside]
    original = reader.model_labels.array[inside]
    touched = np.isin(present, list(kept)) | np.isin(original, list(kept))
    blocked.update(int(label) for label in np.unique(candidates.array[inside][touched]))
    return blocked - {0}


def _numbers(
    candidates: LabelMap, free: list[int], reader: ReaderState, kept: Mapping[int, Lesion]
) -> dict[int, int]:
    """Number of each free candidate: that of the former mark it shares most voxels with, else a new one."""
    inside = candidates.array > 0
    pairs, counts = np.unique(
        np.stack([candidates.array[inside], reader.labels.array[inside]]), axis=1, return_counts=True
    )
    taken = set(kept)
    numbers: dict[int, int] = {}
    for position in np.argsort(-counts, kind="stable"):
        candidate, former = int(pairs[0, position]), int(pairs[1, position])
        if former and former not in taken and candidate in free and candidate not in numbers:
            numbers[candidate] = former
            taken.add(former)
    following = reader.next_label
    for candidate in free:
        if candidate not in numbers:
            numbers[candidate] = following
            following += 1
    return {candidate: numbers[candidate] for candidate in free}


def _deleted_peaks(study: Study) -> list[Index]:
    """Peak voxel of every mark of the model whose number is gone from the study."""
    if study.detection is None:
        return []
    from scipy.ndimage import find_objects

    peaks: list[Index] = []
    for number, box in enumerate(find_objects(study.model_labels.array), start=1):
        if box is None or number in study.lesions:
            continue
        inside = study.model_labels.array[box] == number
        values = np.where(inside, study.detection.probability.dense(box), 0)
        local = np.unravel_index(int(values.argmax()), values.shape)
        z, y, x = (int(i) + part.start for i, part in zip(local, box, strict=True))
        peaks.append((z, y, x))
    return peaks


def install_marks(study: Study, marks: Marks) -> None:
    """Put marks into a study, in place, in one step; the rows of lost lesions leave the table."""
    study.labels.array[...] = marks.labels.array
    study.model_labels.array[...] = marks.model_labels.array
    study.lesions = dict(marks.lesions)
    study.threshold, study.min_volume_mm3 = marks.threshold, marks.min_volume_mm3
    study.dismissed = marks.dismissed
    study.table = study.table.ordered(study.lesions)
    study.log.append(EditRecord("threshold", (*marks.gained, *marks.lost)))
    study.touched()


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
    return max((int(block.max()) for block in probability.blocks.values()), default=0) / threshold_byte(1.0)
