"""Keep the lesions of a study in line with its voxels while they are edited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box, shifted
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.probability import SCALE
from napari_lesion.workflow.edit_boxes import BoxIndex, IntArray, box_of
from napari_lesion.workflow.edit_status import ModelComparison, ModelOverlap
from napari_lesion.workflow.naming import with_free_name
from napari_lesion.workflow.study import Study, now_utc, with_identity


@dataclass(frozen=True)
class Voxels:
    """Voxels that were written.

    Parameters
    ----------
    box, mask
        Native box, and which of its voxels.
    was, now
        Their labels before and after, in the order of ``array[box][mask]``.
    """

    box: Box
    mask: npt.NDArray[np.bool_]
    was: IntArray
    now: IntArray


@dataclass(frozen=True)
class Turnover:
    """Labels that were concerned by written voxels: present ones, and those that came and went with them."""

    present: tuple[int, ...]
    created: tuple[int, ...]
    removed: tuple[int, ...]


class StudyFollower:
    """Boxes, counts against the model, and lesions of a study, following its voxels.

    Parameters
    ----------
    study
        Its labels are looked at as a whole once, here.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self.boxes = BoxIndex(study.labels.array)
        self._overlap = ModelOverlap(study.labels, study.model_labels, self.boxes)
        self._known = set(study.lesions)
        self._gone: dict[int, Lesion] = {}
        self._painting = False

    @property
    def model_boxes(self) -> BoxIndex:
        """Boxes of the model's labels."""
        return self._overlap.model_boxes

    def compare(self, label: int) -> ModelComparison:
        """The mask of one lesion against that of the model."""
        return self._overlap.counted(label) if self._painting else self._overlap.of(label)

    def touching(self, box: Box, label: int) -> frozenset[int]:
        """Lesions that a stroke which is not finished yet may have changed in a native box; ``label`` is painted.

        A label without a lesion gets a provisional one, so that it can be measured; `settle` takes it back unless
        voxels of it were followed by then.
        """
        self._painting = True
        if label and (self._study.labels.array[box] == label).any():
            self.boxes.gained(label, box)
            self._study.lesions.setdefault(label, Lesion(label, Status.MANUAL))
        near = frozenset(self.boxes.near(box))
        for other in near:
            self.boxes.lost(other)
        return near

    def settle(self) -> None:
        """The stroke is over; drop provisional lesions that came to nothing."""
        self._painting = False
        for label in set(self._study.lesions) - self._known:
            if self.boxes.box(label) is None:
                del self._study.lesions[label]

    def follow(self, written: Iterable[Voxels], *, again: bool) -> Turnover:
        """Bring boxes, counts, lesions and the table's identity columns up to date.

        Parameters
        ----------
        written
            What was written, already in the study's labels.
        again
            Whether it was undone or redone: a lesion that comes back is the one that went then, with its decision,
            its name and the caliper of the reader.
        """
        self._painting = False
        concerned: set[int] = set()
        for voxels in written:
            concerned |= self._follow_voxels(voxels)
        present = [label for label in sorted(concerned) if self.boxes.box(label) is not None]
        gone = sorted(concerned.difference(present))
        created = [label for label in present if label not in self._known]
        removed = [label for label in gone if label in self._known]
        self._known.update(created)
        self._known.difference_update(gone)
        self._drop(gone)
        self._describe(present, again=again)
        return Turnover(tuple(present), tuple(created), tuple(removed))

    def _follow_voxels(self, voxels: Voxels) -> set[int]:
        lost = {int(label) for label in np.unique(voxels.was)}
        labels = lost.union(int(label) for label in np.unique(voxels.now)) - {0}
        model = self._study.model_labels.array[voxels.box][voxels.mask]
        self._overlap.follow(labels, voxels.was, voxels.now, model)
        gained = np.zeros(voxels.mask.shape, dtype=voxels.now.dtype)
        gained[voxels.mask] = voxels.now
        for label in labels:
            inner = box_of(gained == label)
            if inner is not None:
                self.boxes.gained(label, shifted(inner, voxels.box))
            if label in lost:
                self.boxes.lost(label)
        return labels

    def _drop(self, labels: Iterable[int]) -> None:
        for label in labels:
            lesion = self._study.lesions.pop(label, None)
            if lesion is not None:
                self._gone[label] = lesion

    def _describe(self, labels: Iterable[int], *, again: bool) -> None:
        study = self._study
        described: dict[int, Lesion] = {}
        for label in labels:
            former = study.lesions.get(label) or (self._gone.get(label) if again else None)
            described[label] = with_free_name(self._lesion(label, former or Lesion(label)), study.lesions)
        study.lesions.update(described)
        rows = {label: row for label, row in study.table.rows.items() if label in study.lesions}
        study.table = with_identity(replace(study.table, rows=rows), described, study.volume.source)

    def _lesion(self, label: int, former: Lesion) -> Lesion:
        """The lesion with its present status, probability and time of edit; all else stays as it was."""
        status = self.compare(label).status
        probability = former.probability
        if status == Status.MANUAL:
            probability = float("nan")
        elif self._study.detection is not None:
            probability = self._probability(label)
        edited = "" if status == Status.MODEL else now_utc()
        return replace(former, status=status, probability=probability, edited_at=edited)

    def _probability(self, label: int) -> float:
        """Largest probability of the model inside the mask."""
        box = self.boxes.box(label)
        if box is None or self._study.detection is None:
            return float("nan")
        values = self._study.detection.probability.dense(box)[self._study.labels.array[box] == label]
        return float(values.max(initial=0)) / SCALE
