"""The bridge to napari's layers, on the main thread only; `gui.painting` and `gui.axes` know one layer each.

Image, labels and axes are anatomical NumPy views of the study's own arrays, so painting in a layer is painting
in the study.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from psygnal import Signal

from napari_lesion.core.display import AXIS_LABELS, AnatomicalView
from napari_lesion.core.errors import LesionError
from napari_lesion.core.probability import SCALE, ProbabilityMap
from napari_lesion.core.volume import Volume
from napari_lesion.gui.adopt import volume_of_layer
from napari_lesion.gui.axes import AxesCanvas
from napari_lesion.gui.palette import YELLOW
from napari_lesion.gui.presenters.axes import AxisLine
from napari_lesion.gui.presenters.viewing import MaskStyle
from napari_lesion.gui.windows import Window
from napari_lesion.workflow.explain import HeatMap
from napari_lesion.workflow.study import Study

UNITS = ("mm", "mm", "mm")
LABELS_NAME = "Lesions"
SPREAD_NAME = "Spread of the model"
HEAT_OPACITY = 0.7
VOLUME_KEY = "napari_lesion_volume"
PLANES = ("Axial", "Coronal", "Sagittal")
SIDES = (("S", "I"), ("A", "P"), ("R", "L"))
FEWEST_COLOURS = 256
FIXED_AXES = "Axes can be moved in axial slices only  "
EXTENT_SHARE = 1 / 3
SMALLEST_VIEW_MM = 60.0
KEEP_ZOOM_BETWEEN = (0.1, 0.6)
FALLBACK_CANVAS = (600, 600)


class LayerBridge:
    """Shows one study in a viewer.

    Parameters
    ----------
    viewer
        napari's viewer, or the public proxy of it that plugin widgets get.
    """

    lesion_clicked = Signal(int)
    """Label under a click in the image; 0 beside every lesion."""
    image_removed = Signal()
    """The user removed the image layer of the study."""
    images_changed = Signal()
    """An image layer that is not the study's came or went."""
    labels_removed = Signal()
    """The user removed the lesion layer of the study."""
    labels_shown = Signal(object)
    """The lesion layer of another study is there; None when there is none."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.view: AnatomicalView | None = None
        self._image: Any = None
        self._labels: Any = None
        self._spread: Any = None
        self._heat: Any = None
        self.axes = AxesCanvas(viewer)
        self._busy = False
        self._colours: dict[int, str] = {}
        self._adopted: dict[str, Volume] = {}
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.mouse_drag_callbacks.append(self._on_press)

    # -- the layers of a study ---------------------------------------------------------------------------------------

    @property
    def image_layer(self) -> Any:
        """Image layer of the study; None when it is not shown."""
        return self._image

    @property
    def labels_layer(self) -> Any:
        """Labels layer of the study; None when it is not shown."""
        return self._labels

    def show(self, study: Study, window: Window) -> None:
        """Show the image and the lesions of a study instead of those shown before."""
        self.clear()
        self.view = AnatomicalView.of(study.volume.grid)
        self._busy = True
        try:
            self._image = self.viewer.add_image(
                self.view.apply(study.volume.array),
                name=study.volume.source.case,
                contrast_limits=window.limits,
                colormap="gray",
                metadata={VOLUME_KEY: study.volume},
                **self._placing(),
            )
            self._widen_contrast(window)
            self._add_overlays(study)
        finally:
            self._busy = False
        self._set_up_viewer()

    def show_labels(self, study: Study) -> None:
        """Show the lesion layer again after it was removed."""
        if self.view is None or self._labels is not None:
            return
        self._busy = True
        try:
            self._remove(self.axes.layer)
            self._add_overlays(study)
        finally:
            self._busy = False

    def show_spread(self, spread: ProbabilityMap | None) -> None:
        """Show how far the passes of an augmentation differ, in the bytes of a probability; None hides it."""
        self._remove(self._spread)
        self._spread = None
        if spread is None or self.view is None:
            return
        active = self.viewer.layers.selection.active
        self._busy = True
        self._spread = self.viewer.add_image(
            self.view.apply(spread.dense()),
            name=SPREAD_NAME,
            contrast_limits=(0, SCALE // 2),
            colormap="inferno",
            blending="additive",
            **self._placing(),
        )
        self._busy = False
        self.viewer.layers.move(self._index(self._spread), self._index(self._image) + 1)
        self.viewer.layers.selection.active = active

    def show_heat(self, heat: HeatMap | None) -> None:
        """Show a map over the slice that it lies on; None hides it."""
        self._remove(self._heat)
        self._heat = None
        if heat is None or self.view is None:
            return
        active = self.viewer.layers.selection.active
        first = [part.start for part in self.view.box_to_display(heat.box)]
        self._heat = self.viewer.add_image(
            self.view.apply(heat.array),
            name=f"{heat.name} of the rating",
            contrast_limits=(0, 1),
            colormap=heat_colours(),
            blending="translucent_no_depth",
            opacity=HEAT_OPACITY,
            translate=tuple(start * edge for start, edge in zip(first, self.view.spacing, strict=True)),
            **self._placing(),
        )
        self.viewer.layers.move(self._index(self._heat), self._index(self._image) + 1)
        self.viewer.layers.selection.active = active

    def clear(self) -> None:
        """Take the layers of the study out of the viewer."""
        self.show_spread(None)
        self.show_heat(None)
        self._busy = True
        try:
            for layer in (self.axes.layer, self._labels, self._image):
                self._remove(layer)
        finally:
            self._busy = False
        self._image = self._labels = self.view = None
        self.axes.forget()
        self._colours = {}
        self.labels_shown.emit(None)

    def disconnect(self) -> None:
        """Stop listening to the viewer; the layers stay."""
        self.axes.close()
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.viewer.layers.events.inserted.disconnect(self._on_inserted)
        if self._on_press in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._on_press)

    def _placing(self) -> dict[str, Any]:
        assert self.view is not None
        return {"scale": self.view.spacing, "units": UNITS, "axis_labels": AXIS_LABELS}

    def _add_overlays(self, study: Study) -> None:
        assert self.view is not None
        axes = self.axes.add(self.view, **self._placing())
        self._labels = self.viewer.add_labels(
            self.view.apply(study.labels.array),
            name=LABELS_NAME,
            metadata={VOLUME_KEY: study.volume},
            **self._placing(),
        )
        self.viewer.layers.move(self._index(axes), len(self.viewer.layers))
        self.viewer.layers.selection.active = self._labels
        self.labels_shown.emit(self._labels)

    def _set_up_viewer(self) -> None:
        viewer = self.viewer
        viewer.dims.ndisplay = 2
        viewer.dims.order = (0, 1, 2)
        viewer.canvas.overlays.scale_bar.visible = True
        viewer.fit_to_view()

    def _widen_contrast(self, window: Window) -> None:
        data = self._image.data
        step = tuple(max(1, n // 64) for n in data.shape)
        part = data[:: step[0], :: step[1], :: step[2]]
        low, high = float(np.nanmin(part)), float(np.nanmax(part))
        self._image.contrast_limits_range = (min(low, window.limits[0]), max(high, window.limits[1]))
        self._image.contrast_limits = window.limits

    def _index(self, layer: Any) -> int:
        return next(i for i, other in enumerate(self.viewer.layers) if other.unique_id == layer.unique_id)

    def _remove(self, layer: Any) -> None:
        if layer is not None and any(other.unique_id == layer.unique_id for other in self.viewer.layers):
            del self.viewer.layers[self._index(layer)]

    # -- looks -------------------------------------------------------------------------------------------------------

    def set_window(self, window: Window) -> None:
        """Show the image in another window."""
        if self._image is not None:
            low, high = self._image.contrast_limits_range
            self._image.contrast_limits_range = (min(low, window.limits[0]), max(high, window.limits[1]))
            self._image.contrast_limits = window.limits

    def set_style(self, style: MaskStyle) -> None:
        """Draw lesions as outlines or filled."""
        if self._labels is not None:
            self._labels.contour = style.outline_px if style.outline else 0
            self._labels.opacity = 1.0 if style.outline else style.fill_opacity

    def set_colours(self, colours: Mapping[int, str]) -> None:
        """Colour of each lesion.

        A cyclic map as long as the labels go: napari prepares it in 10 ms, a direct one of 16-bit labels in 150 ms.
        """
        if self._labels is None or dict(colours) == self._colours:
            return
        from napari.utils.colormaps import CyclicLabelColormap

        self._colours = dict(colours)
        size = max(FEWEST_COLOURS, max(colours, default=0) + 1)
        wheel = [colours.get(label, YELLOW) for label in range(size)]
        self._labels.colormap = CyclicLabelColormap(colors=wheel, background_value=0)

    def set_hidden(self, hidden: bool) -> None:
        """Hide lesions and axes, or show them again."""
        for layer in (self._labels, self.axes.layer):
            if layer is not None:
                layer.visible = not hidden

    def set_editable(self, editable: bool) -> None:
        """Whether the user may paint and move axes: not while a job looks at the labels."""
        self.axes.enabled = editable
        if self._labels is not None and self._labels.editable != editable:
            self._labels.editable = editable

    def set_caption(self, text: str) -> None:
        """Words in the corner of the canvas."""
        overlay = self.viewer.canvas.overlays.text
        overlay.position = "top_left"
        overlay.text = text
        overlay.visible = bool(text)

    def refresh_labels(self) -> None:
        """Draw the lesions again after their array was changed in place."""
        if self._labels is not None:
            self._labels.refresh()

    # -- places ------------------------------------------------------------------------------------------------------

    def select(self, label: int) -> None:
        """Make a lesion the one that the brush paints."""
        if self._labels is not None and label:
            self._labels.selected_label = label

    def draw_axes(self, lines: Sequence[AxisLine]) -> None:
        """Draw the axes of a lesion with their lengths instead of those drawn before."""
        self.axes.draw(lines)

    def go_to(self, native_zyx: Sequence[float], extent_mm: float) -> None:
        """Centre the view on a native index, so that something of this size takes about a third of it."""
        if self.view is None:
            return
        viewer = self.viewer
        shown = np.round(self.view.to_display(native_zyx))
        point = shown * np.asarray(self.view.spacing)
        viewer.dims.set_point((0, 1, 2), tuple(float(p) for p in point))
        if viewer.dims.ndisplay == 3:
            viewer.camera.center = tuple(float(p) for p in point)
            return
        across, down = (float(point[axis]) for axis in viewer.dims.displayed[-2:])
        viewer.camera.center = (0.0, across, down)
        height, width = viewer.canvas.size if min(viewer.canvas.size) > 0 else FALLBACK_CANVAS
        viewer.camera.zoom = _zoom(float(viewer.camera.zoom), float(min(height, width)), extent_mm)

    def position(self) -> tuple[int, int, int]:
        """Native index (z, y, x) of the point where the viewer's sliders stand."""
        if self.view is None:
            return (0, 0, 0)
        shown = np.asarray(self.viewer.dims.point) / np.asarray(self.view.spacing)
        limit = np.asarray(self.view.display_shape) - 1
        z, y, x = (round(float(i)) for i in self.view.to_native(np.clip(np.round(shown), 0, limit)))
        return z, y, x

    def describe_slice(self) -> str:
        """Plane, slice and where the patient's sides are, for the corner of the canvas."""
        dims = self.viewer.dims
        if self.view is None or dims.ndim != 3:
            return ""
        note = "" if self.axes.in_axial_view or not self.axes.lines else FIXED_AXES
        if dims.ndisplay != 2:
            return note
        axis, down, across = (int(i) for i in dims.order[-3:])
        shown = int(dims.current_step[axis]) + 1
        plane, (top, _), (left, _) = PLANES[axis], SIDES[down], SIDES[across]
        words = f"{plane} {shown} of {self.view.display_shape[axis]}, {top} at the top, {left} on the left  "
        return f"{words}\n{note}" if note else words

    def selected_image(self) -> Any:
        """Image layer that the user selected in napari's layer list; None when it is not a 3-D image."""
        layer = self.viewer.layers.selection.active
        if layer is None or getattr(layer, "rgb", True):
            return None
        return layer

    def images(self) -> list[tuple[str, Volume]]:
        """Name and volume of every image layer that is not the study's own; what is no volume is left out."""
        own = {layer.unique_id for layer in (self._image, self._spread) if layer is not None}
        images = (layer for layer in self.viewer.layers if hasattr(layer, "contrast_limits"))
        others = [layer for layer in images if layer.unique_id not in own]
        self._adopted = {layer.unique_id: volume for layer in others if (volume := self._volume(layer)) is not None}
        return [(layer.name, self._adopted[layer.unique_id]) for layer in others if layer.unique_id in self._adopted]

    def _volume(self, layer: Any) -> Volume | None:
        """Volume of a layer; made once, since one that another reader made may have to be copied."""
        known = layer.metadata.get(VOLUME_KEY) or self._adopted.get(layer.unique_id)
        if known is not None or getattr(layer, "rgb", True):
            return known if isinstance(known, Volume) else None
        try:
            return volume_of_layer(layer)
        except LesionError:
            return None

    # -- what the user does in napari --------------------------------------------------------------------------------

    def _on_inserted(self, event: Any) -> None:
        if not self._busy and hasattr(event.value, "contrast_limits"):
            self.images_changed.emit()

    def _on_removed(self, event: Any) -> None:
        if self._busy:
            return
        gone = event.value.unique_id
        if self._image is not None and gone == self._image.unique_id:
            self._image = None
            self.image_removed.emit()
        elif self._labels is not None and gone == self._labels.unique_id:
            self._labels = None
            self._colours = {}
            self.labels_shown.emit(None)
            self.labels_removed.emit()
        elif self.axes.layer is not None and gone == self.axes.layer.unique_id:
            self.axes.forget()
        elif gone in self._adopted:
            self.images_changed.emit()

    def _on_press(self, _viewer: Any, event: Any) -> Iterator[None]:
        """Select the lesion under a click; a drag moves the view or an axis, and a brush paints."""
        if self.axes.dragging:
            return
        yield
        while event.type == "mouse_move":
            if not _still(event):
                return
            yield
        if self._labels is None or self._labels.mode != "pan_zoom" or self._labels.ndim != len(event.position):
            return
        value = self._labels.get_value(
            event.position, view_direction=event.view_direction, dims_displayed=event.dims_displayed, world=True
        )
        self.lesion_clicked.emit(int(value or 0))


def _still(event: Any) -> bool:
    """Whether the pointer has not left the place where the button went down."""
    return event.press_event is None or bool(np.abs(event.pos - event.press_event.pos).max() < 3)


def _zoom(present: float, canvas_px: float, extent_mm: float) -> float:
    """Canvas pixels per millimetre: the present zoom when the lesion is well visible in it, else a third."""
    share = present * extent_mm / canvas_px
    wide_enough = canvas_px / present <= max(SMALLEST_VIEW_MM, extent_mm / EXTENT_SHARE) * 2
    if KEEP_ZOOM_BETWEEN[0] <= share <= KEEP_ZOOM_BETWEEN[1] and wide_enough:
        return present
    return canvas_px / max(SMALLEST_VIEW_MM, extent_mm / EXTENT_SHARE)


def heat_colours() -> Any:
    """Colours of a map, clear where it is low; added to the grey of a nodule, which is bright, all would be white."""
    from napari.utils.colormaps import Colormap, ensure_colormap

    steps = np.linspace(0, 1, 64)
    colours = np.array(ensure_colormap("plasma").map(steps))
    colours[:, 3] = np.clip(1.5 * steps, 0, 1)
    return Colormap(colours, name="plasma from clear")
