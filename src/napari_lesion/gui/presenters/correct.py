"""The correct panel: brush and eraser, whole lesions, undo and redo, and the change against the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from napari_lesion.core.display import Box
from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.table import LesionTable
from napari_lesion.gui.actions import Action
from napari_lesion.gui.brush import Brush
from napari_lesion.gui.presenters.changes import change_words
from napari_lesion.gui.presenters.jobs import JobListener, JobRunner
from napari_lesion.gui.session import Session
from napari_lesion.workflow.edit import Editor, EditResult, SplitRequest, split_lesion
from napari_lesion.workflow.measure import (
    StudyMeasurement,
    StudyMeasureRequest,
    install_measurement,
    measure_study,
    request_for,
)
from napari_lesion.workflow.study import Study

MEASURE_EVERY_MS = 100
PAINT_MODE, ERASE_MODE, LOOK_MODE = "paint", "erase", "pan_zoom"

PAINT = Action("paint", "Paint", "Shift+B", "Paint the selected lesion, or a new one; again to stop")
ERASE = Action("erase", "Erase", "Shift+R", "Erase voxels of any lesion; again to stop")
NEW = Action("new", "New", "Shift+N", "Paint a new lesion; its first stroke makes it")
SPLIT = Action("split", "Split", "Shift+S", "Split the selected lesion: into its parts, or in two at its neck")
MERGE = Action("merge", "Merge", "Shift+M", "Merge the selected lesion with the one that is clicked next")
DELETE = Action("delete", "Delete", "Shift+Delete", "Delete the selected lesion")
UNDO = Action("undo", "Undo", "Ctrl+Z", "Take back the last stroke, axis or other change")
REDO = Action("redo", "Redo", "Ctrl+Shift+Z", "Do again what was taken back")

CORRECT_ACTIONS = (PAINT, ERASE, NEW, SPLIT, MERGE, DELETE, UNDO, REDO)


class CorrectView(Protocol):
    """The correct panel as the presenter knows it."""

    def show_ready(self, ready: bool) -> None:
        """Whether there is something to correct, and nothing else works on it."""

    def show_mode(self, mode: str) -> None:
        """Show which tool is taken up: ``paint``, ``erase`` or another mode of the viewer."""

    def show_brush(self, brush: Brush) -> None:
        """Show the brush as it really is."""

    def show_history(self, undo: str, redo: str) -> None:
        """Show what can be undone and redone ("stroke"); empty for nothing."""

    def show_selected(self, label: int) -> None:
        """Show whether a lesion is selected; 0 for none."""

    def show_change(self, sentence: str, detail: str = "") -> None:
        """Show how the selected lesion stands to the model's mask, or what to do next; the detail on demand."""

    def show_error(self, error: LesionError) -> None:
        """Show why something was not done."""


class Canvas(Protocol):
    """The lesion layer as the presenter knows it; `gui.painting.LayerPainter` is the real one."""

    stroking: bool

    @property
    def label(self) -> int:
        """Label that the brush paints."""
        ...

    @property
    def mode(self) -> str:
        """Mode of the layer."""
        ...

    def set_mode(self, mode: str) -> None:
        """Take up a tool."""

    def set_label(self, label: int) -> None:
        """Let the brush paint this label."""

    def set_brush(self, diameter_mm: float, ball: bool = False) -> None:
        """Set the wanted diameter, mm, and whether neighbouring slices are painted, too."""

    def refresh(self) -> None:
        """Draw the labels again."""


class CorrectPresenter:
    """Turns strokes and buttons into edits, and keeps the touched rows measured.

    Parameters
    ----------
    session
        The open study.
    canvas
        The lesion layer.
    runner
        Runs measurements of touched rows; its own, so that an edit never waits for anything else.
    view
        The panel.
    later
        Calls a function after so many milliseconds, on the main thread.
    """

    def __init__(
        self,
        session: Session,
        canvas: Canvas,
        runner: JobRunner,
        view: CorrectView,
        later: Callable[[int, Callable[[], None]], None],
    ) -> None:
        self._session = session
        self._canvas = canvas
        self._runner = runner
        self._view = view
        self._later = later
        self._editor: Editor | None = None
        self._stale: set[int] = set()
        self._measuring: set[int] = set()
        self._waiting = False
        self._locked = False
        self._merging = 0
        session.study_changed.connect(self._on_study)
        session.detection_changed.connect(self._on_detection)
        session.selection_changed.connect(self._on_selection)

    @property
    def editor(self) -> Editor | None:
        """Editor of the open study."""
        return self._editor

    def start(self) -> None:
        """Fill the panel."""
        self._on_study(self._session.study)
        self._view.show_selected(self._session.selected)

    def set_editable(self, editable: bool) -> None:
        """Refuse edits while a job works on the labels."""
        self._locked = not editable
        self._view.show_ready(self._editor is not None and editable)

    def trigger(self, name: str) -> None:
        """Do the action of this id."""
        actions: dict[str, Callable[[], None]] = {
            PAINT.id: self.paint,
            ERASE.id: self.erase,
            NEW.id: self.new,
            SPLIT.id: self.split,
            MERGE.id: self.merge,
            DELETE.id: self.delete,
            UNDO.id: self.undo,
            REDO.id: self.redo,
        }
        actions[name]()
        self._view.show_mode(self._canvas.mode)

    # -- tools -------------------------------------------------------------------------------------------------------

    def set_brush(self, diameter_mm: float, ball: bool = False) -> None:
        """Set the wanted diameter of the brush, mm; a ball paints neighbouring slices, too."""
        self._canvas.set_brush(diameter_mm, ball)

    def paint(self) -> None:
        """Take up the brush for the selected lesion, or for a new one; put it down when it is taken up."""
        if self._canvas.mode == PAINT_MODE:
            self._canvas.set_mode(LOOK_MODE)
        elif self._session.selected:
            self._take(PAINT_MODE, self._session.selected)
        else:
            self.new()

    def erase(self) -> None:
        """Take up the eraser; put it down when it is taken up."""
        if self._canvas.mode == ERASE_MODE:
            self._canvas.set_mode(LOOK_MODE)
        else:
            self._take(ERASE_MODE, 0)

    def new(self) -> None:
        """Take up the brush for a new lesion."""
        self._do(self._new)

    def _new(self, editor: Editor) -> None:
        label = editor.new_label()
        self._session.select(0, reveal=False)
        self._take(PAINT_MODE, label)
        self._view.show_change(f"The next stroke makes lesion {label}")

    def _take(self, mode: str, label: int) -> None:
        if self._editor is None or self._locked:
            return
        if label:
            self._canvas.set_label(label)
        self._canvas.set_mode(mode)

    # -- whole lesions -----------------------------------------------------------------------------------------------

    def split(self) -> None:
        """Split the selected lesion, in a job: a large one takes longer than a blink."""
        self._do(self._split)

    def delete(self) -> None:
        """Delete the selected lesion."""
        self.act(lambda editor: editor.delete([self._session.selected]))

    def merge(self, labels: Sequence[int] = ()) -> None:
        """Merge these lesions; fewer than two for the selected one and the one that is selected next."""
        if len(labels) > 1:
            self.act(lambda editor: editor.merge(labels))
        elif self._merging or not self._session.selected:
            self._merging = 0
            self._show_change()
        elif self._editor is not None and not self._locked:
            self._merging = self._session.selected
            self._canvas.set_mode(LOOK_MODE)
            self._view.show_change(f"Click the lesion to merge with lesion {self._merging}, or Merge again to stop")

    def undo(self) -> None:
        """Take back the last change."""
        self.act(lambda editor: editor.undo())

    def redo(self) -> None:
        """Do again what was taken back."""
        self.act(lambda editor: editor.redo())

    # -- what the layer says -----------------------------------------------------------------------------------------

    def on_stroke_going(self, box: Box, label: int) -> None:
        """A stroke swept a native box: measure what it may have touched, while it goes on."""
        if self._editor is not None:
            self._mark_stale(self._editor.touching(box, label))

    def on_stroke_ended(self) -> None:
        """The brush was lifted."""
        if self._editor is not None:
            self._editor.settle()
            self._measure()

    def on_painted(self, box: Box, before: Any) -> None:
        """Voxels of a native box were painted; ``before`` holds their labels before."""
        if self._editor is not None:
            self._took_effect(self._editor.record(box, before))

    def on_replaced(self, array: Any) -> None:
        """Somebody put another label array into the layer."""
        self.act(lambda editor: editor.adopt(array))

    def on_mode(self, mode: str) -> None:
        """Another tool was taken up, in the panel or in napari."""
        self._view.show_mode(mode)

    def on_brush(self, brush: Brush) -> None:
        """The brush is another one."""
        self._view.show_brush(brush)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _do(self, what: Callable[[Editor], None]) -> None:
        if self._editor is None or self._locked or self._canvas.stroking:
            return
        self._merging = 0
        try:
            what(self._editor)
        except LesionError as error:
            self._view.show_error(error)

    def _split(self, editor: Editor) -> None:
        request = editor.plan_split(self._session.selected)
        self._runner.abandon()
        self._stale |= self._measuring
        self._measuring = set()
        listener = JobListener(partial(self._parted, editor, request), self._job_failed, cancelled=self._measure)
        self._runner.start("Split", partial(split_lesion, request), listener)

    def _parted(self, editor: Editor, request: SplitRequest, parts: Any) -> None:
        if editor is self._editor:
            self.act(lambda editor: editor.install_split(request, parts))
        self._measure()

    def act(self, action: Callable[[Editor], EditResult | None]) -> None:
        """Do something to whole lesions, and draw and measure what it touched."""

        def act(editor: Editor) -> None:
            result = action(editor)
            if result is not None:
                self._canvas.refresh()
            self._took_effect(result)

        self._do(act)

    def _took_effect(self, result: EditResult | None) -> None:
        if result is None:
            return
        self._mark_stale(result.touched)
        self._session.edited(result.labels)
        if result.created and result.action in ("new", "stroke"):
            self._session.select(result.created[0], reveal=False)
        self._show_history()
        self._show_change()
        self._measure()

    def _mark_stale(self, labels: Sequence[int] | frozenset[int]) -> None:
        self._stale.update(labels)
        self._measure()

    def _measure(self) -> None:
        """Measure what was touched, at most every 100 ms, one job at a time."""
        editor = self._editor
        if editor is None or not self._stale or self._waiting or self._runner.busy:
            return
        present = editor.boxes.boxes(sorted(self._stale))
        self._measuring, self._stale = set(present), set()
        if not present:
            return
        request = request_for(editor.study, frozenset(present), present)
        listener = JobListener(partial(self._measured, editor), self._job_failed, cancelled=self._measure)
        self._waiting = True
        self._later(MEASURE_EVERY_MS, self._waited)
        self._runner.start("Measurement", partial(_measure, request), listener)

    def _waited(self) -> None:
        self._waiting = False
        self._measure()

    def _measured(self, editor: Editor, measurement: StudyMeasurement) -> None:
        if editor is not self._editor:
            return
        self._measuring = set()
        if self._canvas.stroking:
            install_measurement(editor.study, measurement)
            self._session.painting()
        elif not self._stale.issuperset(measurement.table.rows):
            install_measurement(editor.study, _without(measurement, self._stale))
            self._session.measured()
        self._show_change()
        self._measure()

    def _job_failed(self, error: LesionError) -> None:
        self._view.show_error(error)
        self._measure()

    def _on_study(self, study: Study | None) -> None:
        self._runner.abandon()
        self._editor = None if study is None else Editor(study)
        self._stale, self._measuring = set(), set()
        self._merging = 0
        self._view.show_ready(study is not None and not self._locked)
        self._show_history()
        self._show_change()

    def _on_detection(self) -> None:
        self._runner.abandon()
        self._stale, self._measuring = set(), set()
        self._merging = 0
        if self._editor is not None:
            self._editor.reset()
        self._show_history()
        self._show_change()

    def _on_selection(self, label: int, _reveal: bool) -> None:
        first, self._merging = self._merging, 0
        self._view.show_selected(label)
        if first and label and label != first:
            self.act(lambda editor: editor.merge([first, label]))
            self._session.select(min(first, label), reveal=False)
        self._show_change()

    def _show_history(self) -> None:
        editor = self._editor
        self._view.show_history(editor.next_undo if editor else "", editor.next_redo if editor else "")

    def _show_change(self) -> None:
        self._view.show_change(*change_words(self._editor, self._session.selected))


def _without(measurement: StudyMeasurement, stale: set[int]) -> StudyMeasurement:
    """The measurement without rows that are out of date already."""
    if not stale or measurement.asked is None:
        return measurement
    rows = {label: row for label, row in measurement.table.rows.items() if label not in stale}
    return replace(measurement, table=LesionTable(measurement.table.columns, rows), asked=measurement.asked - stale)


def _measure(request: StudyMeasureRequest, ctx: JobContext) -> StudyMeasurement:
    """Measure touched rows as a job."""
    return measure_study(request, ctx)
