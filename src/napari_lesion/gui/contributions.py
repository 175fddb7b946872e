"""What napari.yaml names: readers, writers, sample data and the dock.

Everything heavy is imported inside the functions, so that naming this module costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_lesion.core.volume import Volume

LayerData = tuple[Any, dict[str, Any], str]
Reader = Callable[[str | list[str]], list[LayerData]]


def __getattr__(name: str) -> Any:
    """Import the dock, and Qt with it, when napari asks for it; readers and writers work without Qt."""
    if name == "LesionDock":
        from napari_lesion.gui.dock import LesionDock

        return LesionDock
    raise AttributeError(name)


def get_reader(path: str | list[str]) -> Reader | None:
    """Reader for NIfTI, NRRD, MHA, MHD, DICOM files and DICOM folders; None for a list of files."""
    return read if isinstance(path, str) else None


def read(path: str | list[str]) -> list[LayerData]:
    """Read one volume as an image layer in anatomical display order, in millimetres.

    The largest CT or MR series of a DICOM folder is taken; the dock's "Open study…" lets one choose.
    """
    from napari_lesion.workflow.open_study import OpenRequest, open_study

    if not isinstance(path, str):
        raise TypeError("one path at a time")
    return [image_layer(open_study(OpenRequest(Path(path))).volume)]


def image_layer(volume: Volume) -> LayerData:
    """Layer data of a volume: a view of its array with scale, units and axis labels, and the volume itself."""
    from napari_lesion.core.display import AXIS_LABELS, AnatomicalView
    from napari_lesion.gui.layers import UNITS, VOLUME_KEY
    from napari_lesion.gui.windows import first_window

    view = AnatomicalView.of(volume.grid)
    options = {
        "name": volume.source.case,
        "scale": view.spacing,
        "units": UNITS,
        "axis_labels": AXIS_LABELS,
        "colormap": "gray",
        "contrast_limits": first_window(volume).limits,
        "metadata": {VOLUME_KEY: volume},
    }
    return view.apply(volume.array), options, "image"


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer to .nii.gz, .nrrd or .mha on the grid of the image that it belongs to.

    A layer of the dock, and one made from an image that this plugin read, knows its image; another one gets
    a grid from its scale and translate.
    """
    from napari_lesion.gui.save import labels_of_layer
    from napari_lesion.io.masks import verify_labels
    from napari_lesion.io.masks import write_labels as write

    labels, source = labels_of_layer(data, attributes)
    write(Path(path), labels, source)
    verify_labels(Path(path), labels)
    return [path]


def open_sample(name: str) -> list[LayerData]:
    """Sample data by its name, for napari's File menu."""
    from napari_lesion.workflow.sample import open_sample as open_study

    return [image_layer(open_study(name).volume)]


open_synthetic_chest = partial(open_sample, "synthetic_chest")
open_lidc_0314_part = partial(open_sample, "lidc_0314_part")
