"""The open study and what is selected in it, with signals for the presenters (no Qt)."""

from __future__ import annotations

from collections.abc import Iterable

from psygnal import Signal

from napari_lesion.core.lesion import Review, Status
from napari_lesion.core.table import LesionTable, Row
from napari_lesion.workflow.study import Study


class Session:
    """One study at a time, the lesion that is selected, and who must hear of a change.

    Every method runs on the main thread. Whoever changes the study calls the method that says so; the
    presenters listen to the signals and never to each other.
    """

    study_changed = Signal(object)
    """Another `Study` is open, or None."""
    labels_changed = Signal(object)
    """Voxels of the label map changed: frozenset of the labels concerned, None for any."""
    lesions_changed = Signal()
    """Lesions came, went, or changed status or review."""
    table_changed = Signal()
    """Measurements are new."""
    rows_changed = Signal()
    """Measurements are new, of a lesion that is being painted just now: only the rows need to follow."""
    detection_changed = Signal()
    """A detection was installed, or its threshold moved."""
    selection_changed = Signal(int, bool)
    """Label that is selected (0 for none), and whether the viewer shall go there."""
    exported = Signal()
    """The study was exported."""

    preparation: str
    """Steps that are done on the image before a model looks at it, with blanks between them; empty for none."""

    def __init__(self) -> None:
        self._study: Study | None = None
        self._selected = 0
        self._baseline: dict[int, Row] = {}
        self.preparation = ""

    @property
    def study(self) -> Study | None:
        """The open study."""
        return self._study

    @property
    def selected(self) -> int:
        """Label of the selected lesion; 0 for none."""
        return self._selected

    def open(self, study: Study | None) -> None:
        """Replace the study; None closes it."""
        self._study = study
        self._selected = 0
        self._baseline = {}
        self._remember()
        self.study_changed.emit(study)
        self.selection_changed.emit(0, False)

    def is_open(self, study: Study) -> bool:
        """Whether this very study is still the open one; a late result asks before it is installed."""
        return study is self._study

    def select(self, label: int, *, reveal: bool = True) -> None:
        """Select a lesion; with ``reveal`` the viewer goes there, even when it was selected before."""
        if self._study is None or (label and label not in self._study.lesions):
            label = 0
        changed = label != self._selected
        self._selected = label
        if changed or reveal:
            self.selection_changed.emit(label, reveal and bool(label))

    def review(self, label: int, decision: Review) -> None:
        """Set the reader's decision on a lesion; the same decision again takes it back."""
        if self._study is None or label not in self._study.lesions:
            return
        taken_back = self._study.lesions[label].review == decision
        self._study.review(label, Review.NONE if taken_back else decision)
        self.lesions_changed.emit()

    def detected(self) -> None:
        """Tell that a detection or another threshold was installed in the study."""
        self._remember()
        self.labels_changed.emit(None)
        self.detection_changed.emit()
        self.lesions_changed.emit()
        self.table_changed.emit()
        self._keep_selection()

    def edited(self, labels: Iterable[int]) -> None:
        """Tell that voxels of these labels changed by hand; their rows are out of date until `measured`."""
        self.labels_changed.emit(frozenset(labels))
        self.lesions_changed.emit()
        self._keep_selection()

    def measured(self) -> None:
        """Tell that new rows stand in the study's table."""
        self._remember()
        self.table_changed.emit()

    def painting(self) -> None:
        """Tell that rows of a lesion were measured under the brush; `measured` follows when the stroke is over."""
        self.rows_changed.emit()

    def exported_now(self) -> None:
        """Tell that the study was exported."""
        self.exported.emit()

    def baseline(self, label: int) -> Row:
        """Row of a lesion as the model drew it; empty when it never was the model's alone."""
        return self._baseline.get(label, {})

    def _remember(self) -> None:
        """Keep the rows of lesions that nobody edited, to show the change against the model's mask."""
        if self._study is None:
            return
        table: LesionTable = self._study.table
        for label, row in table.rows.items():
            lesion = self._study.lesions.get(label)
            if lesion is not None and lesion.status == Status.MODEL:
                self._baseline[label] = row

    def _keep_selection(self) -> None:
        if self._selected and (self._study is None or self._selected not in self._study.lesions):
            self.select(0, reveal=False)
