"""Small plots of one lesion, drawn with Qt's own painter: they open with the dock and follow theme and font."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_lesion.gui.presenters.rows import number_text
from napari_lesion.gui.presenters.tips import tip
from napari_lesion.gui.widgets.lesion_table import smaller
from napari_lesion.gui.widgets.theme import Palette
from napari_lesion.workflow.selected import Edge, Histogram, SizeScale

FloatArray = npt.NDArray[np.float64]

LINES_HIGH = 6.5
SCALE_LINES_HIGH = 4.2
GAP = 3
POINT = 3.5
SHADE = 60
HALF = 128
DARKER = 135
LEVELS = 20
MOST_DECIMALS = 4
SIZE_TICKS = (1, 2, 5, 10, 20, 40, 100, 200, 400)
LEAST_SIZE, LARGEST_SIZE = 1.0, 40.0
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
CENTRE = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True)
class Scale:
    """Where values lie on the screen: ``low`` at pixel ``start``, ``high`` at pixel ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Pixel of a value; values outside stand at the ends."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            share = (inside - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether a value lies on the scale."""
        return self.low <= value <= self.high


class Plot(QWidget):
    """A title, a figure beside it, a plot below; what it shows stands in its tool tip and for screen readers."""

    lines_high = LINES_HIGH

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title
        self.figure = ""
        self.colour = QColor("orange")
        self._text, self._dim, self._back = QColor("white"), QColor("grey"), QColor("black")
        self.setAccessibleName(title)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Half of the dock, some lines high."""
        return QSize(170, round(self.lines_high * self.fontMetrics().height()))

    def minimumSizeHint(self) -> QSize:
        """As high as the hint, and narrow enough for the dock."""
        return QSize(120, self.sizeHint().height())

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        self._text, self._dim, self._back = (QColor(c) for c in (palette.text, palette.dim, palette.foreground))
        self.update()

    def tell(self, figure: str, words: Sequence[str]) -> None:
        """The figure beside the title, and all that the plot shows in words."""
        self.figure = figure
        self.setToolTip(tip(*words))
        self.setAccessibleDescription(" ".join(words))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw title, figure and plot."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), self._back)
        area = QRectF(self.rect()).adjusted(GAP + 1, 0, -GAP - 1, 0)
        high = self.fontMetrics().height()
        top = QRectF(area.left(), area.top(), area.width(), high)
        painter.setPen(self._text)
        painter.drawText(top, int(RIGHT), self.figure)
        left = area.width() - self.fontMetrics().horizontalAdvance(self.figure) - 2 * GAP
        painter.setPen(self._dim)
        title = self.fontMetrics().elidedText(self.title, Qt.TextElideMode.ElideRight, round(left))
        painter.drawText(top, int(LEFT), title)
        self.draw(painter, area.adjusted(0, high + 1, 0, -1))
        if self.hasFocus():
            painter.setPen(QPen(self._text, 1, Qt.PenStyle.DotLine))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw the plot into an area."""

    # -- parts that plots share ------------------------------------------------------------------------------------

    def upright(self, painter: QPainter, x: float, area: QRectF, style: Qt.PenStyle, colour: QColor) -> None:
        """An upright line over the whole height."""
        painter.setPen(QPen(colour, 1, style))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))

    def below(self, painter: QPainter, area: QRectF, ticks: Sequence[tuple[float, str]]) -> None:
        """Words below pixels, inside the width; one that would touch the one before is left out."""
        painter.setFont(self._small)
        painter.setPen(self._dim)
        metrics = painter.fontMetrics()
        taken = -math.inf
        for x, text in sorted(ticks):
            wide = metrics.horizontalAdvance(text)
            left = min(max(x - wide / 2, area.left()), area.right() - wide)
            if left < taken + 4:
                continue
            painter.drawText(QRectF(left, area.bottom(), wide + 1, metrics.height()), int(CENTRE), text)
            taken = left + wide

    @property
    def _small(self) -> QFont:
        return smaller(self.font())

    @property
    def ink(self) -> QColor:
        """Colour of the lesion, darker on a light background."""
        return self.colour if self._back.lightness() < HALF else self.colour.darker(DARKER)

    @property
    def _shade(self) -> QColor:
        shade = QColor(self.ink)
        shade.setAlpha(SHADE)
        return shade


class HistogramPlot(Plot):
    """Bars of the intensities; mean, median, 10th and 90th percentile, thresholds."""

    def __init__(self) -> None:
        super().__init__("Histogram")
        self._histogram: Histogram | None = None

    def show_histogram(self, histogram: Histogram | None, colour: str) -> None:
        """Show a histogram; None for none."""
        self._histogram = histogram
        self.colour = QColor(colour or self.colour)
        if histogram is None:
            self.tell("", ["No voxel has a value."])
            return
        h = histogram
        at = _rounding(h.unit, float(h.edges[1] - h.edges[0]))
        facts = (
            f"Histogram of {int(h.counts.sum()):,} voxels in steps of {h.edges[1] - h.edges[0]:g} {h.unit}.",
            f"Mean {at(h.mean)} (line), median {at(h.median)} (dashed), 10th to 90th percentile {at(h.p10)} to "
            f"{at(h.p90)} {h.unit} (bar below).",
        )
        self.tell(f"mean {at(h.mean)} {h.unit}", [*facts, *(mark.meaning for mark in h.marks)])

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw bars, lines and ticks."""
        h = self._histogram
        if h is None:
            return
        area = area.adjusted(0, 0, 0, -painter.fontMetrics().height())
        x = Scale(float(h.edges[0]), float(h.edges[-1]), area.left(), area.right())
        y = Scale(0.0, float(h.counts.max()) * 1.05, area.bottom() - POINT, area.top())
        for left, right, count in zip(h.edges[:-1], h.edges[1:], h.counts, strict=True):
            bar = QRectF(QPointF(x.at(left), y.at(float(count))), QPointF(x.at(right), y.start))
            painter.fillRect(bar.adjusted(0, 0, -0.5 if bar.width() > 3 else 0, 0), self.ink)
        painter.fillRect(QRectF(QPointF(x.at(h.p10), y.start + 1), QPointF(x.at(h.p90), area.bottom())), self._text)
        self.upright(painter, x.at(h.mean), area, Qt.PenStyle.SolidLine, self._text)
        self.upright(painter, x.at(h.median), area, Qt.PenStyle.DashLine, self._text)
        at = _rounding(h.unit, float(h.edges[1] - h.edges[0]))
        ends = [(x.at(value), at(value)) for value in (x.low, x.high)]
        marks = [mark for mark in h.marks if x.holds(mark.value)]
        for mark in marks:
            self.upright(painter, x.at(mark.value), area, Qt.PenStyle.DotLine, self._dim)
        self.below(painter, area, [*ends, *((x.at(mark.value), mark.word) for mark in marks)])


class EdgePlot(Plot):
    """Median profile across the boundary with its quartiles; the 10 % and 90 % crossings."""

    def __init__(self) -> None:
        super().__init__("Edge")
        self._edge: Edge | None = None

    def show_edge(self, edge: Edge | None, colour: str) -> None:
        """Show a profile; None for none."""
        self._edge = edge
        self.colour = QColor(colour or self.colour)
        if edge is None:
            self.tell("", ["The profile across the boundary could not be measured here."])
            return
        width = f"{number_text(edge.width_mm, 1)} mm"
        facts = [
            "Median profile along the normals of the surface, from inside (left) to outside (right); the band holds "
            "the middle half of the samples. The dashed line is the outline of the mask."
        ]
        if math.isfinite(edge.width_mm):
            facts.append(
                f"Edge width {width}: from 90 % to 10 % of the step (points), less the blur of the interpolation; "
                "smaller is sharper."
            )
        else:
            facts.append("There is no step of intensity to speak of, so it has no width.")
        self.tell(f"10–90 %: {width}" if math.isfinite(edge.width_mm) else "no step", facts)

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw band, profile, outline of the mask, crossings and ticks."""
        e = self._edge
        if e is None or not np.isfinite(e.median).any():
            return
        area = area.adjusted(0, 0, 0, -painter.fontMetrics().height())
        x = Scale(float(e.offsets_mm[0]), float(e.offsets_mm[-1]), area.left(), area.right())
        low, high = float(np.nanmin(e.low)), float(np.nanmax(e.high))
        room = 0.06 * (high - low) or 1.0
        y = Scale(low - room, high + room, area.bottom(), area.top())
        known = np.isfinite(e.median) & np.isfinite(e.low) & np.isfinite(e.high)
        band = [*_points(x, y, e.offsets_mm[known], e.low[known])]
        band += reversed(_points(x, y, e.offsets_mm[known], e.high[known]))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._shade)
        painter.drawPolygon(QPolygonF(band))
        self.upright(painter, x.at(0.0), area, Qt.PenStyle.DashLine, self._dim)
        painter.setPen(QPen(self.ink, 2))
        painter.drawPolyline(QPolygonF(_points(x, y, e.offsets_mm[known], e.median[known])))
        painter.setPen(QPen(self._back, 1))
        painter.setBrush(self._text)
        for offset, value in e.crossings:
            painter.drawEllipse(QPointF(x.at(offset), y.at(value)), POINT, POINT)
        ends = (f"{number_text(x.low, 0)} mm", "0", f"+{number_text(x.high, 0)} mm")
        self.below(painter, area, list(zip((x.start, x.at(0.0), x.end), ends, strict=True)))
        self._draw_levels(painter, area, y, e)

    def _draw_levels(self, painter: QPainter, area: QRectF, y: Scale, e: Edge) -> None:
        """The highest and the lowest median, at the right edge, away from the curve."""
        painter.setPen(self._dim)
        high = painter.fontMetrics().height()
        levels = float(np.nanmax(e.median)), float(np.nanmin(e.median))
        at = _rounding(e.unit, (y.high - y.low) / LEVELS)
        for level, side in zip(levels, (RIGHT, LEFT), strict=True):
            top = min(max(y.at(level) - high / 2, area.top()), area.bottom() - high)
            painter.drawText(QRectF(area.left(), top, area.width(), high), int(side), at(level))


class SizePlot(Plot):
    """Sizes on a logarithmic scale: this lesion with its error bar, the others, and well-known limits."""

    lines_high = SCALE_LINES_HIGH

    def __init__(self) -> None:
        super().__init__("Mean diameter")
        self._scale: SizeScale | None = None

    def show_scale(self, scale: SizeScale | None, colour: str) -> None:
        """Show a lesion on the scale; None for none."""
        self._scale = scale
        self.colour = QColor(colour or self.colour)
        if scale is None:
            self.tell("", ["The lesion has no diameter."])
            return
        known = math.isfinite(scale.error_mm)
        bar = f" ± {number_text(scale.error_mm, 1)}" if known else ""
        figure = f"{number_text(scale.diameter_mm, 1)}{bar} mm"
        facts = [
            f"Mean diameter {figure} (diamond{', with its 95 % error bar' if known else ''}), long axis "
            f"{number_text(scale.long_axis_mm, 1)} mm (upright stroke).",
            f"Rings: mean diameter of the {len(scale.others)} other lesions of the study." if scale.others else "",
            "Reference marks, not advice:",
            *(mark.meaning for mark in scale.marks),
        ]
        self.tell(figure, [fact for fact in facts if fact])

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw the scale, its limits, the other lesions and this one."""
        s = self._scale
        if s is None:
            return
        small = painter.fontMetrics().height()
        area = area.adjusted(POINT, 0, -POINT, -small)
        largest = max(LARGEST_SIZE, *(tick for tick in SIZE_TICKS if tick < 2.5 * _largest(s)))
        x = Scale(LEAST_SIZE, largest, area.left(), area.right(), log=True)
        middle = area.center().y()
        limits = {mark.value for mark in s.marks}
        painter.setPen(QPen(self._dim, 1))
        painter.drawLine(QPointF(x.start, area.bottom()), QPointF(x.end, area.bottom()))
        ticks = [tick for tick in SIZE_TICKS if tick <= largest]
        for tick in ticks:
            painter.drawLine(QPointF(x.at(tick), area.bottom()), QPointF(x.at(tick), area.bottom() - 3))
        for value in limits:
            self.upright(painter, x.at(value), area, Qt.PenStyle.DotLine, self._text)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(self._dim, 1.3))
        for other in s.others.values():
            painter.drawEllipse(QPointF(x.at(other), middle), POINT, POINT)
        self._draw_this(painter, x, area, s)
        self.below(painter, area, [(x.at(value), f"{value:g}") for value in {*ticks, *limits}])

    def _draw_this(self, painter: QPainter, x: Scale, area: QRectF, s: SizeScale) -> None:
        middle, centre = area.center().y(), x.at(s.diameter_mm)
        painter.setPen(QPen(self._text, 1.5))
        if math.isfinite(s.error_mm):
            ends = x.at(s.diameter_mm - s.error_mm), x.at(s.diameter_mm + s.error_mm)
            painter.drawLine(QPointF(ends[0], middle), QPointF(ends[1], middle))
        if math.isfinite(s.long_axis_mm):
            stroke = x.at(s.long_axis_mm)
            painter.drawLine(QPointF(stroke, middle - POINT - 2), QPointF(stroke, middle + POINT + 2))
        painter.setBrush(self.ink)
        reach = POINT + 1.5
        corners = ((0, -reach), (reach, 0), (0, reach), (-reach, 0))
        painter.drawPolygon(QPolygonF([QPointF(centre + dx, middle + dy) for dx, dy in corners]))


def _points(x: Scale, y: Scale, xs: FloatArray, ys: FloatArray) -> list[QPointF]:
    return [QPointF(x.at(float(one)), y.at(float(other))) for one, other in zip(xs, ys, strict=True)]


def _largest(scale: SizeScale) -> float:
    return max(
        scale.diameter_mm, scale.long_axis_mm if math.isfinite(scale.long_axis_mm) else 0, *scale.others.values()
    )


def _rounding(unit: str, step: float) -> Callable[[float], str]:
    """How values of a unit are written that lie ``step`` apart: HU without decimals, others with those that tell."""
    decimals = 0 if unit == "HU" else max(0, min(MOST_DECIMALS, math.ceil(-math.log10(step)))) if step > 0 else 1
    return lambda value: number_text(value, decimals)
