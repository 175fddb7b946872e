"""The dock: panels from top to bottom in the order of the work."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent, QShowEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_lesion.gui.controller import DockController
from napari_lesion.gui.preferences import load_preferences
from napari_lesion.gui.widgets.adapt import AdaptPanel
from napari_lesion.gui.widgets.background import BackgroundBar
from napari_lesion.gui.widgets.correct import CorrectPanel
from napari_lesion.gui.widgets.detect import DetectPanel
from napari_lesion.gui.widgets.explain import ExplainPanel
from napari_lesion.gui.widgets.export import ExportPanel
from napari_lesion.gui.widgets.icons import icon
from napari_lesion.gui.widgets.lesions import LesionsPanel
from napari_lesion.gui.widgets.parts import line, rule, say
from napari_lesion.gui.widgets.planes import PlanesPanel
from napari_lesion.gui.widgets.prepare import PreparePanel
from napari_lesion.gui.widgets.restore import RestoreBar
from napari_lesion.gui.widgets.scroll import DownwardScrollArea
from napari_lesion.gui.widgets.selected import SelectedPanel
from napari_lesion.gui.widgets.study import StudyPanel
from napari_lesion.gui.widgets.theme import palette_of, style_sheet
from napari_lesion.workflow.detect import DetectParameters
from napari_lesion.workflow.sample import SAMPLES

WIDTH = 420
MARGIN = 8
ROOM_FOR_BOTH = 1150
"""Height from which the table keeps some rows beside both strips, pixels."""
DISCLAIMER = "Research use only. Not a medical device."


class LesionDock(QWidget):
    """Find, review, correct, measure and export lesions of one study.

    Parameters
    ----------
    napari_viewer
        The viewer, as napari gives it to plugin widgets.
    """

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        from napari.settings import get_settings

        super().__init__(parent)
        preferences = load_preferences()
        self.study = StudyPanel([(name, sample.title) for name, sample in SAMPLES.items()])
        chosen = {key: getattr(preferences, key) for key in ("device", "backend", "precision")}
        self.detect = DetectPanel(DetectParameters(**chosen))
        self.background = BackgroundBar()
        self.restore = RestoreBar()
        self.prepare = PreparePanel()
        self.lesions = LesionsPanel()
        self.selected = SelectedPanel()
        self.explain = ExplainPanel()
        self.planes = PlanesPanel()
        self.correct = CorrectPanel()
        self.export = ExportPanel()
        self.adapt = AdaptPanel()
        self._window: QObject | None = None
        self._viewer = napari_viewer
        self._build()
        self.selected.toggled.connect(self._make_room)
        self.planes.toggled.connect(self._make_room)
        self.controller = DockController(napari_viewer, self, preferences)
        self.destroyed.connect(self.controller.shutdown)
        self._set_theme()
        napari_viewer.events.theme.connect(self._set_theme)
        self.controller.at_end(partial(napari_viewer.events.theme.disconnect, self._set_theme))
        font_size = get_settings().appearance.events.font_size
        font_size.connect(self._set_theme)
        self.controller.at_end(partial(font_size.disconnect, self._set_theme))
        self.controller.start()

    def sizeHint(self) -> QSize:
        """Width at which nothing is cut off."""
        return QSize(WIDTH, 700)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.controller.open_path(paths[0])

    def showEvent(self, event: QShowEvent) -> None:
        """Watch the window, to stop jobs before it closes."""
        super().showEvent(event)
        window = self.window()
        if window is not self and window is not self._window:
            self._window = window
            window.installEventFilter(self)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show the other planes where there is room."""
        super().resizeEvent(event)
        self.planes.follow_height(self.height())

    def event(self, event: QEvent) -> bool:
        """Stop everything when napari takes the dock out of its window."""
        if event.type() == QEvent.Type.ParentChange and self._window is not None and self.parent() is None:
            self.controller.shutdown()
        return bool(super().event(event))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stop everything when the window closes."""
        if event.type() == QEvent.Type.Close:
            watched.removeEventFilter(self)
            self.controller.shutdown()
        return False

    def _build(self) -> None:
        self.setAcceptDrops(True)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        inside = QWidget()
        outer.addWidget(DownwardScrollArea(inside))
        footer = line("dim")
        say(footer, DISCLAIMER)
        footer.setContentsMargins(MARGIN, 0, MARGIN, MARGIN // 2)
        outer.addWidget(footer)
        self._layout = QVBoxLayout(inside)
        self._layout.setContentsMargins(MARGIN, MARGIN // 2, MARGIN, MARGIN // 2)
        self._layout.setSpacing(6)
        self._layout.addWidget(self.study)
        self._layout.addWidget(self.background)
        self._layout.addWidget(self.restore)
        self._layout.addWidget(self.prepare)
        self._layout.addWidget(rule())
        self._layout.addWidget(self.detect)
        self._layout.addWidget(rule())
        self._layout.addWidget(self.lesions, 1)
        self._layout.addWidget(self.selected)
        self._layout.addWidget(self.explain)
        self._layout.addWidget(self.planes)
        for panel in (self.correct, self.export, self.adapt):
            self._layout.addWidget(rule())
            self._layout.addWidget(panel)

    def _make_room(self, unfolded: bool) -> None:
        """In a dock too low for both strips, unfolding one folds the other."""
        if not unfolded or self.height() >= ROOM_FOR_BOTH:
            return
        if self.sender() is self.selected and self.planes.isExpanded():
            self.planes.turn()
        elif self.sender() is self.planes and self.selected.isExpanded():
            self.selected.turn()

    def _set_theme(self, _event: Any = None) -> None:
        from napari.settings import get_settings
        from napari.utils.theme import get_theme

        palette = palette_of(get_theme(self._viewer.theme))
        # napari's preference reaches labels and buttons by its own style sheet; tables and plots follow it here
        points = get_settings().appearance.font_size
        self.setStyleSheet(f"{style_sheet(palette)} QTableView, Plot {{ font-size: {points}pt; }}")
        for panel in (self.study, self.detect, self.lesions, self.selected, self.correct, self.export):
            panel.set_palette(palette)
        for folded in self.findChildren(QCollapsible):
            # Its own arrows take the colour of Qt's palette, which is black on napari's dark buttons.
            folded.setCollapsedIcon(icon("folded", palette.text))
            folded.setExpandedIcon(icon("unfolded", palette.text))
