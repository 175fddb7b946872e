"""A labels layer back on the grid of its image, for the writers that napari calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_lesion.core.display import AXIS_LABELS, AnatomicalView
from napari_lesion.core.errors import InputError
from napari_lesion.core.volume import LabelMap, Source, Volume
from napari_lesion.gui.adopt import grid_of
from napari_lesion.gui.layers import VOLUME_KEY


def labels_of_layer(data: Any, attributes: dict[str, Any]) -> tuple[LabelMap, Source]:
    """Labels of a layer on their native grid, and the source whose grid they are on.

    Parameters
    ----------
    data
        Array of the layer, as it is shown.
    attributes
        Attributes of the layer, as napari hands them to a writer.

    Raises
    ------
    InputError
        When the layer is not 3-D.
    GeometryError
        When it lies rotated or sheared in napari's world.
    """
    array = np.asarray(data)
    if array.ndim != 3:
        raise InputError("The labels cannot be written", f"they have {array.ndim} dimensions", "Select a 3-D layer")
    volume = attributes.get("metadata", {}).get(VOLUME_KEY)
    if isinstance(volume, Volume):
        view = AnatomicalView.of(volume.grid)
        if view.display_shape == array.shape:
            native = np.zeros(volume.grid.shape, dtype=array.dtype)
            view.apply(native)[...] = array
            return LabelMap(native, volume.grid), volume.source
    affine = np.eye(4)
    affine[:3, :3] = np.diag(attributes.get("scale", (1.0, 1.0, 1.0)))
    affine[:3, 3] = attributes.get("translate", (0.0, 0.0, 0.0))
    whole = np.asarray(attributes.get("affine", np.eye(4)), dtype=np.float64) @ affine
    downward = tuple(attributes.get("axis_labels", ())) == AXIS_LABELS
    return LabelMap(array, grid_of(array.shape, whole, downward=downward)), Source()
