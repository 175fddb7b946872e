"""The export panel."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLabel, QWidget

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import Progress
from napari_lesion.gui import actions
from napari_lesion.gui.widgets.forms import ParameterForm
from napari_lesion.gui.widgets.parts import button, column, heading, line, row, say, set_icon
from napari_lesion.gui.widgets.theme import Palette
from napari_lesion.workflow.export import ExportParameters


class ExportPanel(QWidget):
    """Choose format and folder, and see whether the files were found right. Implements `ExportView`."""

    export_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._form = ParameterForm(ExportParameters(), leave_out=("features",))
        self._build()

    def parameters(self) -> ExportParameters:
        """What the user chose in the form."""
        return self._form.values()

    def choose_folder(self, suggestion: Path) -> Path | None:
        """Ask for a folder."""
        path = QFileDialog.getExistingDirectory(self, "Export into this folder", str(suggestion))
        return Path(path) if path else None

    def show_ready(self, ready: bool) -> None:
        """Whether there is something to export."""
        self._export.setEnabled(ready)

    def show_running(self, running: bool) -> None:
        """Show that files are being written."""
        self._export.setEnabled(not running)

    def show_progress(self, progress: Progress) -> None:
        """Show how far the writing is."""
        say(self._state, f"{progress.stage}…", "dim")

    def show_state(self, sentence: str, *, warning: bool) -> None:
        """Show what was exported, or that something is not yet."""
        say(self._state, sentence, "caution" if warning else "dim")
        say(self._error, "")

    def show_error(self, error: LesionError) -> None:
        """Show why nothing was exported."""
        say(self._state, "")
        say(self._error, error.message)

    @property
    def said(self) -> str:
        """The message that stands in the panel."""
        return str(self._error.text() or self._state.text())

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        set_icon(self._export, "export", palette.text)

    def _build(self) -> None:
        layout = column(self)
        self._export = button(actions.EXPORT)
        self._export.setEnabled(False)
        self._export.clicked.connect(self.export_clicked)
        widgets = self._form.widgets
        widgets["pseudonymise"].text = "Pseudonymise"
        widgets["save_probability"].text = "Probability"
        layout.addLayout(row(heading("Export"), 1, self._export))
        layout.addLayout(row(QLabel("Mask"), *(widget.native for widget in widgets.values()), 1))
        self._state = line("dim")
        self._error = line("error", wrap=True)
        for words in (self._state, self._error):
            layout.addWidget(words)
            say(words, "")
