"""Measure a mask that came from anywhere, on its image: two files in, one table out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_lesion.core.errors import InputError
from napari_lesion.core.grid import require_same_grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.table import LesionTable
from napari_lesion.core.volume import LabelMap, Modality
from napari_lesion.io.masks import read_labels
from napari_lesion.io.tables import write_table
from napari_lesion.measure.components import split_components
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.registry import CORE
from napari_lesion.workflow.export import make_folder
from napari_lesion.workflow.open_study import OpenRequest, open_study


@dataclass(frozen=True)
class MeasureFilesRequest:
    """What to measure.

    Parameters
    ----------
    image
        Image file or DICOM folder.
    mask
        Label map on the grid of the image; every value but 0 is one lesion.
    out
        The table to write.
    components
        Whether the mask is binary and each of its 26-connected parts is one lesion.
    features
        Families or names of measures, or ``core`` or ``all``.
    modality
        Modality that the user states; None for that of the file, or a guess.
    """

    image: Path
    mask: Path
    out: Path
    components: bool = False
    features: tuple[str, ...] = (CORE,)
    modality: Modality | None = None


def measure_files(request: MeasureFilesRequest, ctx: JobContext | None = None) -> LesionTable:
    """Read both files, measure every lesion, and write the table (header only when the mask is empty).

    Raises
    ------
    InputError
        When a file cannot be read, or the mask lies on another grid than the image.
    """
    ctx = ctx or JobContext()
    study = open_study(OpenRequest(request.image, modality=request.modality), ctx)
    ctx.step("Reading the mask")
    labels = read_labels(request.mask)
    require_same_grid(study.volume.grid, labels.grid, f"The mask {request.mask.name}")
    if request.components:
        labels = split_components(labels)
    # the same grid up to rounding in the header: places are reported through the image's
    labels = LabelMap(labels.array, study.volume.grid)
    lesions = {label: Lesion(label, Status.MANUAL) for label in _labels_in(labels)}
    ctx.step("Measuring")
    table = measure_lesions(study.volume, labels, MeasureRequest(lesions, request.features), ctx)
    make_folder(request.out.parent)
    write_table(request.out, table)
    return table


def _labels_in(labels: LabelMap) -> list[int]:
    if int(labels.array.min(initial=0)) < 0:
        raise InputError(
            "The mask holds negative numbers", "labels count from 1, and 0 is background", "Correct the mask"
        )
    values = np.unique(labels.array)
    return [int(value) for value in values if value > 0]
