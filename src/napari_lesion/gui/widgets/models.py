"""Adding a model, and the questions before code in one runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QMenu,
    QPlainTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_lesion.core.errors import LesionError
from napari_lesion.gui.widgets.parts import column, line, say
from napari_lesion.workflow.consent import Consent
from napari_lesion.workflow.models import ModelReport, Trust

WARNING = (
    "It runs with your own rights: it can read, change and send whatever you can. Agree only when you trust its "
    "author. The hash of every file is kept with your answer; when one changes, you are asked again."
)
SIZE = (640, 420)


class ModelsBar(QWidget):
    """A button that adds a model, and a line that tells what goes on. Implements `ModelsView`."""

    path_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = column(self)
        self._state = line("dim", wrap=True)
        layout.addWidget(self._state)
        say(self._state, "")
        self.button = QToolButton()
        self.button.setText("+")
        self.button.setAutoRaise(True)
        self.button.setAccessibleName("Add a model")
        self.button.setToolTip("Add a MONAI bundle: a folder or a zip file")
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.button)
        menu.addAction("Add a model from a folder…").triggered.connect(self._choose_folder)
        menu.addAction("Add a model from a zip file…").triggered.connect(self._choose_file)
        self.button.setMenu(menu)

    def confirm_code(self, consent: Consent) -> bool:
        """Name what would run, and ask whether it may."""
        head = f"{consent.title} holds code that would run on this computer."
        if consent.changed:
            head = f"Files of {consent.title} changed since you agreed that its code may run."
        lines = [*_listed("Changed files", consent.changed), *_listed("What would run", consent.runs)]
        lines += [*_listed("Files with code", consent.files), "Folder:", f"  {consent.path}"]
        return _ask(self, "Code in a model", f"{head} {WARNING}", lines, "Let it run")

    def confirm_install(self, report: ModelReport, *, replaces: bool) -> bool:
        """Tell what a bundle is, and ask whether it shall be installed; only tell for one that is refused."""
        refused = report.assessment.trust is Trust.REFUSED
        words = [f"{report.title}. Class: {report.assessment.trust.words}."]
        if refused:
            words.append("It is not installed.")
        elif report.assessment.trust is Trust.NEEDS_TRUST:
            words.append(f"It holds code that would run on this computer. {WARNING}")
        if replaces and not refused:
            words.append(f"It takes the place of the model {report.name} that is installed.")
        accept = "" if refused else "Add and let it run" if _needs_trust(report) else "Add"
        return _ask(self, "Add a model", " ".join(words), report.sentences, accept)

    def show_state(self, sentence: str) -> None:
        """Tell what goes on."""
        say(self._state, sentence, "dim")

    def show_error(self, error: LesionError) -> None:
        """Show why a model was not added, or does not run."""
        say(self._state, error.message, "error")

    def _choose_folder(self) -> None:
        self._chosen(QFileDialog.getExistingDirectory(self, "Folder of a MONAI bundle"))

    def _choose_file(self) -> None:
        self._chosen(QFileDialog.getOpenFileName(self, "Zip file of a MONAI bundle", filter="Zip files (*.zip)")[0])

    def _chosen(self, path: str) -> None:
        if path:
            self.path_chosen.emit(Path(path))


def _needs_trust(report: ModelReport) -> bool:
    return report.assessment.trust is Trust.NEEDS_TRUST


def _listed(title: str, entries: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"  {entry}" for entry in entries)] if entries else []


class TextDialog(QDialog):
    """Some words, a text to read, and a button that agrees; No is the default.

    Parameters
    ----------
    title, words
        Title of the window, and what is asked.
    lines
        What it is about; it can be selected and scrolled.
    accept
        Words of the button that agrees; without them there is one to close only.
    """

    def __init__(self, title: str, words: str, lines: Sequence[str], accept: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.resize(*SIZE)
        layout = QVBoxLayout(self)
        self.words = QLabel(words)
        self.words.setWordWrap(True)
        self.text = QPlainTextEdit("\n".join(lines))
        self.text.setReadOnly(True)
        self.text.setAccessibleName("What it is about")
        layout.addWidget(self.words)
        layout.addWidget(self.text, 1)
        self.buttons = QDialogButtonBox()
        closing = self.buttons.addButton("No" if accept else "Close", QDialogButtonBox.ButtonRole.RejectRole)
        closing.setDefault(True)
        if accept:
            self.buttons.addButton(accept, QDialogButtonBox.ButtonRole.AcceptRole).setAutoDefault(False)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout.addWidget(self.buttons)


def _ask(parent: QWidget, title: str, words: str, lines: Sequence[str], accept: str) -> bool:
    return bool(TextDialog(title, words, lines, accept, parent.window()).exec())
