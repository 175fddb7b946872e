"""The axes of the selected lesion as lines: the computed ones, and those that the reader set with the caliper."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Caliper, Point
from napari_lesion.core.table import Row
from napari_lesion.gui.session import Session
from napari_lesion.workflow.caliper import Axis, Ends, with_axis
from napari_lesion.workflow.edit import Editor, EditResult
from napari_lesion.workflow.study import Study

LPS = ("l", "p", "s")
MANUAL = "manual"
"""Word beside every length that the reader set."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AxisLine:
    """One axis of a lesion.

    Parameters
    ----------
    ends
        Native (fractional) indices (z, y, x) of both ends, shape (2, 3).
    length_mm
        Length, mm.
    words
        What is written beside it; empty for nothing.
    axis
        Which axis.
    manual
        Whether the reader set it.
    replaced
        Whether it is computed, and the reader set another one: drawn thin, and not to be moved.
    """

    ends: FloatArray
    length_mm: float
    words: str
    axis: Axis = Axis.LONG
    manual: bool = False
    replaced: bool = False


@dataclass(frozen=True, eq=False)
class MovedAxis:
    """An axis whose end was dragged elsewhere: native (fractional) indices (z, y, x) of both ends, shape (2, 3)."""

    axis: Axis
    ends: FloatArray


class AxesView(Protocol):
    """The viewer as the presenter knows it; `gui.layers.LayerBridge` is the real one."""

    def draw_axes(self, lines: Sequence[AxisLine]) -> None:
        """Draw these axes and no others."""


class AxesPanel(Protocol):
    """The part of the dock that tells of the caliper."""

    def show_manual_axes(self, words: str) -> None:
        """Say what the reader measured in the selected lesion, and offer to reset it; nothing for no words."""


EditAction = Callable[[Editor], EditResult | None]


class AxesPresenter:
    """Draws the axes of the selected lesion, and makes a caliper of what the reader moves.

    Parameters
    ----------
    session
        The open study.
    view
        The viewer.
    panel
        The part of the dock that tells of the caliper.
    act
        Does one edit and tells everybody; refuses while a job works on the labels.
    """

    def __init__(self, session: Session, view: AxesView, panel: AxesPanel, act: Callable[[EditAction], None]) -> None:
        self._session = session
        self._view = view
        self._panel = panel
        self._act = act
        session.study_changed.connect(self._on_study)
        session.selection_changed.connect(self._on_selection)
        session.lesions_changed.connect(self.show)
        session.table_changed.connect(self.show)

    def show(self) -> None:
        """Draw the axes as they are now."""
        study, label = self._session.study, self._session.selected
        lesion = study.lesions.get(label) if study is not None else None
        if study is None or lesion is None:
            self._view.draw_axes([])
            self._panel.show_manual_axes("")
            return
        row, grid = study.table.rows.get(label, {}), study.volume.grid
        self._view.draw_axes(lines_of(row, lesion.caliper, grid))
        words = manual_words(lesion.caliper)
        self._panel.show_manual_axes(f"Lesion {label}: {words}" if words else "")

    def move(self, moved: MovedAxis) -> None:
        """Keep an axis that the reader moved as the caliper of the selected lesion."""
        study, label = self._session.study, self._session.selected
        if study is None or label not in study.lesions:
            self.show()
            return
        caliper = with_axis(study.lesions[label].caliper, moved.axis, _physical(moved.ends, study.volume.grid))
        self._act(lambda editor: editor.set_caliper(label, caliper))
        self.show()

    def reset(self) -> None:
        """Go back to the computed axes of the selected lesion."""
        label = self._session.selected
        if label:
            self._act(lambda editor: editor.set_caliper(label, None))

    def _on_study(self, _study: Study | None) -> None:
        self.show()

    def _on_selection(self, _label: int, _reveal: bool) -> None:
        self.show()


def lines_of(row: Row, caliper: Caliper | None, grid: Grid) -> list[AxisLine]:
    """Every line of a lesion: the computed axes of its row, and those of its caliper."""
    lines = axis_lines(row, grid)
    for line in caliper_lines(caliper, grid):
        lines = with_line(lines, line)
    return lines


def axis_lines(row: Row, grid: Grid) -> list[AxisLine]:
    """Computed long and short axis of a row, as far as they were measured."""
    lines = []
    for axis in Axis:
        ends = [_position(row, f"{axis}_axis_{end}") for end in ("p1", "p2")]
        value = number_in(row, f"{axis}_axis_mm")
        if ends[0] is None or ends[1] is None or value is None:
            continue
        lines.append(AxisLine(grid.to_index(np.stack([ends[0], ends[1]])), value, f"{axis} {value:.1f} mm", axis))
    return lines


def caliper_lines(caliper: Caliper | None, grid: Grid) -> list[AxisLine]:
    """Axes that the reader set."""
    found = ((Axis.LONG, caliper.long_ends), (Axis.SHORT, caliper.short_ends)) if caliper is not None else ()
    return [manual_line(axis, grid.to_index(ends), math.dist(*ends)) for axis, ends in found if ends is not None]


def manual_line(axis: Axis, ends: FloatArray, length_mm: float) -> AxisLine:
    """The line of an axis that the reader sets or has set; ``ends`` are native indices (z, y, x), shape (2, 3)."""
    return AxisLine(ends, length_mm, f"{axis} {length_mm:.1f} mm {MANUAL}", axis, manual=True)


def with_line(lines: Sequence[AxisLine], manual: AxisLine) -> list[AxisLine]:
    """The lines with one of the reader put in: the computed line of that axis steps back."""
    others = [line for line in lines if not (line.manual and line.axis is manual.axis)]
    kept = [replace(line, words="", replaced=True) if line.axis is manual.axis else line for line in others]
    return [*kept, manual]


def manual_words(caliper: Caliper | None) -> str:
    """What the reader measured, in words for a line, a cell or a tool tip; empty when nothing."""
    if caliper is None:
        return ""
    long, short = caliper.long_mm, caliper.short_mm
    if math.isnan(short):
        return f"long axis set by hand, {long:.1f} mm"
    if math.isnan(long):
        return f"short axis set by hand, {short:.1f} mm"
    return f"axes set by hand, {long:.1f} × {short:.1f} mm"


def _physical(ends: FloatArray, grid: Grid) -> Ends:
    one, other = (_point(point) for point in grid.to_physical(ends).tolist())
    return one, other


def _point(values: list[float]) -> Point:
    left, posterior, superior = values
    return left, posterior, superior


def _position(row: Row, prefix: str) -> FloatArray | None:
    """LPS position of the columns ``prefix_l_mm``, ``_p_mm``, ``_s_mm``."""
    values = [number_in(row, f"{prefix}_{axis}_mm") for axis in LPS]
    if any(value is None for value in values):
        return None
    return np.asarray(values, dtype=np.float64)


def number_in(row: Row, name: str) -> float | None:
    """A finite number of a row; None where there is none."""
    value = row.get(name)
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None
