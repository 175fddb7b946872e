"""Table model and view of the lesions; it shows what the presenter made and sorts by its keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from qtpy.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from qtpy.QtGui import QColor, QIcon, QKeyEvent, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from napari_lesion.gui.presenters.rows import Cell, LesionRow, ShownColumn

LABEL_ROLE = Qt.ItemDataRole.UserRole
SORT_ROLE = Qt.ItemDataRole.UserRole + 1
LIGHTER_ROLE = Qt.ItemDataRole.UserRole + 2
SWATCH = 10
SPACE = 5
ROW_HEIGHT = 24
LEAST_HEIGHT = 4 * ROW_HEIGHT

Index: TypeAlias = QModelIndex | QPersistentModelIndex


class LesionTableModel(QAbstractTableModel):
    """Rows and columns as the presenter made them."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[ShownColumn] = []
        self._rows: list[LesionRow] = []
        self._swatches: dict[int, QIcon] = {}

    def set_content(self, columns: Sequence[ShownColumn], rows: Sequence[LesionRow], colours: dict[int, str]) -> None:
        """Show these rows; a change of values alone keeps selection and scrolling."""
        same = [c.name for c in columns] == [c.name for c in self._columns] and [r.label for r in rows] == [
            r.label for r in self._rows
        ]
        if not same:
            self.beginResetModel()
        self._columns, self._rows = list(columns), list(rows)
        self._swatches = {label: _swatch(colour) for label, colour in colours.items()}
        if not same:
            self.endResetModel()
        elif rows and columns:
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(columns) - 1))

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
            return self._columns[section].title
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._columns[section].tip
        return None

    def data(self, index: Index, role: int = 0) -> Any:
        """Text, tool tip, sort key, alignment, colours of one cell."""
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        cell = row.cells[index.column()]
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0:
            return self._swatches.get(row.label)
        return _cell_data(cell, row.label, role)


def _cell_data(cell: Cell, label: int, role: int) -> Any:
    if role == Qt.ItemDataRole.DisplayRole:
        return cell.text
    if role == Qt.ItemDataRole.ToolTipRole:
        return cell.tip
    if role == Qt.ItemDataRole.TextAlignmentRole:
        side = Qt.AlignmentFlag.AlignRight if cell.number else Qt.AlignmentFlag.AlignLeft
        return int(side | Qt.AlignmentFlag.AlignVCenter)
    return {LABEL_ROLE: label, SORT_ROLE: cell.sort, LIGHTER_ROLE: cell.lighter}.get(role)


def _swatch(colour: str) -> QIcon:
    image = QPixmap(SWATCH, SWATCH)
    image.fill(QColor(colour))
    made = QIcon(image)
    made.addPixmap(image, QIcon.Mode.Selected)
    return made


class SortedLesions(QSortFilterProxyModel):
    """Sorts by the keys of the cells, undefined values last either way."""

    def lessThan(self, left: Index, right: Index) -> bool:
        """Compare two cells."""
        (empty_left, one), (empty_right, other) = left.data(SORT_ROLE), right.data(SORT_ROLE)
        if empty_left != empty_right:
            ascending = self.sortOrder() == Qt.SortOrder.AscendingOrder
            return bool((empty_left < empty_right) == ascending)
        return bool(str(one) < str(other)) if isinstance(one, str) or isinstance(other, str) else bool(one < other)


class TwoToneDelegate(QStyledItemDelegate):
    """Draws the lighter text of a cell behind its value."""

    def __init__(self, view: QTableView) -> None:
        super().__init__(view)
        self.lighter = QColor("grey")

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw one cell."""
        lighter = index.data(LIGHTER_ROLE)
        if not lighter:
            super().paint(painter, option, index)
            return
        item = QStyleOptionViewItem(option)
        self.initStyleOption(item, index)
        text, item.text = item.text, ""
        item.widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, item, painter, item.widget)
        selected = bool(item.state & QStyle.StateFlag.State_Selected)
        metrics = item.fontMetrics
        area = item.rect.adjusted(SPACE, 0, -SPACE, 0)
        behind = metrics.horizontalAdvance(lighter)
        painter.save()
        painter.setPen(item.palette.highlightedText().color() if selected else self.lighter)
        painter.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, lighter)
        painter.setPen(item.palette.highlightedText().color() if selected else item.palette.text().color())
        left = QRect(area.left(), area.top(), area.width() - behind - SPACE, area.height())
        painter.drawText(left, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> Any:
        """Room for both texts."""
        size = super().sizeHint(option, index)
        lighter = index.data(LIGHTER_ROLE)
        if lighter:
            size.setWidth(size.width() + option.fontMetrics.horizontalAdvance(lighter) + 2 * SPACE)
        return size


class LesionTableView(QTableView):
    """Sortable table of lesions; letters go on to the viewer, so that its keys work here too."""

    def __init__(self) -> None:
        super().__init__()
        self.source = LesionTableModel()
        self.sorted = SortedLesions()
        self.sorted.setSourceModel(self.source)
        self.setModel(self.sorted)
        self.delegate = TwoToneDelegate(self)
        self.setItemDelegate(self.delegate)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setStretchLastSection(True)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignCenter)
        self.horizontalHeader().setMinimumSectionSize(24)
        self.setMinimumHeight(LEAST_HEIGHT)
        self.setAccessibleName("Lesions")

    def sizeHint(self) -> QSize:
        """Room for a header and three rows; it takes what is left."""
        return QSize(320, LEAST_HEIGHT)

    def fit_columns(self) -> None:
        """Make each column as wide as its cells and its header need."""
        metrics = self.horizontalHeader().fontMetrics()
        for index, title in enumerate(self.source.titles):
            wide = max(self.sizeHintForColumn(index), metrics.horizontalAdvance(title) + 2 * SPACE)
            self.setColumnWidth(index, wide)

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
        """Walk with the arrows; leave letters to the viewer."""
        if event.text().strip() and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            event.ignore()
            return
        super().keyPressEvent(event)
