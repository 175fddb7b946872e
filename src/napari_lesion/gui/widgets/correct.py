"""The correct panel in Qt: buttons and fields, no arithmetic."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QAbstractButton, QCheckBox, QDoubleSpinBox, QSizePolicy, QWidget

from napari_lesion.core.errors import LesionError
from napari_lesion.gui.actions import RESET_AXES
from napari_lesion.gui.brush import Brush
from napari_lesion.gui.presenters.correct import DELETE, ERASE, MERGE, NEW, PAINT, REDO, SPLIT, UNDO
from napari_lesion.gui.widgets.parts import button, column, heading, line, row, say, set_icon, tool
from napari_lesion.gui.widgets.theme import Palette

WIDEST = 100
SMALLEST_MM, LARGEST_MM, STEP_MM = 0.5, 100.0, 0.5


class CorrectPanel(QWidget):
    """Brush, eraser, whole lesions, undo and redo. Implements `CorrectView`."""

    triggered = Signal(str)
    """Id of the `Action` whose button was pressed."""
    brush_edited = Signal(float, bool)
    """Wanted diameter in mm, and whether the brush is a ball."""
    reset_axes_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QAbstractButton] = {
            action.id: button(action) for action in (PAINT, ERASE, NEW, SPLIT, MERGE, DELETE)
        }
        self.buttons.update({action.id: tool(action) for action in (UNDO, REDO)})
        self._build_fields()
        self._build()
        self.show_ready(False)

    # -- CorrectView -------------------------------------------------------------------------------------------------

    def show_ready(self, ready: bool) -> None:
        """Enable the panel."""
        self.setEnabled(ready)

    def show_mode(self, mode: str) -> None:
        """Press the button of the tool that is taken up, and no other."""
        for name in (PAINT.id, ERASE.id):
            self.buttons[name].setChecked(mode == name)

    def show_brush(self, brush: Brush) -> None:
        """Show the real diameter beside the wanted one, voxels and slices as tool tip."""
        say(self.real_size, f"is {brush.diameter_mm:.1f} mm")
        self.real_size.setToolTip(f"Drawn: {brush.words}")
        with QSignalBlocker(self.ball):
            self.ball.setChecked(brush.is_ball)

    def show_history(self, undo: str, redo: str) -> None:
        """Name what Undo and Redo would do."""
        for action, what in ((UNDO, undo), (REDO, redo)):
            self.buttons[action.id].setEnabled(bool(what))
            self.buttons[action.id].setToolTip(f"{action.tool_tip}: {what}" if what else action.tool_tip)

    def show_selected(self, label: int) -> None:
        """Enable what needs a selected lesion."""
        for action in (SPLIT, MERGE, DELETE):
            self.buttons[action.id].setEnabled(bool(label))

    def show_change(self, sentence: str, detail: str = "") -> None:
        """Show how the selected lesion stands to the model's mask, or what to do next; the detail as tool tip."""
        say(self.change, sentence)
        self.change.setToolTip(f"{sentence}\n{detail}".strip())
        say(self.error, "")

    def show_manual_axes(self, words: str) -> None:
        """Offer to reset what the reader measured by hand, and say what that is."""
        self.reset_axes.setToolTip(f"{words}\n{RESET_AXES.tool_tip}".strip())
        self.reset_axes.setVisible(bool(words))

    def show_error(self, error: LesionError) -> None:
        """Show why something was not done."""
        say(self.error, error.message)

    # -- the rest ----------------------------------------------------------------------------------------------------

    def set_diameter(self, diameter_mm: float) -> None:
        """Show a wanted diameter that the user did not type."""
        with QSignalBlocker(self.diameter):
            self.diameter.setValue(diameter_mm)

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        for action in (UNDO, REDO):
            set_icon(self.buttons[action.id], action.id, palette.text)

    def _build_fields(self) -> None:
        self.diameter = QDoubleSpinBox()
        self.diameter.setRange(SMALLEST_MM, LARGEST_MM)
        self.diameter.setSingleStep(STEP_MM)
        self.diameter.setDecimals(1)
        self.diameter.setMaximumWidth(WIDEST)
        self.diameter.setSuffix(" mm")
        self.diameter.setKeyboardTracking(False)
        self.diameter.setAccessibleName("Diameter of the brush")
        self.diameter.setToolTip("Diameter of brush and eraser; drawn is the nearest whole number of pixels")
        self.ball = QCheckBox("Ball")
        self.ball.setToolTip("Paint a ball in millimetres, through the neighbouring slices, instead of one slice")
        self.real_size = line("dim")
        self.change = line("dim")
        self.reset_axes = button(RESET_AXES)
        self.reset_axes.clicked.connect(self._on_reset_axes)
        self.error = line("error", wrap=True)
        self.diameter.valueChanged.connect(self._on_brush)
        self.ball.toggled.connect(self._on_brush)

    def _build(self) -> None:
        layout = column(self)
        undo, redo = self.buttons[UNDO.id], self.buttons[REDO.id]
        first = row(heading("Correct"), self.diameter, self.real_size, self.ball, undo, redo)
        first.setStretchFactor(self.real_size, 1)
        layout.addLayout(first)
        second = row(*(self.buttons[action.id] for action in (PAINT, ERASE, NEW, SPLIT, MERGE, DELETE)))
        layout.addLayout(second)
        third = row(self.change, self.reset_axes)
        third.setStretchFactor(self.change, 1)
        layout.addLayout(third)
        layout.addWidget(self.error)
        for name, widget in self.buttons.items():
            widget.clicked.connect(partial(self._on_clicked, name))
        for action in (PAINT, ERASE):
            self.buttons[action.id].setCheckable(True)
        for action in (PAINT, ERASE, NEW, SPLIT, MERGE, DELETE):
            self.buttons[action.id].setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        say(self.error, "")
        say(self.change, "")
        self.show_manual_axes("")

    def _on_clicked(self, name: str, _checked: bool = False) -> None:
        self.triggered.emit(name)

    def _on_reset_axes(self, _checked: bool = False) -> None:
        self.reset_axes_clicked.emit()

    def _on_brush(self, _value: object) -> None:
        self.brush_edited.emit(self.diameter.value(), self.ball.isChecked())
