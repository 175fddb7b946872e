"""The layer of the axes: lines with their length, whose end points can be taken up and moved in axial slices.

Nothing but the viewer's own mouse callbacks is used, so that the lesion layer stays the active one: its brush, its
keys and the click that selects a lesion work as before. An end point can be taken up only while no brush is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_lesion.core.display import AnatomicalView
from napari_lesion.gui.axes_picture import Handle, Picture, picture_of, same_lines, shown_ends
from napari_lesion.gui.palette import AXES
from napari_lesion.gui.presenters.axes import AxisLine, MovedAxis, manual_line, with_line
from napari_lesion.workflow.caliper import Axis

AXES_NAME = "Lesion axes"
LOOK = "pan_zoom"
TEXT_SIZE = 11
REACH_PX = 9.0
"""How near the pointer must come to an end point to take it up."""
HANDLE_PX = 6.0
HANDLE_LINE_PX = 1.5
LEFT_BUTTON = 1
SHIFT = "Shift"
AXIAL = (1, 2)
"""Display axes that an axial slice shows."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EndPoint:
    """One end of a line: the line, which of its ends, and where that is, display indices."""

    line: AxisLine
    which: int
    place: Points


class AxesCanvas:
    """Draws the axes of one lesion in a layer, and lets the user move their ends.

    Parameters
    ----------
    viewer
        napari's viewer, or the public proxy of it.
    """

    moved = Signal(object)
    """An end point was dragged elsewhere and let go: `MovedAxis`."""
    undo_asked = Signal()
    """The key of undo was pressed while this layer is the active one."""
    redo_asked = Signal()
    """The key of redo was pressed while this layer is the active one."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layer: Any = None
        self._view: AnatomicalView | None = None
        self._lines: list[AxisLine] = []
        self._shown: tuple[AxisLine, ...] | None = None
        self._hovered: EndPoint | None = None
        self._picture: Picture | None = None
        self._overtaken = False
        self.dragging = False
        self.enabled = True
        viewer.mouse_move_callbacks.append(self._on_move)
        viewer.mouse_drag_callbacks.append(self._on_drag)

    # -- the layer ---------------------------------------------------------------------------------------------------

    @property
    def layer(self) -> Any:
        """The layer; None when it is not shown."""
        return self._layer

    @property
    def lines(self) -> Sequence[AxisLine]:
        """Axes that are drawn."""
        return self._lines

    @property
    def in_axial_view(self) -> bool:
        """Whether the viewer shows axial slices: only there can an axis be moved."""
        dims = self._viewer.dims
        shown = tuple(int(axis) - (dims.ndim - 3) for axis in dims.displayed)
        return dims.ndisplay == 2 and shown == AXIAL

    def add(self, view: AnatomicalView, **placing: Any) -> Any:
        """Add the layer to the viewer, with the lines that were drawn last; ``placing`` are napari's options."""
        self._view = view
        self._layer = self._viewer.add_shapes(
            ndim=3, name=AXES_NAME, opacity=1.0, edge_color=AXES, face_color="transparent", **placing
        )
        self._layer.events.editable.connect(self._keep_tools_off)
        self._keep_tools_off()
        self._bind_keys()
        self._shown = None
        self._show(self._lines)
        return self._layer

    def forget(self) -> None:
        """The layer is gone, or belongs to a study that is not shown any more."""
        self._layer = self._view = self._hovered = self._shown = self._picture = None
        self._overtaken = True

    def close(self) -> None:
        """Stop listening to the viewer."""
        for callbacks, callback in (
            (self._viewer.mouse_move_callbacks, self._on_move),
            (self._viewer.mouse_drag_callbacks, self._on_drag),
        ):
            if callback in callbacks:
                callbacks.remove(callback)

    def draw(self, lines: Sequence[AxisLine]) -> None:
        """Draw these axes instead of those drawn before; the drag of one that is gone now comes to nothing."""
        if self.dragging:
            self._overtaken |= not same_lines(self._lines, lines)
        self._lines = list(lines)
        if not self.dragging:
            self._show(self._lines)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _show(self, lines: Sequence[AxisLine], grip: Points | None = None) -> None:
        """Draw some lines, and the handle at an end point."""
        if self._layer is None or self._view is None or (grip is None and same_lines(self._shown, lines)):
            return
        self._shown = None if grip is not None else tuple(lines)
        if not lines:
            self._clear()
            return
        handle = None if grip is None else Handle(grip, HANDLE_PX / self._zoom, HANDLE_LINE_PX / self._zoom)
        picture, before, layer = picture_of(lines, self._view, handle), self._picture, self._layer
        if picture.looks_like(before) and len(layer.data) == len(picture.shapes):
            layer.data = picture.shapes
            layer.text.string = picture.words
        else:
            self._clear()
            looks = {"shape_type": picture.kinds, "edge_width": picture.widths, "edge_color": picture.colours}
            layer.add(picture.shapes, face_color="transparent", **looks)
            layer.text = {"string": picture.words, "color": picture.colours, "size": TEXT_SIZE, "anchor": "center"}
        layer.selected_data = set()
        self._picture = picture

    def _clear(self) -> None:
        self._picture = None
        if len(self._layer.data):
            self._layer.data = []

    @property
    def _zoom(self) -> float:
        """Pixels of the screen per millimetre."""
        return float(self._viewer.camera.zoom)

    # -- what the user does ------------------------------------------------------------------------------------------

    def _bind_keys(self) -> None:
        from app_model.types import KeyCode, KeyMod

        undo, redo = KeyMod.CtrlCmd | KeyCode.KeyZ, KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ
        self._layer.bind_key(undo, self._on_undo_key, overwrite=True)
        self._layer.bind_key(redo, self._on_redo_key, overwrite=True)

    def _on_undo_key(self, _layer: Any) -> None:
        self.undo_asked.emit()

    def _on_redo_key(self, _layer: Any) -> None:
        self.redo_asked.emit()

    def _keep_tools_off(self, _event: Any = None) -> None:
        """Leave napari's own tools for shapes out: a line that they move would be nobody's measurement."""
        if self._layer is not None and self._layer.editable:
            self._layer.editable = False

    def _on_move(self, _viewer: Any, event: Any) -> None:
        """Show a handle at the end point under the pointer."""
        if self.dragging or self._layer is None:
            return
        found = self._end_under(event)
        if found is None and self._hovered is None:
            return
        if found is not None and self._hovered is not None and np.array_equal(found.place, self._hovered.place):
            return
        self._hovered = found
        self._viewer.cursor.style = "standard" if found is None else "pointing"
        self._show(self._lines, None if found is None else found.place)

    def _on_drag(self, _viewer: Any, event: Any) -> Iterator[None]:
        """Move the end point under the pointer, from press to release; the view stands still meanwhile."""
        end = self._end_under(event)
        if end is None or event.button != LEFT_BUTTON or any(key != SHIFT for key in event.modifiers):
            return
        start = self._place(event)
        line: AxisLine | None = None
        self._overtaken = False
        self.dragging = event.handled = True
        yield
        while event.type == "mouse_move":
            event.handled = True
            if not self._overtaken:
                line = self._pull(end, self._place(event) - start, straight=SHIFT in event.modifiers)
            yield
        event.handled = True
        self.dragging, self._hovered = False, None
        self._viewer.cursor.style = "standard"
        if line is None or self._overtaken:
            self._shown = None
            self._show(self._lines)
        else:
            self.moved.emit(MovedAxis(line.axis, line.ends))

    def _pull(self, end: EndPoint, by: Points, *, straight: bool) -> AxisLine:
        """Show a line with one end moved."""
        assert self._view is not None
        line = self._moved(end, by, straight=straight)
        self._show(with_line(self._lines, line), shown_ends(line, self._view)[end.which])
        return line

    def _moved(self, end: EndPoint, by: Points, *, straight: bool) -> AxisLine:
        """The line with one end moved within its slice, display indices; it stays in the image.

        A ``straight`` one keeps its direction; a short axis is perpendicular to the long one then.
        """
        assert self._view is not None
        ends, spacing = self._view.to_display(end.line.ends), np.asarray(self._view.spacing)
        limit = np.asarray(self._view.display_shape) - 0.5
        here = ends[end.which, 1:] + by[1:]
        if straight:
            fixed = ends[1 - end.which, 1:]
            here = fixed + _along((here - fixed) * spacing[1:], self._direction(end.line)) / spacing[1:]
        ends[end.which, 1:] = np.clip(here, -0.5, limit[1:])
        length = float(np.linalg.norm((ends[1] - ends[0]) * spacing))
        return manual_line(end.line.axis, self._view.to_native(ends), length)

    def _direction(self, line: AxisLine) -> Points:
        """Direction (down, across) in which an end moves straight: that of the line, or across the long axis."""
        assert self._view is not None
        long = [other for other in self._lines if other.axis is Axis.LONG and not other.replaced]
        guide = long[0] if line.axis is Axis.SHORT and long else line
        shown = self._view.to_display(guide.ends)[:, 1:] * np.asarray(self._view.spacing[1:])
        down, across = (shown[1] - shown[0]).tolist()
        return np.array([down, across] if guide is line else [across, -down])

    def _place(self, event: Any) -> Points:
        """Display indices of the pointer."""
        return np.asarray(self._layer.world_to_data(event.position), dtype=np.float64)[-3:]

    def _end_under(self, event: Any) -> EndPoint | None:
        """The end point that the pointer would take up: the nearest one in the slice that is shown."""
        if not self._can_move() or self._view is None:
            return None
        here = self._place(event)
        best, nearest = None, REACH_PX / self._zoom
        for line in self._lines:
            ends = shown_ends(line, self._view)
            if line.replaced or round(float(here[0])) != ends[0, 0]:
                continue
            away = np.linalg.norm((ends - here)[:, 1:] * np.asarray(self._view.spacing[1:]), axis=1)
            which = int(away.argmin())
            if away[which] < nearest:
                best, nearest = EndPoint(line, which, ends[which]), float(away[which])
        return best

    def _can_move(self) -> bool:
        """Whether axes are shown and may be moved, and no brush or other tool is taken up."""
        if not self.enabled or self._layer is None or not self._layer.visible or not self.in_axial_view:
            return False
        active = self._viewer.layers.selection.active
        return active is None or str(getattr(active, "mode", LOOK)) == LOOK


def _along(vector: Points, direction: Points) -> Points:
    """Part of a vector along a direction."""
    part: Points = (vector @ direction) / (direction @ direction) * direction
    return part
