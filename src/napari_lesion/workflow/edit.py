"""Correct lesions by hand: strokes, new, deleted, split and merged lesions, in one history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box, union
from napari_lesion.core.errors import LesionError
from napari_lesion.core.lesion import Caliper
from napari_lesion.workflow.caliper import plan_caliper, write_caliper
from napari_lesion.workflow.edit_boxes import BoxIndex, IntArray, box_of
from napari_lesion.workflow.edit_change import Change, EditKind, History, Patch
from napari_lesion.workflow.edit_follow import StudyFollower, Voxels
from napari_lesion.workflow.edit_split import Parts, SplitRequest, split_lesion
from napari_lesion.workflow.edit_status import ModelComparison
from napari_lesion.workflow.study import EditRecord, Study

__all__ = ["EditKind", "EditResult", "Editor", "ModelComparison", "SplitRequest", "split_lesion"]

Index = tuple[int, int, int]

REWRITES = frozenset({"threshold", "restore"})
"""Actions in the log of a study after which its labels are new."""


@dataclass(frozen=True)
class EditResult:
    """What one action did.

    Parameters
    ----------
    action
        ``stroke``, ``new``, ``delete``, ``split``, ``merge``, ``caliper``, ``undo`` or ``redo``.
    box
        Smallest native box (z, y, x) of the voxels that changed; that of the lesion for a caliper.
    voxels
        Number of voxels that changed.
    touched
        Labels that gained or lost a voxel and still have one, or whose caliper changed.
    created, removed
        Labels that had no voxel before, or have none now.
    """

    action: str
    box: Box
    voxels: int
    touched: tuple[int, ...]
    created: tuple[int, ...]
    removed: tuple[int, ...]

    @property
    def labels(self) -> tuple[int, ...]:
        """Every label that something was done to."""
        return tuple(sorted({*self.touched, *self.removed}))


class Editor:
    """Every change by hand goes through here, one `Change` an action, undone and redone in order.

    The labels of the study are edited in place. After each action, undo and redo its lesions, their status and
    probability, its table's identity columns and its log agree with the voxels; its rows of measurements lag behind
    until somebody measures the touched labels again. A detection, another threshold or a restored autosave writes
    all labels anew: the history is empty after it. Used on one thread.

    Parameters
    ----------
    study
        The study to edit.
    history
        Where changes are kept; one of 64 MiB by default.
    """

    def __init__(self, study: Study, history: History | None = None) -> None:
        self.study = study
        self._history = history or History()
        self._follower: StudyFollower | None = None
        self._look_at_log()

    def reset(self) -> None:
        """Forget the history, and look at the study's labels anew at the next action."""
        self._history = History(self._history.limit_bytes, self._history.limit_changes)
        self._follower = None
        self._look_at_log()

    @property
    def next_undo(self) -> str:
        """What `undo` would take back ("stroke"); empty for nothing."""
        self._notice()
        change = self._history.undoable
        return str(change.kind) if change else ""

    @property
    def next_redo(self) -> str:
        """What `redo` would do again; empty for nothing."""
        self._notice()
        change = self._history.redoable
        return str(change.kind) if change else ""

    @property
    def boxes(self) -> BoxIndex:
        """Native box of every label."""
        return self._follow.boxes

    @property
    def model_boxes(self) -> BoxIndex:
        """Native box of every label of the model."""
        return self._follow.model_boxes

    def compare(self, label: int) -> ModelComparison:
        """The mask of one lesion against that of the model."""
        return self._follow.compare(label)

    def touching(self, box: Box, label: int = 0) -> frozenset[int]:
        """Lesions that a stroke of ``label`` (0 erases), not finished yet, may have changed in a native box.

        A new label gets a provisional lesion. Nothing is recorded: `record` follows when the stroke is over, or
        `settle` when it came to nothing.
        """
        return self._follow.touching(box, label)

    def settle(self) -> None:
        """A stroke ended without a change."""
        self._follow.settle()

    def new_label(self) -> int:
        """The number for a new lesion; its first stroke makes the lesion.

        Raises
        ------
        LesionError
            When the label map cannot hold another number.
        """
        label = self.study.next_label
        if label > self._largest:
            raise LesionError(
                "There is no number left for a new lesion",
                f"the label map holds numbers up to {self._largest}",
                "Export this study, then detect or open it again",
            )
        return label

    def paint(self, box: Box, mask: npt.NDArray[np.bool_], label: int) -> EditResult | None:
        """Write a label (0 erases) where the mask of a native box is true; None when nothing changed."""
        before = self._array[box].copy()
        self._array[box][mask] = label
        return self.record(box, before)

    def record(self, box: Box, before: IntArray) -> EditResult | None:
        """Take note of a stroke that was painted into the study's labels.

        Parameters
        ----------
        box
            Native box (z, y, x) around everything that was painted.
        before
            Labels of the box before the stroke.

        Returns
        -------
        EditResult or None
            None when nothing changed.
        """
        patch = Patch.between(box, before, self._array[box])
        if patch is None:
            self.settle()
            return None
        return self._commit(EditKind.STROKE, [patch])

    def delete(self, labels: Iterable[int]) -> EditResult | None:
        """Delete lesions; their numbers are not given again."""
        wanted = self._present(labels)
        return self._commit(EditKind.DELETE, [self._relabel(label, 0) for label in wanted]) if wanted else None

    def merge(self, labels: Iterable[int]) -> EditResult:
        """Make one lesion of several; it keeps the smallest of their numbers.

        Raises
        ------
        LesionError
            When fewer than two lesions are given.
        """
        wanted = self._present(labels)
        if len(wanted) < 2:
            raise LesionError("Nothing was merged", "fewer than two lesions are selected", "Select two or more rows")
        return self._commit(EditKind.MERGE, [self._relabel(label, wanted[0]) for label in wanted[1:]])

    def split(self, label: int, seeds: Sequence[Index] = ()) -> EditResult:
        """Split a lesion into its components, or a single component in two, or by seeds (native voxels).

        The largest part keeps the number, the others get the next free ones; `split_mask` says where it is cut.

        Raises
        ------
        LesionError
            When there is no such lesion, it has a single voxel, or there are not enough numbers left.
        """
        request = self.plan_split(label, seeds)
        return self.install_split(request, split_lesion(request))

    def plan_split(self, label: int, seeds: Sequence[Index] = ()) -> SplitRequest:
        """The first half of `split`: what a job needs to find the parts of a large lesion."""
        box = self.boxes.box(label)
        if box is None:
            raise LesionError("Nothing was split", f"there is no lesion {label}", "Select a row first")
        local = tuple((z - box[0].start, y - box[1].start, x - box[2].start) for z, y, x in seeds)
        return SplitRequest(label, box, self._array[box] == label, self.study.volume.grid.spacing_zyx, local)

    def install_split(self, request: SplitRequest, parts: Parts) -> EditResult:
        """The second half of `split`: give the parts their numbers, unless the lesion was changed meanwhile."""
        label, box, count = request.label, request.box, int(parts.max())
        before = self._array[box].copy()
        if not np.array_equal(before == label, request.mask):
            raise LesionError(f"Lesion {label} was not split", "it was changed meanwhile", "Split it again")
        first = self.new_label()
        if count < 2:
            raise LesionError(f"Lesion {label} was not split", "it has a single voxel")
        if first + count - 2 > self._largest:
            raise LesionError(f"Lesion {label} was not split", f"it has {count} parts, and too few numbers are left")
        after = before.copy()
        after[parts > 1] = parts[parts > 1] + (first - 2)
        self._array[box] = after
        patch = Patch.between(box, before, after)
        assert patch is not None
        return self._commit(EditKind.SPLIT, [patch])

    def set_caliper(self, label: int, caliper: Caliper | None) -> EditResult | None:
        """Set the axes of the reader beside the computed ones; None takes them away. No voxel changes.

        Returns
        -------
        EditResult or None
            None when the lesion has this very caliper.

        Raises
        ------
        LesionError
            When there is no such lesion, or an axis has no length.
        """
        self._notice()
        change = plan_caliper(self.study, label, caliper)
        if change is None:
            return None
        self._history.add(Change(EditKind.CALIPER, caliper=change))
        return self._set_caliper(str(EditKind.CALIPER), label, change.after)

    def adopt(self, array: IntArray) -> EditResult | None:
        """Take over a whole native label array (z, y, x) as one stroke, such as one that a plugin made.

        Raises
        ------
        LesionError
            When its shape is another one, or it holds numbers that the label map cannot hold.
        """
        if array.shape != self._array.shape:
            raise LesionError(
                "The labels were not taken over", f"their shape is {array.shape}, not {self._array.shape}"
            )
        if array.min() < 0 or array.max() > self._largest:
            raise LesionError("The labels were not taken over", f"they hold numbers outside 0 to {self._largest}")
        box = box_of(array != self._array)
        if box is None:
            return None
        before = self._array[box].copy()
        self._array[box] = array[box]
        return self.record(box, before)

    def undo(self) -> EditResult | None:
        """Take back the last change; None when there is none."""
        self._notice()
        change = self._history.back()
        if change is not None and change.caliper is not None:
            return self._set_caliper("undo", change.caliper.label, change.caliper.before)
        return self._rewrite("undo", [(patch, patch.before) for patch in change.patches]) if change else None

    def redo(self) -> EditResult | None:
        """Do again what was taken back last; None when there is nothing."""
        self._notice()
        change = self._history.forward()
        if change is not None and change.caliper is not None:
            return self._set_caliper("redo", change.caliper.label, change.caliper.after)
        return self._rewrite("redo", [(patch, patch.after) for patch in change.patches]) if change else None

    @property
    def _array(self) -> IntArray:
        return self.study.labels.array

    @property
    def _largest(self) -> int:
        return int(np.iinfo(self._array.dtype).max)

    @property
    def _follow(self) -> StudyFollower:
        self._notice()
        if self._follower is None:
            self._follower = StudyFollower(self.study)
        return self._follower

    def _notice(self) -> None:
        """Start anew when the log says that the labels were written by something else since the last action."""
        log, n = self.study.log, self._logged
        same = len(log) >= n and (n == 0 or log[n - 1] is self._last)
        if not same or any(record.action in REWRITES for record in log[n:]):
            self.reset()
        self._look_at_log()

    def _look_at_log(self) -> None:
        log = self.study.log
        self._logged, self._last = len(log), log[-1] if log else None

    def _present(self, labels: Iterable[int]) -> list[int]:
        return list(self.boxes.boxes(sorted({int(label) for label in labels})))

    def _relabel(self, label: int, to: int) -> Patch:
        """Give every voxel of a label that is present another one."""
        box = self.boxes.box(label)
        assert box is not None
        before = self._array[box].copy()
        part = self._array[box]
        part[before == label] = to
        patch = Patch.between(box, before, part)
        assert patch is not None
        return patch

    def _commit(self, kind: EditKind, patches: Sequence[Patch]) -> EditResult:
        """Record patches that are already written."""
        written = [Voxels(patch.box, patch.mask, patch.before, patch.after) for patch in patches]
        result = self._followed(str(kind), written, again=False)
        if kind == EditKind.STROKE and result.created:
            kind, result = EditKind.NEW, replace(result, action=str(EditKind.NEW))
        self._history.add(Change(kind, tuple(patches)))
        return self._noted(result)

    def _rewrite(self, action: str, patches: Sequence[tuple[Patch, IntArray]]) -> EditResult:
        """Write one side of the patches of a change."""
        written = []
        for patch, values in patches:
            mask, part = patch.mask, self._array[patch.box]
            written.append(Voxels(patch.box, mask, part[mask], values))
            part[mask] = values
        return self._noted(self._followed(action, written, again=True))

    def _set_caliper(self, action: str, label: int, caliper: Caliper | None) -> EditResult:
        box = self.boxes.box(label)
        assert box is not None
        write_caliper(self.study, label, caliper)
        return self._noted(EditResult(action, box, 0, (label,), (), ()))

    def _followed(self, action: str, written: Sequence[Voxels], *, again: bool) -> EditResult:
        turnover = self._follow.follow(written, again=again)
        box = written[0].box
        for voxels in written[1:]:
            box = union(box, voxels.box)
        count = sum(voxels.was.size for voxels in written)
        return EditResult(action, box, count, turnover.present, turnover.created, turnover.removed)

    def _noted(self, result: EditResult) -> EditResult:
        self.study.log.append(EditRecord(result.action, result.labels, result.voxels))
        self._look_at_log()
        self.study.touched()
        return result
