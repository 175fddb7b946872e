"""How a mask stands to that of the model: counts that follow edits, and the status that they give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_lesion.core.lesion import Status
from napari_lesion.core.volume import LabelMap
from napari_lesion.workflow.edit_boxes import BoxIndex, IntArray


@dataclass(frozen=True)
class ModelComparison:
    """The mask of one lesion against that of the model.

    Parameters
    ----------
    voxels
        Voxels of the lesion now.
    model_voxels
        Voxels that the model gave this label.
    common
        Voxels in both.
    over_model
        Voxels of the lesion on any mark of the model.
    voxel_volume_mm3
        Volume of one voxel, mm³.
    """

    voxels: int
    model_voxels: int
    common: int
    over_model: int
    voxel_volume_mm3: float

    @property
    def status(self) -> Status:
        """``model`` when the masks are equal, ``manual`` when no mark of the model lies below, else ``edited``."""
        if self.model_voxels and self.voxels == self.common == self.model_voxels:
            return Status.MODEL
        return Status.EDITED if self.over_model else Status.MANUAL

    @property
    def volume_mm3(self) -> float:
        """Volume of the lesion, mm³ (voxel counting)."""
        return self.voxels * self.voxel_volume_mm3

    @property
    def difference_mm3(self) -> float:
        """Volume minus that of the model's mask, mm³."""
        return (self.voxels - self.model_voxels) * self.voxel_volume_mm3

    @property
    def difference_percent(self) -> float:
        """The difference as percent of the model's mask; NaN when the model gave none."""
        return 100.0 * (self.voxels - self.model_voxels) / self.model_voxels if self.model_voxels else float("nan")

    @property
    def added_mm3(self) -> float:
        """Volume that was added to the model's mask, mm³."""
        return (self.voxels - self.common) * self.voxel_volume_mm3

    @property
    def removed_mm3(self) -> float:
        """Volume that was taken from the model's mask, mm³."""
        return (self.model_voxels - self.common) * self.voxel_volume_mm3

    @property
    def dice(self) -> float:
        """Dice coefficient of the two masks, 0 to 1; NaN when both are empty."""
        both = self.voxels + self.model_voxels
        return 2.0 * self.common / both if both else float("nan")


class ModelOverlap:
    """Keeps the counts of `ModelComparison` for the labels that somebody asked for, along with the edits.

    Parameters
    ----------
    labels, model
        Edited labels and those of the model.
    boxes
        Boxes of the edited labels; kept up to date by the caller, before `follow`.
    """

    def __init__(self, labels: LabelMap, model: LabelMap, boxes: BoxIndex) -> None:
        self._labels = labels.array
        self._model = model.array
        self._boxes = boxes
        self._voxel = labels.grid.voxel_volume_mm3
        self._counts: dict[int, tuple[int, int, int, int]] = {}

    @cached_property
    def model_boxes(self) -> BoxIndex:
        """Boxes of the model's labels."""
        return BoxIndex(self._model)

    def of(self, label: int) -> ModelComparison:
        """Comparison of one label; looks at its voxels the first time only."""
        if label not in self._counts:
            self._counts[label] = self._count(label)
        return ModelComparison(*self._counts[label], self._voxel)

    def counted(self, label: int) -> ModelComparison:
        """Comparison of one label from its voxels as they are, while they change without being followed."""
        return ModelComparison(*self._count(label), self._voxel)

    def follow(self, labels: Iterable[int], before: IntArray, after: IntArray, model: IntArray) -> None:
        """Take note of changed voxels.

        Parameters
        ----------
        labels
            Labels that gained or lost a voxel.
        before, after, model
            Of every changed voxel its label before and after, and that of the model; equal shapes.
        """
        for label in labels:
            if label not in self._counts:
                continue
            voxels, model_voxels, common, over = self._counts[label]
            was, now, own, marked = before == label, after == label, model == label, model > 0
            self._counts[label] = (
                voxels + _gain(was, now),
                model_voxels,
                common + _gain(was & own, now & own),
                over + _gain(was & marked, now & marked),
            )

    def _count(self, label: int) -> tuple[int, int, int, int]:
        box, model_box = self._boxes.box(label), self.model_boxes.box(label)
        model_voxels = 0 if model_box is None else int(np.count_nonzero(self._model[model_box] == label))
        if box is None:
            return 0, model_voxels, 0, 0
        inside = self._labels[box] == label
        below = self._model[box][inside]
        return (
            int(below.size),
            model_voxels,
            int(np.count_nonzero(below == label)),
            int(np.count_nonzero(below)),
        )


def _gain(was: IntArray, now: IntArray) -> int:
    return int(np.count_nonzero(now)) - int(np.count_nonzero(was))
