"""The lesion panel: table, walk, decisions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import QItemSelection, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QApplication, QHBoxLayout, QMenu, QSizePolicy, QToolButton, QWidget

from napari_lesion.core.lesion import Review
from napari_lesion.core.table import Column
from napari_lesion.gui import actions
from napari_lesion.gui.presenters.rows import LesionRow, ShownColumn
from napari_lesion.gui.widgets.lesion_table import LesionTableView
from napari_lesion.gui.widgets.parts import button, column, heading, line, row, say, set_icon, tool
from napari_lesion.gui.widgets.theme import Palette


class LesionsPanel(QWidget):
    """Table of lesions with decisions. Implements `LesionsView`."""

    label_chosen = Signal(int)
    step_clicked = Signal(int)
    accept_clicked = Signal()
    reject_clicked = Signal()
    copy_clicked = Signal()
    outline_clicked = Signal()
    columns_chosen = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._palette: Palette | None = None
        self._silent = False
        self._offered: tuple[list[str], list[str]] = ([], [])
        self.table = LesionTableView()
        self._build()

    # -- LesionsView -----------------------------------------------------------------------------------------------

    def show_rows(self, columns: Sequence[ShownColumn], rows: Sequence[LesionRow], colours: dict[int, str]) -> None:
        """Show these rows, sorted as the user chose."""
        self._silent = True
        self.table.source.set_content(columns, rows, colours)
        self.table.fit_columns()
        self._silent = False
        for widget in (self._previous, self._next, self._copy):
            widget.setEnabled(bool(rows))

    def show_counts(self, sentence: str) -> None:
        """Show how many lesions there are."""
        say(self._counts, sentence)
        self._counts.setVisible(True)

    def show_optional_columns(self, columns: Sequence[Column], shown: Sequence[str]) -> None:
        """Fill the menu of columns."""
        offered = ([item.name for item in columns], list(shown))
        if offered == self._offered:
            return
        self._offered = offered
        menu = self._columns.menu()
        menu.clear()
        for item in columns:
            entry = menu.addAction(item.header)
            entry.setToolTip(item.definition)
            entry.setCheckable(True)
            entry.setChecked(item.name in shown)
            entry.setData(item.name)
            entry.toggled.connect(self._on_columns)
        self._columns.setEnabled(bool(columns))

    def show_selected(self, label: int, review: Review) -> None:
        """Highlight a row; 0 for none."""
        self._silent = True
        self.table.show_label(label)
        self._silent = False
        for widget, decision in ((self._accept, Review.ACCEPTED), (self._reject, Review.REJECTED)):
            widget.setEnabled(bool(label))
            widget.setChecked(bool(label) and review == decision)

    def shown_labels(self) -> list[int]:
        """Labels in the order of the rows on the screen."""
        return self.table.labels()

    def copy_text(self, text: str) -> None:
        """Put text on the clipboard."""
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(text)

    # -- the rest --------------------------------------------------------------------------------------------------

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        self._palette = palette
        self.table.delegate.lighter = QColor(palette.dim)
        for widget, name in (
            (self._previous, "previous"),
            (self._next, "next"),
            (self._accept, "accept"),
            (self._reject, "reject"),
            (self._copy, "copy"),
            (self._columns, "columns"),
            (self._outline, "outline"),
        ):
            set_icon(widget, name, palette.text)

    def choose_columns(self) -> None:
        """Open the menu of columns, as its key does."""
        self._columns.showMenu()

    def set_outline(self, outline: bool) -> None:
        """Show on the button how lesions are drawn."""
        if self._palette is not None:
            set_icon(self._outline, "outline" if outline else "fill", self._palette.text)

    def _build(self) -> None:
        layout = column(self)
        self._counts = line("dim")
        self._outline = tool(actions.OUTLINE)
        self._outline.clicked.connect(self.outline_clicked)
        self._columns = tool(actions.COLUMNS)
        self._columns.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self._columns)
        menu.setToolTipsVisible(True)
        self._columns.setMenu(menu)
        self._copy = tool(actions.COPY)
        self._copy.clicked.connect(self.copy_clicked)
        top = row(heading("Lesions"), self._counts, self._outline, self._columns, self._copy)
        top.setStretch(1, 1)
        layout.addLayout(top)
        self.table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.table.selectionModel().selectionChanged.connect(self._on_selection)
        self.table.clicked.connect(self._on_clicked)
        layout.addWidget(self.table, 1)
        layout.addLayout(self._build_buttons())

    def _build_buttons(self) -> QHBoxLayout:
        self._previous = button(actions.PREVIOUS)
        self._next = button(actions.NEXT)
        self._accept = button(actions.ACCEPT)
        self._reject = button(actions.REJECT)
        self._previous.clicked.connect(partial(self._on_step, -1))
        self._next.clicked.connect(partial(self._on_step, 1))
        self._accept.clicked.connect(self.accept_clicked)
        self._reject.clicked.connect(self.reject_clicked)
        for widget in (self._accept, self._reject):
            widget.setCheckable(True)
            widget.setEnabled(False)
        return row(self._previous, self._next, self._accept, self._reject)

    def _on_selection(self, selected: QItemSelection, _deselected: QItemSelection) -> None:
        if not self._silent and selected.indexes():
            self.label_chosen.emit(self.table.label_of(selected.indexes()[0]))

    def _on_clicked(self, index: object) -> None:
        """Go to a lesion again whose row was selected already."""
        self.label_chosen.emit(self.table.label_of(index))

    def _on_step(self, direction: int, *_: object) -> None:
        self.step_clicked.emit(direction)

    def _on_columns(self, _checked: bool) -> None:
        names = [entry.data() for entry in self._columns.menu().actions() if entry.isChecked()]
        self.columns_chosen.emit(names)
