"""The panel that adapts the model to corrected studies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLabel, QLineEdit, QProgressBar, QPushButton, QWidget
from superqt import QCollapsible

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import Progress
from napari_lesion.gui.widgets.forms import ParameterForm
from napari_lesion.gui.widgets.parts import column, line, row, say
from napari_lesion.workflow.parameters import AdaptParameters

TITLE = "Adapt the model to my corrections"
HINT = (
    "Learns from corrected studies of at least two patients; one of four is kept back, and a model that does worse "
    "there is not kept."
)


class AdaptPanel(QWidget):
    """Choose corrected studies, adapt the model, see before and after. Implements `AdaptView`."""

    adapt_clicked = Signal()
    cancel_clicked = Signal()
    add_clicked = Signal()
    clear_clicked = Signal()
    unfolded = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._form = ParameterForm(AdaptParameters())
        self._ready = False
        self._build()

    # -- AdaptView -------------------------------------------------------------------------------------------------

    def parameters(self) -> AdaptParameters:
        """What the user chose in the form."""
        return self._form.values()

    def name(self) -> str:
        """Name that the user gave the new model."""
        return str(self._name.text())

    def suggest_name(self, name: str) -> None:
        """Show a name, unless the user typed one."""
        if not self._name.isModified():
            self._name.setText(name)

    def choose_export(self) -> Path | None:
        """Ask for the folder of an export."""
        path = QFileDialog.getExistingDirectory(self, "Folder of an export (run.json, mask)")
        return Path(path) if path else None

    def show_studies(self, studies: Sequence[str]) -> None:
        """Show what would be learned from."""
        words = "No corrected study yet" if not studies else f"{len(studies)} chosen: {', '.join(studies)}"
        say(self._studies, words)
        self._clear.setEnabled(bool(studies))

    def show_ready(self, ready: bool) -> None:
        """Whether there is something to learn from."""
        self._ready = ready
        self._adapt.setEnabled(ready)

    def show_running(self, running: bool) -> None:
        """Show that it runs, or no longer does."""
        self._adapt.setEnabled(self._ready and not running)
        self._bar.setVisible(running)
        self._cancel.setVisible(running)
        if running:
            say(self._error, "")
            say(self._result, "Starting", "dim")

    def show_progress(self, progress: Progress) -> None:
        """Show how far it is."""
        self._bar.setRange(0, progress.total)
        self._bar.setValue(progress.done)
        count = f" {progress.done} of {progress.total}" if progress.total > 1 else ""
        left = progress.remaining_s
        say(self._result, f"{progress.stage}{count}" + (f", {left:.0f} s left" if left else ""), "dim")

    def show_result(self, sentence: str, *, kept: bool) -> None:
        """Show figures before and after, and whether the new model was kept."""
        say(self._result, sentence, "" if kept else "caution")

    def show_error(self, error: LesionError) -> None:
        """Show why it did not run."""
        say(self._result, "")
        say(self._error, error.message)

    # -- the rest --------------------------------------------------------------------------------------------------

    @property
    def said(self) -> str:
        """The message that stands in the panel."""
        return str(self._error.text() or self._result.text())

    def unfold(self) -> None:
        """Show the panel."""
        self._folded.expand()

    def _build(self) -> None:
        layout = column(self)
        self._folded = QCollapsible(TITLE)
        self._folded.setDuration(0)
        self._folded.layout().setContentsMargins(0, 0, 0, 0)
        inside = QWidget()
        inner = column(inside)
        hint = line("dim", wrap=True)
        say(hint, HINT)
        inner.addWidget(hint)
        self._studies = line("", wrap=True)
        self._add = _button("Add an export…", "Take in the folder of an export: run.json and mask", self.add_clicked)
        self._clear = _button("Clear", "Take all exports out again", self.clear_clicked)
        inner.addWidget(self._studies)
        inner.addLayout(row(self._add, self._clear, 1))
        self._name = QLineEdit()
        self._name.setAccessibleName("Name of the new model")
        self._adapt = _button("Adapt", "Train on these studies and compare before and after", self.adapt_clicked)
        self._adapt.setEnabled(False)
        inner.addLayout(row(QLabel("New model"), self._name, self._adapt))
        inner.addWidget(self._form.native)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setMaximumHeight(10)
        self._bar.setAccessibleName("Progress of the adaptation")
        self._cancel = _button("Cancel", "Stop; started again, it continues", self.cancel_clicked)
        inner.addLayout(row(self._bar, self._cancel))
        self._result = line("", wrap=True)
        self._error = line("error", wrap=True)
        for words in (self._result, self._error):
            inner.addWidget(words)
            say(words, "")
        self._folded.addWidget(inside)
        self._folded.toggled.connect(self._on_toggled)
        layout.addWidget(self._folded)
        self._bar.setVisible(False)
        self._cancel.setVisible(False)

    def _on_toggled(self, shown: bool) -> None:
        if shown:
            self.unfolded.emit()


def _button(title: str, tip: str, signal: Signal) -> QPushButton:
    made = QPushButton(title)
    made.setToolTip(tip)
    made.setAccessibleName(title)
    made.clicked.connect(signal.emit)
    return made
