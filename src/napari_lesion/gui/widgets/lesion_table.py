"""Table model and view of the lesions; it shows what the presenter made and sorts by its keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from qtpy.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from qtpy.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QKeySequence, QPainter, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from napari_lesion.gui.presenters.rows import MARK, Cell, LesionRow, ShownColumn

LABEL_ROLE = Qt.ItemDataRole.UserRole
SORT_ROLE = Qt.ItemDataRole.UserRole + 1
CELL_ROLE = Qt.ItemDataRole.UserRole + 2
COLOUR_ROLE = Qt.ItemDataRole.UserRole + 3
SWATCH = 10
SPACE = 3
LINE_SPACE = 4
SMALLER = 0.88
SHRINKS = (1.0, 0.95, 0.9, 0.85)
ROWS_AT_LEAST = 3
LEAST_LETTERS = 5
"""Words that would be cut off after fewer letters say nothing; they stand in the tool tip."""

Index: TypeAlias = QModelIndex | QPersistentModelIndex


class LesionTableModel(QAbstractTableModel):
    """Rows and columns as the presenter made them."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[ShownColumn] = []
        self._rows: list[LesionRow] = []
        self._colours: dict[int, str] = {}

    def set_content(self, columns: Sequence[ShownColumn], rows: Sequence[LesionRow], colours: dict[int, str]) -> None:
        """Show these rows; a change of values alone keeps selection and scrolling."""
        same = [c.name for c in columns] == [c.name for c in self._columns] and [r.label for r in rows] == [
            r.label for r in self._rows
        ]
        if not same:
            self.beginResetModel()
        self._columns, self._rows = list(columns), list(rows)
        self._colours = dict(colours)
        if not same:
            self.endResetModel()
        elif rows and columns:
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(columns) - 1))

    @property
    def columns(self) -> list[ShownColumn]:
        """The shown columns."""
        return self._columns

    @property
    def titles(self) -> list[str]:
        """Titles of the shown columns."""
        return [column.title for column in self._columns]

    def rowCount(self, parent: Index | None = None) -> int:
        """Number of lesions."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index | None = None) -> int:
        """Number of shown columns."""
        return 0 if parent is not None and parent.isValid() else len(self._columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Title and definition of a column."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self._columns):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return header_text(self._columns[section])
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._columns[section].tip
        return None

    def data(self, index: Index, role: int = 0) -> Any:
        """Text, tool tip, sort key, alignment, colours of one cell."""
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        cell = row.cells[index.column()]
        if role == COLOUR_ROLE:
            return self._colours.get(row.label) if index.column() == 0 else None
        return _cell_data(cell, row.label, role)


def header_text(column: ShownColumn) -> str:
    """Title and, below it, the unit; two lines in every header, so that all stand alike."""
    return f"{column.title}\n{column.below}"


def _cell_data(cell: Cell, label: int, role: int) -> Any:
    if role == Qt.ItemDataRole.DisplayRole:
        return cell.text
    if role == Qt.ItemDataRole.ToolTipRole:
        return cell.tip
    if role == Qt.ItemDataRole.AccessibleTextRole:
        return " ".join(part for part in (cell.text, cell.lighter) if part)
    if role == Qt.ItemDataRole.TextAlignmentRole:
        side = Qt.AlignmentFlag.AlignRight if cell.number else Qt.AlignmentFlag.AlignLeft
        return int(side | Qt.AlignmentFlag.AlignVCenter)
    return {LABEL_ROLE: label, SORT_ROLE: cell.sort, CELL_ROLE: cell}.get(role)


class SortedLesions(QSortFilterProxyModel):
    """Sorts by the keys of the cells, undefined values last either way."""

    def lessThan(self, left: Index, right: Index) -> bool:
        """Compare two cells."""
        (empty_left, one), (empty_right, other) = left.data(SORT_ROLE), right.data(SORT_ROLE)
        if empty_left != empty_right:
            ascending = self.sortOrder() == Qt.SortOrder.AscendingOrder
            return bool((empty_left < empty_right) == ascending)
        return bool(str(one) < str(other)) if isinstance(one, str) or isinstance(other, str) else bool(one < other)


class TwoLineDelegate(QStyledItemDelegate):
    """Draws a value and, in a lighter tone and smaller below it, its error bar; words break into two lines."""

    def __init__(self, view: QTableView) -> None:
        super().__init__(view)
        self.shrink = 1.0
        self.lighter = QColor("grey")
        self.caution = QColor("orange")

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw one cell."""
        item = QStyleOptionViewItem(option)
        self.initStyleOption(item, index)
        item.font = smaller(item.font, self.shrink)
        item.fontMetrics = QFontMetrics(item.font)
        item.text = ""
        item.widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, item, painter, item.widget)
        cell: Cell = index.data(CELL_ROLE)
        area = item.rect.adjusted(SPACE, 0, -SPACE, 0)
        painter.save()
        colour = index.data(COLOUR_ROLE)
        if colour is not None:
            top = area.top() + LINE_SPACE // 2 + (item.fontMetrics.height() - SWATCH) // 2
            painter.fillRect(QRect(area.left(), top, SWATCH, SWATCH), QColor(colour))
        self._draw_text(painter, item, cell, area)
        painter.restore()

    def _draw_text(self, painter: QPainter, item: QStyleOptionViewItem, cell: Cell, area: QRect) -> None:
        selected = bool(item.state & QStyle.StateFlag.State_Selected)
        plain = item.palette.highlightedText().color() if selected else item.palette.text().color()
        quiet = plain if selected else self.lighter
        side = Qt.AlignmentFlag.AlignRight if cell.number else Qt.AlignmentFlag.AlignLeft
        painter.setFont(item.font)
        if cell.marked and cell.text != MARK:
            top = QRect(area.left(), area.top() + LINE_SPACE // 2, area.width(), item.fontMetrics.height())
            painter.setPen(plain if selected else self.caution)
            painter.drawText(top, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), MARK)
        painter.setPen(self.caution if cell.text == MARK and not selected else quiet if cell.greyed else plain)
        if not cell.lighter:
            wrap = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(area, int(side | wrap), cell.text)
            return
        height = item.fontMetrics.height()
        first = QRect(area.left(), area.top() + LINE_SPACE // 2, area.width(), height)
        painter.drawText(first, int(side | Qt.AlignmentFlag.AlignVCenter), cell.text)
        self._draw_below(painter, cell, QRect(area.left(), first.bottom() + 1, area.width(), height), quiet)

    def _draw_below(self, painter: QPainter, cell: Cell, area: QRect, quiet: QColor) -> None:
        side = Qt.AlignmentFlag.AlignRight if cell.number else Qt.AlignmentFlag.AlignLeft
        painter.setFont(smaller(painter.font()))
        painter.setPen(quiet)
        text = painter.fontMetrics().elidedText(cell.lighter, Qt.TextElideMode.ElideRight, area.width())
        if len(text) < min(LEAST_LETTERS, len(cell.lighter)):
            return
        painter.drawText(area, int(side | Qt.AlignmentFlag.AlignVCenter), text)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Room for the wider of both lines; words need room for their longest part."""
        cell: Cell = index.data(CELL_ROLE)
        font = smaller(option.font, self.shrink)
        metrics = QFontMetrics(font)
        below = QFontMetrics(smaller(font)).horizontalAdvance(cell.lighter)
        parts = [cell.text] if cell.number else re.split(r"(?<=[- ])", cell.text)
        wide = max(metrics.horizontalAdvance(part) for part in parts)
        if index.data(COLOUR_ROLE) is not None:
            wide += SWATCH + SPACE
        if cell.marked:
            wide += metrics.horizontalAdvance(MARK) + SPACE
        return QSize(max(wide, below) + 2 * SPACE + 1, row_height(metrics))


def smaller(font: QFont, by: float = SMALLER) -> QFont:
    """A font of another size; that of the second line when not said otherwise."""
    made = QFont(font)
    if font.pixelSize() > 0:
        made.setPixelSize(round(font.pixelSize() * by))
    else:
        made.setPointSizeF(font.pointSizeF() * by)
    return made


def row_height(metrics: QFontMetrics) -> int:
    """Room for two lines."""
    return int(2 * metrics.height() + LINE_SPACE)


class LesionTableView(QTableView):
    """Sortable table of lesions; letters go on to the viewer, so that its keys work here too."""

    copy_pressed = Signal()
    """The keys for copying were pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.source = LesionTableModel()
        self.sorted = SortedLesions()
        self.sorted.setSourceModel(self.source)
        self.setModel(self.sorted)
        self.delegate = TwoLineDelegate(self)
        self.setItemDelegate(self.delegate)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.verticalHeader().setVisible(False)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setStretchLastSection(True)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignCenter)
        self.horizontalHeader().setMinimumSectionSize(20)
        self.setAccessibleName("Lesions")
        self._fit_rows()

    def sizeHint(self) -> QSize:
        """Room for a header and three rows; it takes what is left."""
        return QSize(320, self.minimumHeight())

    def fit_columns(self) -> None:
        """Make each column as wide as its cells and its header need; the last one takes what is left.

        Where a somewhat smaller font lets all columns stand side by side, it is used; otherwise the table scrolls.
        """
        # the same with and without a scroll bar: its coming and going must not change what it depends on
        room = self.width() - 2 * self.frameWidth() - self.verticalScrollBar().sizeHint().width()
        fitting = (shrink for shrink in SHRINKS if sum(self._widths(shrink)) <= room)
        widths = self._widths(next(fitting, 1.0))
        header = smaller(self.font(), self.delegate.shrink)
        if header != self.horizontalHeader().font():
            self.horizontalHeader().setFont(header)
        for index, wide in enumerate(widths):
            self.setColumnWidth(index, wide)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Use the room that there is."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.fit_columns()

    def changeEvent(self, event: QEvent) -> None:
        """Follow another font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit_rows()
            self.fit_columns()

    def labels(self) -> list[int]:
        """Labels in the order on the screen."""
        return [self.label_of(self.sorted.index(i, 0)) for i in range(self.sorted.rowCount())]

    def label_of(self, index: Index) -> int:
        """Label of a row; 0 for no row."""
        return int(index.data(LABEL_ROLE)) if index.isValid() else 0

    def show_label(self, label: int) -> None:
        """Make the row of a label the current one, without taking the focus."""
        labels = self.labels()
        if label in labels:
            self.setCurrentIndex(self.sorted.index(labels.index(label), 0))
        else:
            self.clearSelection()
            self.setCurrentIndex(QModelIndex())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Walk with the arrows, copy; leave letters to the viewer."""
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_pressed.emit()
            return
        if event.text().strip() and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            event.ignore()
            return
        super().keyPressEvent(event)

    def _widths(self, shrink: float) -> list[int]:
        self.delegate.shrink = shrink
        metrics = QFontMetrics(smaller(self.font(), shrink))
        wide = []
        for index, column in enumerate(self.source.columns):
            title = max(metrics.horizontalAdvance(text) for text in (column.title, column.below))
            cells = 0 if column.words else self.sizeHintForColumn(index)
            wide.append(max(cells, title + 2 * SPACE, self.horizontalHeader().minimumSectionSize()))
        return wide

    def _fit_rows(self) -> None:
        high = row_height(self.fontMetrics())
        self.verticalHeader().setMinimumSectionSize(high)
        self.verticalHeader().setDefaultSectionSize(high)
        self.setMinimumHeight(high + LINE_SPACE + ROWS_AT_LEAST * high)
