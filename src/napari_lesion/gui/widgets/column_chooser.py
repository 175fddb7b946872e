"""The list of columns: in groups, searched by what one types."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QEvent, QObject, QPoint, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QFrame,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_lesion.gui.presenters.lesions import ColumnChoice
from napari_lesion.gui.presenters.rows import LABEL

NAME_ROLE = Qt.ItemDataRole.UserRole
WORDS_ROLE = Qt.ItemDataRole.UserRole + 1
SIZE = (320, 420)
MARGIN = 6


class ColumnChooser(QFrame):
    """A list that pops up below its button: type to search, arrows and space to choose, escape to leave."""

    chosen = Signal(list)
    """Names of the columns to show, in the order of the list; none for the main ones."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        # napari draws an empty box in the colour of the background
        self.setStyleSheet(
            "ColumnChooser { border: 1px solid palette(mid); }"
            "QTreeView::indicator:unchecked { border: 1px solid #8A8F98; }"
        )
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search columns, for example: edge")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search columns")
        self.search.textChanged.connect(self._filter)
        self.search.installEventFilter(self)
        self.tree = QTreeWidget()
        self.tree.setHeaderHidden(True)
        self.tree.setAccessibleName("Columns of the table")
        self.tree.itemChanged.connect(self._on_item)
        self.reset = QPushButton("Back to the main columns")
        self.reset.clicked.connect(self._on_reset)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        for widget in (self.search, self.tree, self.reset):
            layout.addWidget(widget)

    def set_choices(self, groups: dict[str, list[ColumnChoice]], shown: Sequence[str]) -> None:
        """Fill the list; what is open, searched for and current stays."""
        self.tree.blockSignals(True)
        if self._names() == [choice.name for choices in groups.values() for choice in choices]:
            for item in self._entries():
                item.setCheckState(0, _state(item.data(0, NAME_ROLE) in shown))
        else:
            self.tree.clear()
            for number, (title, choices) in enumerate(groups.items()):
                self._add_group(title, choices, shown).setExpanded(number == 0)
        self.tree.blockSignals(False)
        self._filter(self.search.text())

    def pop_up(self, below: QWidget) -> None:
        """Show the list below a widget, right edges aligned, and take the keyboard."""
        metrics = self.fontMetrics().height() / 14
        self.resize(round(SIZE[0] * max(1.0, metrics)), SIZE[1])
        corner = below.mapToGlobal(QPoint(below.width() - self.width(), below.height()))
        screen = below.screen().availableGeometry()
        x = min(max(corner.x(), screen.left()), screen.right() - self.width())
        y = min(corner.y(), screen.bottom() - self.height())
        self.move(x, max(y, screen.top()))
        self.search.clear()
        self.show()
        self.search.setFocus(Qt.FocusReason.PopupFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Arrow down and enter go from the search to the first hit."""
        down = (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and event.key() in down:
            hits = [item for item in self._entries() if not item.isHidden()]
            if hits:
                parent = hits[0].parent()
                parent.setExpanded(True)
                self.tree.setCurrentItem(hits[0])
                self.tree.setFocus(Qt.FocusReason.TabFocusReason)
            return True
        return bool(super().eventFilter(watched, event))

    def _add_group(self, title: str, choices: Sequence[ColumnChoice], shown: Sequence[str]) -> QTreeWidgetItem:
        group = QTreeWidgetItem(self.tree, [title])
        group.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        for choice in choices:
            entry = QTreeWidgetItem(group, [choice.title])
            entry.setToolTip(0, choice.tip)
            entry.setData(0, NAME_ROLE, choice.name)
            entry.setData(0, WORDS_ROLE, f"{choice.title} {choice.name.replace('_', ' ')} {choice.name}".lower())
            entry.setCheckState(0, _state(choice.name in shown))
        return group

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        for group in self._groups():
            in_title = [word for word in words if word not in group.text(0).lower()]
            found = False
            for entry in _children(group):
                hit = all(word in entry.data(0, WORDS_ROLE) for word in in_title)
                entry.setHidden(not hit)
                found |= hit
            group.setHidden(not found)
            if words:
                group.setExpanded(found)

    def _on_item(self, _item: QTreeWidgetItem, _column: int) -> None:
        names = [item.data(0, NAME_ROLE) for item in self._entries() if item.checkState(0) == Qt.CheckState.Checked]
        self.chosen.emit(names or [LABEL])

    def _on_reset(self) -> None:
        self.chosen.emit([])

    def _groups(self) -> list[QTreeWidgetItem]:
        return [self.tree.topLevelItem(index) for index in range(self.tree.topLevelItemCount())]

    def _entries(self) -> list[QTreeWidgetItem]:
        return [entry for group in self._groups() for entry in _children(group)]

    def _names(self) -> list[str]:
        return [entry.data(0, NAME_ROLE) for entry in self._entries()]


def _children(group: QTreeWidgetItem) -> list[QTreeWidgetItem]:
    return [group.child(index) for index in range(group.childCount())]


def _state(checked: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked
