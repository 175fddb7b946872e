"""A scroll area that scrolls downwards only, and is never narrower than what is in it."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QScrollArea, QWidget

NARROWEST = 380
LEAST_HEIGHT = 200


class DownwardScrollArea(QScrollArea):
    """Nothing is cut off at the right, whatever the font."""

    def __init__(self, inside: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(inside)

    def minimumSizeHint(self) -> QSize:
        """Width of the widest row, and of the scroll bar beside it."""
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(max(NARROWEST, self.widget().minimumSizeHint().width() + bar), LEAST_HEIGHT)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Tell the window when the content asks for another width."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))
