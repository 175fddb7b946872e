"""One line for each study that is computed while another one is open."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QToolButton, QWidget

from napari_lesion.gui.presenters.background import BackgroundStudy
from napari_lesion.gui.widgets.parts import column, line, row, say


class BackgroundBar(QWidget):
    """Says of each study that is not shown how far it is, and leads back to it. Implements `BackgroundView`."""

    open_clicked = Signal(int)
    drop_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = column(self)
        self._lines: list[_StudyLine] = []
        self.setVisible(False)

    def show_studies(self, studies: Sequence[BackgroundStudy]) -> None:
        """Show one line for each study."""
        while len(self._lines) < len(studies):
            place = len(self._lines)
            made = _StudyLine()
            made.open.clicked.connect(partial(self._on_open, place))
            made.drop.clicked.connect(partial(self._on_drop, place))
            self._column.addWidget(made)
            self._lines.append(made)
        for place, made in enumerate(self._lines):
            made.setVisible(place < len(studies))
            if place < len(studies):
                made.show_study(studies[place])
        self.setVisible(bool(studies))

    def _on_open(self, place: int, *_: object) -> None:
        self.open_clicked.emit(place)

    def _on_drop(self, place: int, *_: object) -> None:
        self.drop_clicked.emit(place)


class _StudyLine(QWidget):
    """A line of words with two buttons."""

    def __init__(self) -> None:
        super().__init__()
        layout = column(self)
        self._words = line()
        self.open = QPushButton("Show")
        self.drop = QToolButton()
        self.drop.setAutoRaise(True)
        made = row(self._words, self.open, self.drop)
        made.setStretch(0, 1)
        layout.addLayout(made)

    def show_study(self, study: BackgroundStudy) -> None:
        """Fill the line."""
        say(self._words, f"{study.title}: {study.words}", "" if study.done else "dim")
        self.open.setAccessibleName(f"Show {study.title}")
        self.open.setToolTip("Go back to this study")
        self.drop.setText("Forget" if study.done else "Cancel")
        self.drop.setAccessibleName(f"{self.drop.text()} {study.title}")
        self.drop.setToolTip("Forget this study and its result" if study.done else "Stop the detection in this study")
