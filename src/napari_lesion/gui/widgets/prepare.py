"""The prepare panel: choose steps in their order, preview them, apply them to a copy."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QListWidget,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import Progress
from napari_lesion.gui import actions
from napari_lesion.gui.widgets.folding import FoldingPanel
from napari_lesion.gui.widgets.forms import ParameterForm
from napari_lesion.gui.widgets.parts import line, row, say
from napari_lesion.workflow.prepare import STEPS, Chain, Chosen

LIST_HEIGHT = 74
NOTE = "Steps on a copy of the image; the original stays, and measurements are always made on it."


class PreparePanel(FoldingPanel):
    """A chain of steps; folded at first. Implements `PrepareView`."""

    chain_changed = Signal()
    preview_chosen = Signal(bool)
    before_chosen = Signal(bool)
    apply_clicked = Signal()
    cancel_clicked = Signal()

    def __init__(self) -> None:
        super().__init__(actions.PREPARE.title)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.toggleButton().setToolTip(actions.PREPARE.tool_tip)
        self._chosen: list[Chosen] = []
        self._form: ParameterForm[Any] | None = None
        self._smallest = 0.0
        self._build()
        self.toggled.connect(self._on_toggled)
        self.show_ready(False)

    # -- PrepareView -----------------------------------------------------------------------------------------------

    def chain(self) -> Chain:
        """The steps that the user chose."""
        return Chain(tuple(self._chosen))

    def show_ready(self, ready: bool) -> None:
        """Whether there is a study, and a step to do."""
        self._apply.setEnabled(ready)

    def show_smallest(self, value: float) -> None:
        """Tell the smallest value of the image, which stands outside of a region when nothing else is said."""
        self._smallest = value
        self._show_form(self._list.currentRow())

    def show_running(self, running: bool) -> None:
        """Show that the whole image is being prepared, or no longer is."""
        self._cancel.setVisible(running)
        for widget in (self._apply, self._steps, self._add, self._list, self._form_host):
            widget.setEnabled(not running)

    def show_progress(self, progress: Progress) -> None:
        """Show how far it is."""
        share = f", {progress.fraction:.0%}" if progress.fraction is not None and progress.total > 1 else ""
        say(self._state, f"{progress.stage}{share}", "dim")

    def show_state(self, sentence: str) -> None:
        """Say what is shown or was made."""
        say(self._state, sentence, "dim")

    def show_error(self, error: LesionError) -> None:
        """Show why it cannot be done."""
        say(self._state, error.message, "error")

    # -- the rest --------------------------------------------------------------------------------------------------

    @property
    def said(self) -> str:
        """The message that stands in the panel."""
        return str(self._state.text())

    def add_step(self, name: str) -> None:
        """Put a step behind the others."""
        self._chosen.append(Chosen.of(name))
        self._show_list(len(self._chosen) - 1)
        self.chain_changed.emit()

    def press_apply(self) -> None:
        """Press the button."""
        self._apply.click()

    def set_preview(self, wanted: bool) -> None:
        """Tick or clear the preview."""
        self._preview.setChecked(wanted)

    def set_before(self, before: bool) -> None:
        """Tick or clear the preparation before a detection."""
        self._before.setChecked(before)

    def _build(self) -> None:
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(4)
        note = line("dim", wrap=True)
        say(note, NOTE)
        layout.addWidget(note)
        self._steps = QComboBox()
        self._steps.setAccessibleName("Step to add")
        self._steps.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._steps.setMinimumContentsLength(12)
        for step in STEPS.values():
            self._steps.addItem(step.title, step.name)
            self._steps.setItemData(self._steps.count() - 1, step.summary, Qt.ItemDataRole.ToolTipRole)
        self._add = QPushButton("Add")
        self._add.setToolTip("Put this step behind the others")
        self._add.clicked.connect(lambda: self.add_step(str(self._steps.currentData())))
        layout.addLayout(row(self._steps, self._add))
        layout.addLayout(self._build_list())
        self._form_host = QWidget()
        self._form_layout = QVBoxLayout(self._form_host)
        self._form_layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._form_host)
        self._build_foot(layout)
        self.addWidget(inside)

    def _build_list(self) -> Any:
        self._list = QListWidget()
        self._list.setAccessibleName("Steps in their order")
        self._list.setFixedHeight(LIST_HEIGHT)
        self._list.currentRowChanged.connect(self._show_form)
        buttons = QWidget()
        column = QVBoxLayout(buttons)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        moves = (("↑", "Do the step earlier", -1), ("↓", "Do the step later", 1), ("×", "Take the step out", 0))
        for sign, words, move in moves:
            small = QToolButton()
            small.setText(sign)
            small.setToolTip(words)
            small.setAccessibleName(words)
            small.setAutoRaise(True)
            small.clicked.connect(partial(self._move, move))
            column.addWidget(small)
        return row(self._list, buttons)

    def _build_foot(self, layout: QVBoxLayout) -> None:
        self._preview = QCheckBox("Preview")
        self._preview.setToolTip("Show the steps on the axial slice in view; the image stays as it is")
        self._preview.toggled.connect(self._on_preview)
        self._before = QCheckBox("Before detection")
        self._before.setToolTip("The model looks at the prepared image; measurements are made on the original")
        self._before.toggled.connect(self.before_chosen)
        self._apply = QPushButton("Apply")
        self._apply.setToolTip("Make a new image layer; the original stays")
        self._apply.clicked.connect(self.apply_clicked)
        self._cancel = QPushButton("Cancel")
        self._cancel.setToolTip("Stop; nothing is changed then")
        self._cancel.clicked.connect(self.cancel_clicked)
        self._cancel.setVisible(False)
        layout.addLayout(row(self._preview, self._before, 1, self._cancel, self._apply))
        self._state = line("dim", wrap=True)
        layout.addWidget(self._state)
        say(self._state, "")

    def _show_list(self, current: int) -> None:
        self._list.blockSignals(True)
        self._list.clear()
        self._list.addItems([f"{k + 1}. {item.step.title}" for k, item in enumerate(self._chosen)])
        self._list.setCurrentRow(current)
        self._list.blockSignals(False)
        self._show_form(current)

    def _show_form(self, index: int) -> None:
        """Show what can be chosen in one step."""
        if self._form is not None:
            # Without a parent it would stand on the screen as a window until it is deleted.
            self._form_layout.removeWidget(self._form.native)
            self._form.native.hide()
            self._form.native.deleteLater()
            self._form = None
        if not 0 <= index < len(self._chosen):
            return
        self._form = ParameterForm(self._chosen[index].parameters)
        if getattr(self._chosen[index].parameters, "outside", 0.0) is None:
            self._form.suggest(outside=self._smallest)
        self._form_layout.addWidget(self._form.native)
        for widget in self._form.widgets.values():
            widget.changed.connect(partial(self._on_parameter, index))

    def _on_parameter(self, index: int, *_: object) -> None:
        assert self._form is not None
        try:
            self._chosen[index] = Chosen(self._chosen[index].step, self._form.values())
        except ValueError as error:
            self.show_error(LesionError("The step cannot be done so", str(error)))
            return
        say(self._state, "")
        self.chain_changed.emit()

    def _move(self, by: int, *_: object) -> None:
        """Do the selected step earlier (-1) or later (1), or take it out (0)."""
        index = self._list.currentRow()
        if not 0 <= index < len(self._chosen):
            return
        item = self._chosen.pop(index)
        place = min(max(index + by, 0), len(self._chosen))
        if by:
            self._chosen.insert(place, item)
        self._show_list(min(place, len(self._chosen) - 1))
        self.chain_changed.emit()

    def _on_preview(self, wanted: bool) -> None:
        self.preview_chosen.emit(wanted and self.isExpanded())

    def _on_toggled(self, unfolded: bool) -> None:
        """What nobody sees is not previewed."""
        self.preview_chosen.emit(unfolded and self._preview.isChecked())
