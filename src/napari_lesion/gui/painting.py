"""From strokes in napari's labels layer to edits of the study, and back.

napari paints into the layer's array, which is a view of the study's labels. This module hears of every stroke, says
where it was and what was there before, and leaves the rest to the editor. napari's own history is bypassed: its keys
ask for the editor's undo while the lesion layer is active.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_lesion.core.display import AnatomicalView, Box
from napari_lesion.gui.brush import Brush, marks_between, napari_leaves_gaps, swept_box

IntArray = npt.NDArray[Any]

PAINT, ERASE, LOOK = "paint", "erase", "pan_zoom"
BRUSHES = (PAINT, ERASE)


class LayerPainter:
    """The lesion layer as a place to paint.

    Parameters
    ----------
    viewer
        napari's viewer, or the public proxy of it.
    """

    stroke_going = Signal(object, int)
    """A stroke goes on: native box that the brush swept since the last time, label (0 erases)."""
    stroke_ended = Signal()
    """The button was released; `painted` came before unless nothing changed."""
    painted = Signal(object, object)
    """Voxels were painted: native box, and its labels before."""
    pending = Signal()
    """napari is about to paint; somebody must call `flush` once it has, if napari draws nothing then."""
    replaced = Signal(object)
    """Somebody put another array into the layer: that array, native."""
    undo_asked = Signal()
    """The key of napari's undo was pressed."""
    redo_asked = Signal()
    """The key of napari's redo was pressed."""
    brush_changed = Signal(object)
    """The `Brush` that is drawn is another one."""
    editable_changed = Signal(bool)
    """Whether the layer may be edited: not while a job works on the labels."""
    mode_changed = Signal(str)
    """Mode of the layer: ``paint``, ``erase``, ``pan_zoom`` or another one of napari's."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layer: Any = None
        self._view: AnatomicalView | None = None
        self._array: IntArray | None = None
        self._diameter_mm = 4.0
        self._ball = False
        self._setting = False
        self._pending: tuple[Box, IntArray] | None = None
        self.stroking = False
        viewer.dims.events.order.connect(self._on_order)

    # -- the layer ---------------------------------------------------------------------------------------------------

    def attach(self, layer: Any, view: AnatomicalView, labels: IntArray) -> None:
        """Listen to a labels layer that shows ``view.apply(labels)``."""
        from app_model.types import KeyCode, KeyMod

        self.detach()
        self._layer, self._view, self._array = layer, view, labels
        layer.events.paint.connect(self._on_paint)
        layer.events.labels_update.connect(self.flush)
        layer.events.data.connect(self._on_data)
        layer.events.editable.connect(self._on_editable)
        layer.events.mode.connect(self._on_mode)
        layer.events.brush_size.connect(self._on_brush_size)
        layer.events.n_edit_dimensions.connect(self._on_brush_size)
        layer.mouse_drag_callbacks.append(self._on_drag)
        layer.bind_key(KeyMod.CtrlCmd | KeyCode.KeyZ, self._on_undo_key, overwrite=True)
        layer.bind_key(KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ, self._on_redo_key, overwrite=True)
        self._apply_brush()
        self._on_editable()

    def detach(self) -> None:
        """Stop listening."""
        self.flush()
        layer, self._layer = self._layer, None
        self._view = self._array = None
        self.stroking = False
        if layer is None:
            return
        layer.events.paint.disconnect(self._on_paint)
        layer.events.labels_update.disconnect(self.flush)
        layer.events.data.disconnect(self._on_data)
        layer.events.editable.disconnect(self._on_editable)
        layer.events.mode.disconnect(self._on_mode)
        layer.events.brush_size.disconnect(self._on_brush_size)
        layer.events.n_edit_dimensions.disconnect(self._on_brush_size)
        if self._on_drag in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.remove(self._on_drag)

    def close(self) -> None:
        """Stop listening to the viewer, too."""
        self.detach()
        self._viewer.dims.events.order.disconnect(self._on_order)

    @property
    def mode(self) -> str:
        """Mode of the layer; empty without one."""
        return str(self._layer.mode) if self._layer is not None else ""

    @property
    def label(self) -> int:
        """Label that the brush paints; 0 without a layer."""
        return int(self._layer.selected_label) if self._layer is not None else 0

    def set_mode(self, mode: str) -> None:
        """Take up the brush (``paint``), the eraser (``erase``), or look around (``pan_zoom``)."""
        if self._layer is not None and self._layer.editable:
            self._viewer.layers.selection.active = self._layer
            self._layer.mode = mode

    def set_label(self, label: int) -> None:
        """Let the brush paint this label."""
        if self._layer is not None:
            self._layer.selected_label = label

    def refresh(self) -> None:
        """Draw the labels again after the editor wrote into their array."""
        if self._layer is not None:
            self._layer.refresh(extent=False, highlight=False)

    # -- the brush ---------------------------------------------------------------------------------------------------

    @property
    def brush(self) -> Brush | None:
        """The brush as it is drawn now; None without a layer."""
        if self._layer is None:
            return None
        return Brush.of_pixels(self._layer.brush_size, self._spacing(self._painted_axes()))

    def set_brush(self, diameter_mm: float, ball: bool = False) -> None:
        """Set the wanted diameter, mm; a ball paints neighbouring slices, too."""
        self._diameter_mm, self._ball = diameter_mm, ball
        self._apply_brush()

    def _apply_brush(self) -> None:
        if self._layer is None:
            return
        self._setting = True
        try:
            self._layer.n_edit_dimensions = 3 if self._ball else 2
            brush = Brush.nearest(self._diameter_mm, self._spacing(self._painted_axes()))
            self._layer.brush_size = brush.pixels
        finally:
            self._setting = False
        self._on_brush_size()

    def _axes(self) -> list[int]:
        """Axes of the layer in the order in which the viewer shows them; the last ones are displayed."""
        extra = self._viewer.dims.ndim - 3
        return [axis - extra for axis in self._viewer.dims.order if axis >= extra]

    def _painted_axes(self) -> list[int]:
        return sorted(self._axes()[-int(self._layer.n_edit_dimensions) :])

    def _spacing(self, axes: Sequence[int]) -> tuple[float, ...]:
        return tuple(abs(float(self._layer.scale[axis])) for axis in axes)

    def _on_order(self) -> None:
        self._apply_brush()

    def _on_brush_size(self, _event: Any = None) -> None:
        """Show the real size in the cursor and in the panel, whoever set it."""
        brush = self.brush
        if self._setting or brush is None:
            return
        self._ball = brush.is_ball
        self._layer.cursor_size = brush.diameter_mm
        self.brush_changed.emit(brush)

    def _on_mode(self, _event: Any) -> None:
        brush = self.brush
        if brush is not None and self.mode in BRUSHES:
            self._layer.cursor_size = brush.diameter_mm
        self.mode_changed.emit(self.mode)

    def _on_editable(self, _event: Any = None) -> None:
        self.editable_changed.emit(bool(self._layer.editable))

    # -- strokes -----------------------------------------------------------------------------------------------------

    def _on_drag(self, layer: Any, event: Any) -> Iterator[None]:
        """Follow a stroke from press to release, and fill the gaps that napari leaves on coarse axes."""
        if layer.mode not in BRUSHES or self._viewer.dims.ndisplay != 2 or event.button == 2:
            return
        if layer.cursor == "circle_frozen":
            return
        label = 0 if layer.mode == ERASE else self.label
        last = np.asarray(layer.world_to_data(event.position), dtype=float)
        self.stroking = True
        self._sweep(last[np.newaxis], label)
        yield
        while event.type == "mouse_move":
            here = np.asarray(layer.world_to_data(event.position), dtype=float)
            points = self._fill_gaps(last, here, label)
            self._sweep(np.concatenate([last[np.newaxis], points]), label)
            last = here
            yield
        self.flush()
        self.stroking = False
        self.stroke_ended.emit()

    def _fill_gaps(self, last: npt.NDArray[np.float64], here: npt.NDArray[np.float64], label: int) -> Any:
        brush = self.brush
        if brush is None or not napari_leaves_gaps(brush, self._spacing(self._axes()[-2:])):
            return here[np.newaxis]
        points = marks_between(last, here, self._spacing(range(3)), brush.diameter_mm / 2)
        fixed = [axis for axis in range(3) if axis not in self._painted_axes()]
        shape = np.asarray(self._layer.data.shape)
        for number, point in enumerate(points, start=1):
            if all(0 <= point[axis] < shape[axis] for axis in fixed):
                self._layer.paint(point, label, refresh=number == len(points))
        return points

    def _sweep(self, points: npt.NDArray[np.float64], label: int) -> None:
        brush = self.brush
        if brush is None or self._view is None:
            return
        reach = np.zeros(3, dtype=int)
        reach[self._painted_axes()] = brush.reach
        box = swept_box(points, reach.tolist(), self._view.display_shape)
        if box is not None:
            self.stroke_going.emit(self._view.box_to_native(box), label)

    def _on_paint(self, event: Any) -> None:
        """One thing was painted, or is about to be: a stroke, a fill, a polygon, or a plugin's `data_setitem`.

        napari tells of a stroke by mouse when it is over, and of everything else a moment before it writes.
        """
        self.flush()
        if self._view is None or self._layer is None:
            return
        data = np.asarray(self._layer.data)
        box, before = before_of(event.value, data)
        native = np.empty([part.stop - part.start for part in self._view.box_to_native(box)], dtype=before.dtype)
        self._view.apply(native)[...] = before
        self._pending = (self._view.box_to_native(box), native)
        if np.array_equal(data[box], before):
            self.pending.emit()
        else:
            self.flush()

    def flush(self, _event: Any = None) -> None:
        """Hand on what napari announced and has written by now."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self.painted.emit(*pending)

    def _on_data(self, _event: Any) -> None:
        """Somebody put another array into the layer: hand it on, and show the study's own again."""
        if self._setting or self._view is None or self._array is None:
            return
        other = np.asarray(self._layer.data)
        own = self._view.apply(self._array)
        if other.shape == own.shape and np.shares_memory(other, own):
            return
        native = np.empty(self._array.shape, dtype=other.dtype) if other.shape == own.shape else other
        if other.shape == own.shape:
            self._view.apply(native)[...] = other
        self._setting = True
        try:
            self._layer.data = own
        finally:
            self._setting = False
        self.replaced.emit(native)
        self.refresh()

    def _on_undo_key(self, _layer: Any) -> None:
        self.flush()
        self.undo_asked.emit()

    def _on_redo_key(self, _layer: Any) -> None:
        self.flush()
        self.redo_asked.emit()


def before_of(history_item: Sequence[Any], data: IntArray) -> tuple[Box, IntArray]:
    """Box of everything that one of napari's history items changed, and its voxels before.

    Parameters
    ----------
    history_item
        What napari's paint event carries: a list of atoms in the order of painting. An atom has either ``slice_key``
        (one slice an axis), ``mask`` (None for the whole box) and ``old_values``, or is a tuple ``(indices, values
        before, values after)``.
    data
        The array of the layer after painting.
    """
    boxes = [_box_of_atom(atom) for atom in history_item]
    low = np.min([[part.start for part in box] for box in boxes], axis=0)
    high = np.max([[part.stop for part in box] for box in boxes], axis=0)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    before = data[z, y, x].copy()
    for atom in reversed(history_item):
        if hasattr(atom, "slice_key"):
            part = before[tuple(slice(p.start - s, p.stop - s) for p, s in zip(atom.slice_key, low, strict=True))]
            part[... if atom.mask is None else atom.mask] = atom.old_values
        else:
            indices, values, _ = atom
            before[tuple(np.asarray(i) - start for i, start in zip(indices, low, strict=True))] = values
    return (z, y, x), before


def _box_of_atom(atom: Any) -> tuple[slice, ...]:
    if hasattr(atom, "slice_key"):
        return tuple(atom.slice_key)
    return tuple(slice(int(np.min(i)), int(np.max(i)) + 1) for i in atom[0])
