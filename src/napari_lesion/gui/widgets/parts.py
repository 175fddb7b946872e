"""Small parts that the panels share."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_lesion.gui.actions import Action
from napari_lesion.gui.widgets.icons import icon

GAP = 4


def heading(text: str) -> QLabel:
    """Heading of a panel."""
    label = QLabel(text.upper())
    label.setProperty("role", "heading")
    return label


def line(role: str = "", *, wrap: bool = False) -> QLabel:
    """One line of text: elided with its whole text as tool tip, or wrapped."""
    label = QLabel() if wrap else QElidingLabel()
    label.setWordWrap(wrap)
    label.setProperty("role", role)
    label.setTextFormat(Qt.TextFormat.PlainText)
    policy = QSizePolicy.Policy.Preferred if wrap else QSizePolicy.Policy.Ignored
    label.setSizePolicy(policy, QSizePolicy.Policy.Preferred)
    return label


def row(*widgets: QWidget | int) -> QHBoxLayout:
    """Widgets side by side; a number is a stretch of that weight."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(GAP)
    for widget in widgets:
        if isinstance(widget, int):
            layout.addStretch(widget)
        else:
            layout.addWidget(widget)
    return layout


def column(parent: QWidget) -> QVBoxLayout:
    """Layout of a panel."""
    layout = QVBoxLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(GAP)
    return layout


def rule() -> QFrame:
    """A thin line between two panels."""
    frame = QFrame()
    frame.setProperty("role", "rule")
    return frame


def button(action: Action, *, with_key: bool = False) -> QPushButton:
    """Button of an action, with its key in the tool tip."""
    made = QPushButton(f"{action.title}  [{action.key}]" if with_key else action.title)
    made.setToolTip(action.tool_tip)
    made.setAccessibleName(action.title)
    return made


def tool(action: Action) -> QToolButton:
    """Small button of an action, an icon only."""
    made = QToolButton()
    made.setToolTip(action.tool_tip)
    made.setAccessibleName(action.title)
    made.setAutoRaise(True)
    return made


def set_icon(widget: QPushButton | QToolButton, name: str, colour: str) -> None:
    """Give a button an icon in a colour of the theme."""
    widget.setIcon(icon(name, colour))


def say(label: QLabel, text: str, role: str | None = None) -> None:
    """Show text in a line, whole in its tool tip; no text hides the line."""
    label.setText(text)
    label.setToolTip(text)
    label.setVisible(bool(text))
    if role is not None and label.property("role") != role:
        label.setProperty("role", role)
        label.style().unpolish(label)
        label.style().polish(label)
