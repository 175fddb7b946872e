"""What the viewer shows of a study: where it looks, and how lesions are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from psygnal import Signal

from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Caliper
from napari_lesion.core.table import Row
from napari_lesion.gui.palette import lesion_colours
from napari_lesion.gui.preferences import Preferences
from napari_lesion.gui.presenters.axes import lines_of, number_in
from napari_lesion.gui.session import Session
from napari_lesion.gui.windows import Window
from napari_lesion.workflow.caliper import Axis
from napari_lesion.workflow.study import Study

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

    def go_to(self, native_zyx: Sequence[float], extent_mm: float) -> None:
        """Centre the view on a native index."""


def look_at(row: Row, grid: Grid, caliper: Caliper | None = None) -> tuple[float, float, float] | None:
    """Native index (z, y, x) to look at: the middle of the long axis, else a point inside, else the centroid.

    A long axis that the reader set comes before the computed one.
    """
    lines = [line for line in lines_of(row, caliper, grid) if line.axis is Axis.LONG and not line.replaced]
    if lines:
        z, y, x = (float(value) for value in lines[0].ends.mean(axis=0))
        return z, y, x
    for prefix in ("inner_point", "centroid"):
        index = [number_in(row, f"{prefix}_{axis}") for axis in KJI]
        if None not in index:
            z, y, x = (float(value) for value in index if value is not None)
            return z, y, x
    return None


def extent_mm(row: Row) -> float:
    """Size by which the zoom is chosen, mm."""
    return number_in(row, "long_axis_mm") or 0.0


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

    def _on_selection(self, label: int, reveal: bool) -> None:
        self._view.select(label)
        study = self._session.study
        if not (reveal and label and study is not None):
            return
        row = study.table.rows.get(label, {})
        place = look_at(row, study.volume.grid, study.lesions[label].caliper)
        if place is not None:
            self._view.go_to(place, extent_mm(row))
