"""The lesion panel: table, walk, decisions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import QItemSelection, QPoint, Qt, Signal
from qtpy.QtGui import QColor, QKeySequence
from qtpy.QtWidgets import QApplication, QHBoxLayout, QInputDialog, QMenu, QSizePolicy, QToolButton, QWidget

from napari_lesion.core.errors import LesionError
from napari_lesion.core.lesion import Review
from napari_lesion.gui import actions
from napari_lesion.gui.presenters.lesions import ColumnChoice, CopyForm
from napari_lesion.gui.presenters.rows import LesionRow, ShownColumn
from napari_lesion.gui.widgets.column_chooser import ColumnChooser
from napari_lesion.gui.widgets.lesion_table import LesionTableView
from napari_lesion.gui.widgets.parts import button, column, heading, line, row, say, set_icon, tool
from napari_lesion.gui.widgets.theme import Palette

ARROW_ROOM = 16
COPIES = (
    ("Copy this lesion for a report", CopyForm.REPORT, False, True),
    ("Copy this lesion for a spreadsheet", CopyForm.SPREADSHEET, False, False),
    ("Copy all lesions for a report", CopyForm.REPORT, True, False),
    ("Copy all lesions for a spreadsheet", CopyForm.SPREADSHEET, True, False),
)
"""Words, form, whether the whole table, whether it is what the keys for copying do."""


class LesionsPanel(QWidget):
    """Table of lesions with decisions. Implements `LesionsView`."""

    label_chosen = Signal(int)
    step_clicked = Signal(int)
    accept_clicked = Signal()
    reject_clicked = Signal()
    copy_asked = Signal(str, bool)
    """Form of the text (`CopyForm`), and whether of the whole table."""
    outline_clicked = Signal()
    columns_chosen = Signal(list)
    name_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._palette: Palette | None = None
        self._silent = False
        self.table = LesionTableView()
        self.chooser = ColumnChooser(self)
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

    def show_choices(self, groups: dict[str, list[ColumnChoice]], shown: Sequence[str]) -> None:
        """Fill the list of columns."""
        self.chooser.set_choices(groups, shown)
        self._columns.setEnabled(bool(groups))

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

    def ask_name(self, label: int, present: str) -> str | None:
        """Ask for the name of a lesion; None when the user thinks better of it."""
        words = f"Name of lesion {label}, the same at every time point (T1, left upper lobe, …):"
        name, given = QInputDialog.getText(self, "Name of the lesion", words, text=present)
        return name if given else None

    def show_error(self, error: LesionError) -> None:
        """Show what went wrong, where the number of lesions stands."""
        say(self._counts, str(error))

    # -- the rest --------------------------------------------------------------------------------------------------

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        self._palette = palette
        self.table.delegate.lighter = QColor(palette.dim)
        self.table.delegate.caution = QColor(palette.caution)
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
        """Open the list of columns, as its key does."""
        if self._columns.isEnabled():
            self.chooser.pop_up(self._columns)

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
        self._columns.clicked.connect(self.choose_columns)
        self.chooser.chosen.connect(self.columns_chosen)
        self._copy = tool(actions.COPY)
        self._copy.clicked.connect(partial(self._on_copy, CopyForm.SPREADSHEET, True))
        self._copy.setStyleSheet(f"QToolButton {{ padding-right: {ARROW_ROOM}px; }}")
        self._copy.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        self.menu = self._build_menu()
        self._copy.setMenu(self.menu)
        top = row(heading("Lesions"), self._counts, self._outline, self._columns, self._copy)
        top.setStretch(1, 1)
        layout.addLayout(top)
        self.table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.table.selectionModel().selectionChanged.connect(self._on_selection)
        self.table.clicked.connect(self._on_clicked)
        self.table.copy_pressed.connect(partial(self._on_copy, CopyForm.REPORT, False))
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._on_context_menu)
        self.row_menu = self._build_menu()
        self.row_menu.addSeparator()
        self.row_menu.addAction("Name…").triggered.connect(self._on_name)
        layout.addWidget(self.table, 1)
        layout.addLayout(self._build_buttons())

    def _build_menu(self) -> QMenu:
        menu = QMenu(self)
        for words, form, whole, by_keys in COPIES:
            entry = menu.addAction(words)
            entry.triggered.connect(partial(self._on_copy, form, whole))
            if by_keys:
                # shown, not bound: the table itself takes the keys, and only while it has the focus
                keys = QKeySequence(QKeySequence.StandardKey.Copy).toString(QKeySequence.SequenceFormat.NativeText)
                entry.setText(f"{words}\t{keys}")
        return menu

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

    def _on_copy(self, form: CopyForm, whole: bool, *_: object) -> None:
        self.copy_asked.emit(str(form), whole)

    def _on_name(self, _checked: bool) -> None:
        self.name_clicked.emit()

    def _on_context_menu(self, place: QPoint) -> None:
        if self.table.labels():
            self.row_menu.popup(self.table.viewport().mapToGlobal(place))
