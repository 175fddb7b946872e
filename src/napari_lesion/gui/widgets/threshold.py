"""A slider for the probability threshold, with marks at the operating points of the model."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QPointF, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent, QPolygonF
from qtpy.QtWidgets import QSlider, QStyle, QStyleOptionSlider, QToolTip, QWidget

from napari_lesion.workflow.models import OperatingPoint

STEPS = 50
QUIET_MS = 150
MARK_HEIGHT = 7


class ThresholdSlider(QSlider):
    """Probability from 0.02 to 1 in steps of 0.02.

    Signals
    -------
    threshold_changed
        The threshold that the user chose, once the handle rests for a moment.
    """

    threshold_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setRange(1, STEPS)
        self.setPageStep(5)
        self.setMinimumHeight(20 + MARK_HEIGHT)
        self.setAccessibleName("Threshold")
        self._points: tuple[OperatingPoint, ...] = ()
        self._colour = QColor("white")
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(QUIET_MS)
        self._rest.timeout.connect(self._on_rest)
        self.valueChanged.connect(self._on_value)

    @property
    def threshold(self) -> float:
        """The chosen threshold, 0 to 1."""
        return float(self.value()) / STEPS

    def show_threshold(self, threshold: float) -> None:
        """Move the handle without telling anyone."""
        if self.isSliderDown() or self._rest.isActive():
            return
        self.blockSignals(True)
        self.setValue(round(threshold * STEPS))
        self.blockSignals(False)

    def set_points(self, points: Sequence[OperatingPoint]) -> None:
        """Mark operating points."""
        self._points = tuple(points)
        self.update()

    def set_colour(self, colour: str) -> None:
        """Colour of the marks."""
        self._colour = QColor(colour)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw a small triangle below the groove at each operating point."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._colour)
        bottom = float(self.height() - 1)
        for point in self._points:
            x = self._x_of(point.threshold)
            corners = [
                QPointF(x, bottom - MARK_HEIGHT),
                QPointF(x - 4, bottom),
                QPointF(x + 4, bottom),
            ]
            painter.drawPolygon(QPolygonF(corners))
        painter.end()

    def event(self, event: object) -> bool:
        """Say in the tool tip what the operating point below the pointer achieves."""
        if isinstance(event, QHelpEvent):
            near = [p for p in self._points if abs(self._x_of(p.threshold) - event.pos().x()) <= 6]
            text = "\n".join(describe(point) for point in near) or self.toolTip()
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return bool(super().event(event))

    def _x_of(self, threshold: float) -> float:
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        handle = self.style().pixelMetric(QStyle.PixelMetric.PM_SliderLength, option, self)
        span = self.width() - handle
        share = (threshold * STEPS - self.minimum()) / (self.maximum() - self.minimum())
        return float(handle / 2 + share * span)

    def _on_value(self, _value: int) -> None:
        self._rest.start()

    def _on_rest(self) -> None:
        self.threshold_changed.emit(self.threshold)


def describe(point: OperatingPoint) -> str:
    """An operating point in words."""
    words = f"{point.name}: threshold {point.threshold:.2f}"
    if point.sensitivity is not None:
        words += f", finds {100 * point.sensitivity:.0f} %"
    if point.false_marks_per_scan is not None:
        words += f" with {point.false_marks_per_scan:.1f} false marks per scan"
    return f"{words} ({point.measured_on})" if point.measured_on else words
