"""The state of one open study: what was read, what the model said, what the reader made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from napari_lesion.core.findings import Check
from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.scores import ClassScores
from napari_lesion.core.table import LesionTable, Row
from napari_lesion.core.volume import LabelMap, Source, Volume
from napari_lesion.measure.provenance import lesion_uid

if TYPE_CHECKING:
    from napari_lesion.workflow.detect import Detection

Index = tuple[int, int, int]


def now_utc() -> str:
    """Time of day for logs, ISO 8601 in UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class EditRecord:
    """One thing that the reader did, as it stands in run.json.

    Parameters
    ----------
    action
        ``stroke``, ``new``, ``delete``, ``split``, ``merge``, ``caliper``, ``rename``, ``undo``, ``redo``,
        ``review``, ``threshold``, ``restore``.
    labels
        Lesions that it touched.
    voxels
        Number of voxels that it changed.
    time
        When it was done, ISO 8601 UTC.
    """

    action: str
    labels: tuple[int, ...] = ()
    voxels: int = 0
    time: str = field(default_factory=now_utc)

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {"time": self.time, "action": self.action, "labels": list(self.labels), "voxels": self.voxels}


@dataclass(eq=False)
class Study:
    """One open study. Changed on one thread only (the main thread in the dock).

    Parameters
    ----------
    volume
        The image; never changes.
    check
        What the input check found.
    labels
        Labels as the reader has them now. The array is edited in place and never replaced: views of it are shown.
    model_labels
        Labels as the model gave them at the present threshold; never edited by hand.
    lesions
        Lesions by label; every label in ``labels`` has one.
    table
        Measurements of the lesions; may lag behind ``labels`` while somebody paints.
    detection
        Last finished detection, with its probability.
    threshold, min_volume_mm3
        Operating point of the present marks.
    dismissed
        Native voxel (z, y, x) of largest probability of every lesion that the reader deleted; a lesion that holds one
        is not marked again when the threshold moves.
    log
        What the reader did.
    scores
        What classifiers made by others say of the image and of its lesions.
    revision
        Grows with every change of labels, reviews or threshold.
    exported_revision
        Revision that was last exported; -1 before the first export.
    """

    volume: Volume
    check: Check
    labels: LabelMap
    model_labels: LabelMap
    lesions: dict[int, Lesion] = field(default_factory=dict)
    table: LesionTable = field(default_factory=LesionTable)
    detection: Detection | None = None
    threshold: float | None = None
    min_volume_mm3: float = 0.0
    dismissed: tuple[Index, ...] = ()
    log: list[EditRecord] = field(default_factory=list)
    scores: tuple[ClassScores, ...] = ()
    revision: int = 0
    exported_revision: int = -1

    @classmethod
    def of(cls, volume: Volume, check: Check) -> Study:
        """A study without lesions."""
        return cls(volume, check, LabelMap.empty(volume.grid), LabelMap.empty(volume.grid))

    @property
    def unsaved(self) -> bool:
        """Whether there are lesions or decisions that no export holds."""
        return bool(self.lesions or self.log) and self.revision != self.exported_revision

    @property
    def next_label(self) -> int:
        """The smallest positive label above all that are or were in use, and that no other lesion has as its name."""
        logged = (label for record in self.log for label in record.labels)
        label = max([0, *self.lesions, *logged]) + 1
        names = {lesion.lesion_id for lesion in self.lesions.values()}
        return next(free for free in count(label) if str(free) not in names)

    def touched(self) -> None:
        """Note that something changed."""
        self.revision += 1

    def review(self, label: int, decision: Review) -> Lesion:
        """Set the reader's decision on a lesion; KeyError when there is no such lesion."""
        decided = now_utc() if decision else ""
        lesion = replace(self.lesions[label], review=decision, reviewed_at=decided)
        self.lesions[label] = lesion
        self.table = with_identity(self.table, {label: lesion}, self.volume.source)
        self.log.append(EditRecord("review", (label,)))
        self.touched()
        return lesion

    @property
    def edited_labels(self) -> list[int]:
        """Labels of lesions that the reader drew or changed."""
        return sorted(label for label, lesion in self.lesions.items() if lesion.status != Status.MODEL)


def with_identity(table: LesionTable, lesions: Mapping[int, Lesion], source: Source) -> LesionTable:
    """The table with what is known of some lesions, but not measured, brought up to date: identity and decisions."""
    rows = dict(table.rows)
    for label, lesion in lesions.items():
        if label in rows:
            identity: Row = {
                "status": str(lesion.status),
                "probability": lesion.probability,
                "review": str(lesion.review),
                "lesion_id": lesion.tracking_id,
                "lesion_uid": lesion_uid(source, lesion),
                "edited_at": lesion.edited_at,
                "reviewed_at": lesion.reviewed_at,
            }
            rows[label] = {**rows[label], **identity}
    return LesionTable(table.columns, rows)
