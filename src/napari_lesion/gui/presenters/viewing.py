"""What the viewer shows of a study: where it looks, how lesions are drawn, the axes of the selected one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_lesion.core.grid import Grid
from napari_lesion.core.table import Row
from napari_lesion.gui.palette import lesion_colours
from napari_lesion.gui.preferences import Preferences
from napari_lesion.gui.session import Session
from napari_lesion.gui.windows import Window
from napari_lesion.workflow.study import Study

LONG_AXIS = ("long_axis_p1", "long_axis_p2", "long_axis_mm", "long")
SHORT_AXIS = ("short_axis_p1", "short_axis_p2", "short_axis_mm", "short")
LPS = ("l", "p", "s")
KJI = ("k", "j", "i")


@dataclass(frozen=True)
class MaskStyle:
    """How lesions are drawn.

    Parameters
    ----------
    outline
        Outlines instead of filled areas.
    outline_px
        Width of outlines, pixels of the image.
    fill_opacity
        Opacity of filled areas, 0 to 1.
    """

    outline: bool = True
    outline_px: int = 1
    fill_opacity: float = 0.35


@dataclass(frozen=True, eq=False)
class AxisLine:
    """One measured axis of a lesion.

    Parameters
    ----------
    ends
        Native (fractional) indices (z, y, x) of both ends, shape (2, 3).
    length_mm
        Length, mm.
    words
        What is written beside it.
    """

    ends: npt.NDArray[np.float64]
    length_mm: float
    words: str


class ViewerView(Protocol):
    """The viewer as the presenter knows it; `gui.layers.LayerBridge` is the real one."""

    def show(self, study: Study, window: Window) -> None:
        """Show a study instead of the one before."""

    def show_labels(self, study: Study) -> None:
        """Show the lesion layer again after it was removed."""

    def clear(self) -> None:
        """Show no study."""

    def set_window(self, window: Window) -> None:
        """Show the image in another window."""

    def set_style(self, style: MaskStyle) -> None:
        """Draw lesions as outlines or filled."""

    def set_colours(self, colours: Mapping[int, str]) -> None:
        """Colour of each label."""

    def set_hidden(self, hidden: bool) -> None:
        """Hide lesions and axes."""

    def refresh_labels(self) -> None:
        """Draw the lesions again."""

    def select(self, label: int) -> None:
        """Make a lesion the one that the brush paints."""

    def draw_axes(self, lines: Sequence[AxisLine]) -> None:
        """Draw these axes and no others."""

    def go_to(self, native_zyx: Sequence[float], extent_mm: float) -> None:
        """Centre the view on a native index."""


def axis_lines(row: Row, grid: Grid) -> list[AxisLine]:
    """Long and short axis of a row, as far as they were measured."""
    lines = []
    for first, second, length, word in (LONG_AXIS, SHORT_AXIS):
        ends = [_position(row, first), _position(row, second)]
        value = _number(row, length)
        if ends[0] is None or ends[1] is None or value is None:
            continue
        lines.append(AxisLine(grid.to_index(np.stack([ends[0], ends[1]])), value, f"{word} {value:.1f} mm"))
    return lines


def look_at(row: Row, grid: Grid) -> tuple[float, float, float] | None:
    """Native index (z, y, x) to look at: the middle of the long axis, else a point inside, else the centroid."""
    lines = [line for line in axis_lines(row, grid) if line.words.startswith("long")]
    if lines:
        z, y, x = (float(value) for value in lines[0].ends.mean(axis=0))
        return z, y, x
    for prefix in ("inner_point", "centroid"):
        index = [_number(row, f"{prefix}_{axis}") for axis in KJI]
        if None not in index:
            z, y, x = (float(value) for value in index if value is not None)
            return z, y, x
    return None


def extent_mm(row: Row) -> float:
    """Size by which the zoom is chosen, mm."""
    return _number(row, "long_axis_mm") or 0.0


class ViewerPresenter:
    """Keeps the viewer in step with the session."""

    window_changed = Signal()
    """The image is shown in another window."""

    def __init__(self, session: Session, view: ViewerView, preferences: Preferences) -> None:
        self._session = session
        self._view = view
        self._colours = preferences.colours
        self.window: Window | None = None
        self.style = MaskStyle(preferences.outline, preferences.outline_px, preferences.fill_opacity)
        session.labels_changed.connect(self._on_labels)
        session.lesions_changed.connect(self._on_lesions)
        session.table_changed.connect(self._on_table)
        session.selection_changed.connect(self._on_selection)

    def show(self, study: Study, window: Window) -> None:
        """Show a study that was just opened."""
        self.window = window
        self._view.show(study, window)
        self._view.set_style(self.style)
        self._on_lesions()

    def set_window(self, window: Window) -> None:
        """Show the image in another window."""
        self.window = window
        self._view.set_window(window)
        self.window_changed.emit()

    def set_hidden(self, hidden: bool) -> None:
        """Hide lesions and axes, or show them again."""
        self._view.set_hidden(hidden)

    def clear(self) -> None:
        """Show no study."""
        self._view.clear()

    def restore_labels(self) -> None:
        """Show the lesion layer again after the user removed it."""
        study = self._session.study
        if study is not None:
            self._view.show_labels(study)
            self._view.set_style(self.style)
            self._on_lesions()
            self._draw_axes()

    def toggle_outline(self) -> None:
        """Change between outlines and filled areas."""
        self.style = replace(self.style, outline=not self.style.outline)
        self._view.set_style(self.style)

    def _on_labels(self, _labels: object) -> None:
        self._view.refresh_labels()

    def _on_lesions(self) -> None:
        study = self._session.study
        if study is not None:
            self._view.set_colours(lesion_colours(study.lesions, self._colours))

    def _on_table(self) -> None:
        self._draw_axes()

    def _on_selection(self, label: int, reveal: bool) -> None:
        self._view.select(label)
        self._draw_axes()
        study = self._session.study
        if not (reveal and label and study is not None):
            return
        row = study.table.rows.get(label, {})
        place = look_at(row, study.volume.grid)
        if place is not None:
            self._view.go_to(place, extent_mm(row))

    def _draw_axes(self) -> None:
        study = self._session.study
        label = self._session.selected
        if study is None:
            return
        row = study.table.rows.get(label, {})
        self._view.draw_axes(axis_lines(row, study.volume.grid))


def _position(row: Row, prefix: str) -> npt.NDArray[np.float64] | None:
    """LPS position of the columns ``prefix_l_mm``, ``_p_mm``, ``_s_mm``."""
    values = [_number(row, f"{prefix}_{axis}_mm") for axis in LPS]
    if any(value is None for value in values):
        return None
    return np.asarray(values, dtype=np.float64)


def _number(row: Row, name: str) -> float | None:
    value = row.get(name)
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None
