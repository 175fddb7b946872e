"""A folded section of the dock that grows with what it holds."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from superqt import QCollapsible

NO_LIMIT = 16_777_215
"""QWIDGETSIZE_MAX of Qt."""


class FoldingPanel(QCollapsible):
    """A section that is folded at first, without animation and without margins.

    superqt fixes its height at what it holds when it is unfolded, and counts a wrapped text as fewer lines than it
    has: text that comes later would be cut off.
    """

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.setDuration(0)
        self.setContentsMargins(0, 0, 0, 0)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(0)
        self.toggled.connect(self._grow)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Grow with what it holds."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest) and self.isExpanded():
            self._grow(True)
            return False
        return bool(super().eventFilter(watched, event))

    def turn(self) -> None:
        """Fold or unfold, as a key does."""
        if self.isExpanded():
            self.collapse(animate=False)
        else:
            self.expand(animate=False)

    def _grow(self, unfolded: bool) -> None:
        if unfolded:
            self.content().setMaximumHeight(NO_LIMIT)
