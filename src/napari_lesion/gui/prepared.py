"""Layers of prepared images: the preview of a slice, and whole images beside the original."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_lesion.core.display import AXIS_LABELS, AnatomicalView
from napari_lesion.core.volume import Volume
from napari_lesion.gui.layers import UNITS, VOLUME_KEY, LayerBridge
from napari_lesion.workflow.prepare import SlicePreview

PREVIEW_NAME = "Preview of prepared slices"
SPARSE = 64


class PreparedLayers:
    """Shows prepared images above the image of the study and below its lesions.

    Parameters
    ----------
    bridge
        Shows the study.
    """

    def __init__(self, bridge: LayerBridge) -> None:
        self._bridge = bridge
        self._viewer = bridge.viewer
        self._preview: Any = None
        self._limits: tuple[float, float] | None = None
        self._added: list[Any] = []

    def slice_index(self) -> int | None:
        """Index along the axial axis of the file at which the viewer's slider stands; None without a study."""
        volume = self._volume
        return None if volume is None else self._bridge.position()[volume.grid.axial_axis]

    def show_preview(self, shown: SlicePreview | None) -> None:
        """Show a treated slice in place of the one before; the contrast is the user's while the chain is the same."""
        if shown is None or self._volume is None:
            self._remove(self._preview)
            self._preview = None
            return
        data, placing = self._placed(shown.volume)
        if self._preview is None or not self._is_shown(self._preview):
            self._preview = self._insert(data, PREVIEW_NAME, shown.limits, placing)
        else:
            self._preview.data = data
            self._preview.scale, self._preview.translate = placing["scale"], placing["translate"]
            if shown.limits != self._limits:
                self._set_contrast(self._preview, shown.limits)
        self._limits = shown.limits

    def add(self, volume: Volume, name: str) -> None:
        """Show a prepared image as a layer of its own, which can become a study by "Use the selected layer"."""
        if self._volume is None:
            return
        data, placing = self._placed(volume)
        step = tuple(max(1, n // SPARSE) for n in data.shape)
        low, high = (float(v) for v in np.percentile(data[:: step[0], :: step[1], :: step[2]], (1, 99.9)))
        limits = (low, high if high > low else low + 1.0)
        layer = self._insert(data, f"{volume.source.case}: {name}", limits, placing)
        layer.metadata = {VOLUME_KEY: volume}
        self._added.append(layer)

    def clear(self) -> None:
        """Take all of them away: they belong to a study that is no longer open."""
        self.show_preview(None)
        for layer in self._added:
            self._remove(layer)
        self._added = []

    @property
    def _volume(self) -> Volume | None:
        layer = self._bridge.image_layer
        return None if layer is None else layer.metadata[VOLUME_KEY]

    def _placed(self, volume: Volume) -> tuple[Any, dict[str, Any]]:
        """The anatomical view of a volume, and where it lies in the world of the study's layers."""
        study, view = self._volume, AnatomicalView.of(volume.grid)
        assert study is not None
        shown = AnatomicalView.of(study.grid)
        first = study.grid.to_index(volume.grid.to_physical(view.to_native((0, 0, 0))))
        translate = shown.to_display(first) * np.asarray(shown.spacing)
        return view.apply(volume.array), {"scale": view.spacing, "translate": tuple(float(t) for t in translate)}

    def _insert(self, data: Any, name: str, limits: tuple[float, float], placing: dict[str, Any]) -> Any:
        viewer = self._viewer
        active, point = viewer.layers.selection.active, viewer.dims.point
        layer = viewer.add_image(
            data, name=name, colormap="gray", contrast_limits=limits, units=UNITS, axis_labels=AXIS_LABELS, **placing
        )
        viewer.layers.move(len(viewer.layers) - 1, self._index(self._bridge.image_layer) + 1)
        viewer.layers.selection.active = active
        viewer.dims.set_point(tuple(range(len(point))), point)
        return layer

    def _set_contrast(self, layer: Any, limits: tuple[float, float]) -> None:
        layer.contrast_limits_range = limits
        layer.contrast_limits = limits

    def _index(self, layer: Any) -> int:
        return next(i for i, other in enumerate(self._viewer.layers) if other.unique_id == layer.unique_id)

    def _is_shown(self, layer: Any) -> bool:
        return any(other.unique_id == layer.unique_id for other in self._viewer.layers)

    def _remove(self, layer: Any) -> None:
        if layer is not None and self._is_shown(layer):
            del self._viewer.layers[self._index(layer)]
