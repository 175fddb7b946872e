"""Colours of napari's theme for what its style sheet does not cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SAFE_ON_DARK = {"good": "#3FBF7F", "caution": "#F0C040", "bad": "#FF7B6B"}
SAFE_ON_LIGHT = {"good": "#0B6B3A", "caution": "#7A5200", "bad": "#A81E12"}


@dataclass(frozen=True)
class Palette:
    """Colours that the dock draws with, hexadecimal.

    Parameters
    ----------
    background, foreground, primary, text
        Of napari's theme.
    dim
        Text of lesser weight, at least 4.5 to 1 on the background.
    accent
        Background of the one main button, white text on it.
    good, caution, bad
        Traffic lights; never the only sign of a state.
    """

    background: str
    foreground: str
    primary: str
    text: str
    dim: str
    accent: str
    good: str
    caution: str
    bad: str


def palette_of(theme: Any) -> Palette:
    """Colours for a napari theme (`napari.utils.theme.get_theme`)."""
    dark = theme.type == "dark"
    lights = SAFE_ON_DARK if dark else SAFE_ON_LIGHT
    return Palette(
        background=theme.background.as_hex(),
        foreground=theme.foreground.as_hex(),
        primary=theme.primary.as_hex(),
        text=theme.text.as_hex(),
        dim="#B4BAC2" if dark else "#50555C",
        accent="#0F6CBD",
        **lights,
    )


def style_sheet(palette: Palette) -> str:
    """Style sheet of the dock, on top of napari's."""
    p = palette
    return f"""
    QLabel[role="heading"] {{ font-weight: 600; letter-spacing: 1px; color: {p.dim}; padding-top: 2px; }}
    QLabel[role="title"] {{ font-weight: 600; }}
    QLabel[role="dim"] {{ color: {p.dim}; }}
    QLabel[role="error"] {{
        color: {p.text}; background: {p.foreground}; border-left: 3px solid {p.bad}; padding: 4px 6px;
    }}
    QLabel[role="caution"] {{
        color: {p.text}; background: {p.foreground}; border-left: 3px solid {p.caution}; padding: 4px 6px;
    }}
    QLabel[role="drop"] {{ color: {p.dim}; border: 1px dashed {p.dim}; border-radius: 4px; padding: 8px; }}
    QFrame[role="rule"] {{ background: {p.primary}; max-height: 1px; min-height: 1px; border: none; }}
    QPushButton[role="main"] {{
        background: {p.accent}; color: #FFFFFF; font-weight: 600; padding: 6px; min-height: 20px; border-radius: 3px;
    }}
    QPushButton[role="main"]:disabled {{ background: {p.foreground}; color: {p.dim}; }}
    QPushButton {{ padding: 3px 6px; }}
    QPushButton:focus, QToolButton:focus, QComboBox:focus, QTableView:focus, QSlider:focus {{
        border: 1px solid {p.accent};
    }}
    QPushButton:checked {{ background: {p.accent}; color: #FFFFFF; }}
    QCollapsible > QPushButton:checked {{ background: {p.primary}; color: {p.text}; }}
    QToolButton {{ padding: 3px; }}
    QTableView {{
        background: {p.background}; alternate-background-color: {p.foreground}; gridline-color: {p.foreground};
        selection-background-color: {p.accent}; selection-color: #FFFFFF; border: 1px solid {p.foreground};
    }}
    QTableView::item:selected {{ background: {p.accent}; color: #FFFFFF; }}
    QHeaderView::section {{ background: {p.foreground}; color: {p.text}; border: none; padding: 3px 4px; }}
    """
