"""The study panel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMenu,
    QMessageBox,
    QPushButton,
    QToolButton,
    QWidget,
)

from napari_lesion.core.errors import LesionError
from napari_lesion.core.findings import Check, Level
from napari_lesion.core.jobs import Progress
from napari_lesion.core.volume import Modality
from napari_lesion.gui import actions
from napari_lesion.gui.presenters.study import StudySummary
from napari_lesion.gui.widgets.icons import pixmap
from napari_lesion.gui.widgets.parts import column, heading, line, row, say, set_icon, tool
from napari_lesion.gui.widgets.series_dialog import SeriesDialog
from napari_lesion.gui.widgets.theme import Palette
from napari_lesion.gui.windows import Window
from napari_lesion.workflow.open_study import SeriesInfo

FILE_FILTER = "Images (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm);;All files (*)"
LIGHTS = {Level.GREEN: "good", Level.YELLOW: "caution", Level.RED: "bad"}
WORDS = {Level.GREEN: "Input check passed", Level.YELLOW: "Input check: look at this", Level.RED: "Cannot be used"}
MODALITIES = (Modality.CT, Modality.MR, Modality.PT)


class StudyPanel(QWidget):
    """Open a study, read what it is, choose a window. Implements `StudyView`."""

    path_chosen = Signal(object)
    sample_chosen = Signal(str)
    adopt_clicked = Signal()
    window_chosen = Signal(object)
    modality_stated = Signal(object)
    offer_answered = Signal(bool)
    forget_clicked = Signal()

    def __init__(self, samples: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._palette: Palette | None = None
        self._level = Level.GREEN
        self._samples = list(samples)
        self._build()

    # -- StudyView -----------------------------------------------------------------------------------------------

    def show_empty(self) -> None:
        """Show that no study is open."""
        self._study.setVisible(False)
        self._empty.setVisible(True)
        say(self._status, "")

    def show_study(self, summary: StudySummary, check: Check) -> None:
        """Show the open study and its input check."""
        self._empty.setVisible(False)
        self._study.setVisible(True)
        say(self._status, "")
        say(self._title, summary.title)
        say(self._facts, summary.facts)
        self._facts.setToolTip("\n".join((summary.facts, *summary.notes)))
        self._modality.setText(str(summary.modality) if summary.modality != Modality.UNKNOWN else "Modality?")
        self._modality.setVisible(not summary.modality_stated)
        self._show_check(check, summary.notes)

    def show_windows(self, windows: Sequence[Window], current: Window) -> None:
        """Show window presets, one of them pressed."""
        while (item := self._windows.takeAt(0)) is not None:
            item.widget().deleteLater()
        for window in windows:
            made = QPushButton(window.name)
            made.setCheckable(True)
            made.setChecked(window.name == current.name)
            made.setToolTip(f"{window.words}. {actions.NEXT_WINDOW.tool_tip}")
            made.clicked.connect(partial(self._on_window, window))
            self._group.addButton(made)
            self._windows.addWidget(made)

    def show_recent(self, paths: Sequence[Path]) -> None:
        """Fill the Recent menu."""
        menu = self._recent.menu()
        menu.clear()
        for path in paths:
            entry = menu.addAction(path.name or str(path))
            entry.setToolTip(str(path))
            entry.triggered.connect(partial(self._on_path, path))
        self._recent.setEnabled(bool(paths))

    def show_opening(self, what: str) -> None:
        """Show that a study is being read."""
        say(self._status, f"{what}…", "dim")

    def show_progress(self, progress: Progress) -> None:
        """Show how far the reading is."""
        share = f" {progress.done} of {progress.total}" if progress.total else ""
        say(self._status, f"{progress.stage}{share}…", "dim")

    def show_error(self, error: LesionError) -> None:
        """Show why a study was not opened."""
        say(self._status, error.message, "error")

    def show_reader_offer(self, words: str) -> None:
        """Ask whether this plugin's reader is to be preferred."""
        say(self._offer_words, words, "caution")
        self._offer.setVisible(bool(words))

    def choose_series(self, series: Sequence[SeriesInfo]) -> SeriesInfo | None:
        """Let the user choose one of several series."""
        dialog = SeriesDialog(series, self)
        return dialog.chosen if dialog.exec() else None

    def confirm_resampling(self, error: LesionError) -> bool:
        """Ask whether a volume on a skewed grid may be resampled to a rectangular one."""
        question = f"{error.what}: {error.why}. Resample it to a rectangular grid now? The file stays as it is."
        return bool(QMessageBox.question(self, "Resample this study?", question) == QMessageBox.StandardButton.Yes)

    def confirm_discard(self) -> bool:
        """Ask whether work that was not exported may be left."""
        answer = QMessageBox.question(
            self,
            "Leave this study?",
            "Its lesions were not exported since the last change. They stay in the autosave of this computer.",
            QMessageBox.StandardButton.Discard | QMessageBox.StandardButton.Cancel,
            QMessageBox.StandardButton.Cancel,
        )
        return bool(answer == QMessageBox.StandardButton.Discard)

    # -- what the user does ----------------------------------------------------------------------------------------

    def ask_file_or_folder(self) -> None:
        """Open the menu of the button, as its key does."""
        self._open.showMenu()

    def show_recent_menu(self) -> None:
        """Open the menu of recent studies, as its key does."""
        if self._recent.isEnabled():
            self._recent.showMenu()

    def choose_file(self) -> None:
        """Ask for a file."""
        path, _ = QFileDialog.getOpenFileName(self, "Open study", "", FILE_FILTER)
        if path:
            self._on_path(Path(path))

    def choose_folder(self) -> None:
        """Ask for a DICOM folder."""
        path = QFileDialog.getExistingDirectory(self, "Open DICOM folder")
        if path:
            self._on_path(Path(path))

    @property
    def said(self) -> str:
        """The message that stands in the panel."""
        return str(self._status.text())

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        self._palette = palette
        set_icon(self._open, "open", palette.text)
        set_icon(self._recent, "recent", palette.text)
        set_icon(self._adopt, "layer", palette.text)
        set_icon(self._sample, "sample", "#FFFFFF")
        self._show_light()

    # -- building ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        layout = column(self)
        self._open = self._menu_button(actions.OPEN)
        menu = self._open.menu()
        menu.addAction("Image file…").triggered.connect(self.choose_file)
        menu.addAction("DICOM folder…").triggered.connect(self.choose_folder)
        menu.addSeparator()
        for name, title in self._samples:
            menu.addAction(f"Sample: {title}").triggered.connect(partial(self._on_sample, name))
        menu.addSeparator()
        menu.addAction("Forget all kept work…").triggered.connect(self.forget_clicked)
        self._recent = self._menu_button(actions.RECENT)
        self._recent.setEnabled(False)
        self._adopt = tool(actions.ADOPT)
        self._adopt.clicked.connect(self.adopt_clicked)
        layout.addLayout(row(heading("Study"), 1, self._open, self._recent, self._adopt))
        layout.addWidget(self._build_empty())
        layout.addWidget(self._build_study())
        self._status = line("dim", wrap=True)
        layout.addWidget(self._status)
        layout.addWidget(self._build_offer())

    def _build_empty(self) -> QWidget:
        self._empty = QWidget()
        layout = column(self._empty)
        words = line("drop", wrap=True)
        say(words, "Drop an image file or a DICOM folder here, or open one. NIfTI, NRRD, MHA and DICOM.")
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        words.setMinimumHeight(56)
        layout.addWidget(words)
        self._sample = QPushButton(actions.SAMPLE.title)
        self._sample.setProperty("role", "main")
        self._sample.setToolTip(actions.SAMPLE.tool_tip)
        self._sample.clicked.connect(partial(self._on_sample, ""))
        layout.addWidget(self._sample)
        return self._empty

    def _build_study(self) -> QWidget:
        self._study = QWidget()
        layout = column(self._study)
        self._title = line("title")
        self._facts = line()
        self._modality = QToolButton()
        self._modality.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._modality.setToolTip("The file does not say its modality: state it here")
        menu = QMenu(self._modality)
        for modality in MODALITIES:
            menu.addAction(str(modality)).triggered.connect(partial(self._on_modality, modality))
        self._modality.setMenu(menu)
        layout.addWidget(self._title)
        layout.addLayout(row(self._facts, self._modality))
        layout.addLayout(self._build_check())
        layout.addWidget(self._details)
        self._windows = QHBoxLayout()
        self._windows.setSpacing(2)
        self._group = QButtonGroup(self)
        layout.addLayout(self._windows)
        self._study.setVisible(False)
        return self._study

    def _build_offer(self) -> QWidget:
        self._offer = QWidget()
        layout = column(self._offer)
        self._offer_words = line("caution", wrap=True)
        layout.addWidget(self._offer_words)
        yes, no = QPushButton("Open with this plugin"), QPushButton("Leave as it is")
        yes.clicked.connect(partial(self._on_offer, True))
        no.clicked.connect(partial(self._on_offer, False))
        layout.addLayout(row(yes, no))
        self._offer.setVisible(False)
        return self._offer

    def _build_check(self) -> QHBoxLayout:
        self._light = QLabel()
        self._light.setFixedWidth(20)
        self._headline = line()
        self._more = QToolButton()
        self._more.setText("Details")
        self._more.setCheckable(True)
        self._more.setAutoRaise(True)
        self._more.toggled.connect(self._on_details)
        self._details = line("dim", wrap=True)
        self._details.setVisible(False)
        return row(self._light, self._headline, self._more)

    def _menu_button(self, action: actions.Action) -> QToolButton:
        made = tool(action)
        made.setAutoRaise(False)
        made.setText(action.title)
        made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        made.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(made)
        menu.setToolTipsVisible(True)
        made.setMenu(menu)
        return made

    def _show_check(self, check: Check, notes: Sequence[str]) -> None:
        self._level = check.level
        self._show_light()
        say(self._headline, check.headline or WORDS[check.level])
        self._headline.setAccessibleName(f"{WORDS[check.level]}: {check.headline}")
        sentences = [finding.message for finding in check.findings] + list(notes)
        self._details.setText("\n".join(f"• {sentence}" for sentence in sentences))
        self._more.setVisible(len(sentences) > 1 or check.level != Level.GREEN)
        self._more.setChecked(False)

    def _show_light(self) -> None:
        if self._palette is None:
            return
        name = LIGHTS[self._level]
        self._light.setPixmap(pixmap(name, getattr(self._palette, name), 16))
        self._light.setToolTip(WORDS[self._level])

    def _on_details(self, shown: bool) -> None:
        self._details.setVisible(shown)

    def _on_path(self, path: Path, *_: object) -> None:
        self.path_chosen.emit(path)

    def _on_sample(self, name: str, *_: object) -> None:
        self.sample_chosen.emit(name)

    def _on_window(self, window: Window, *_: object) -> None:
        self.window_chosen.emit(window)

    def _on_offer(self, yes: bool, *_: object) -> None:
        self.offer_answered.emit(yes)

    def _on_modality(self, modality: Modality, *_: object) -> None:
        self.modality_stated.emit(modality)
