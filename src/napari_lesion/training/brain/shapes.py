"""Real lesion shapes at their real places, to be set into other brains.

Only masks of patients of whom no image is in the data are used: then no shape of a patient can reach the fold that
leaves this patient out.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.training.brain.cases import BoolArray, FloatArray, list_visits, load_image, moved_by_box

FOLDER = "brain_lesion_masks"
TABLE = "masks.csv"
MAX_STROKE_ML = 60.0

LJUBLJANA_BOX = np.array([[-64.5, -97.5, -54.5], [64.5, 57.0, 68.0]])
"""Box of the brains that the Ljubljana masks belong to, mm: mean of the two whose images are there."""
TEMPLATE_BOX = np.array([[-72.0, -105.0, -68.0], [72.0, 73.0, 80.0]])
"""Box of a brain that was scaled to the MNI template, mm."""


@dataclass(frozen=True)
class ShapeFile:
    """One mask of somebody's lesions.

    Parameters
    ----------
    path
        NIfTI, 1 mm.
    subject
        Whose lesions.
    kind
        ``sclerosis`` (all lesions of a patient) or ``stroke``.
    volume_ml
        Volume of all of them.
    """

    path: Path
    subject: str
    kind: str
    volume_ml: float

    @property
    def brain_box(self) -> FloatArray:
        """Lowest and highest corner (2, 3) of the brain that the mask belongs to, mm, RAS."""
        return (LJUBLJANA_BOX if self.path.name.startswith("ljubljana") else TEMPLATE_BOX).astype(np.float32)


def list_shapes(data: Path) -> list[ShapeFile]:
    """Masks that may be used for any fold: none of a patient of whom there is an image."""
    imaged = {visit.patient for visit in list_visits(data)}
    with (data / FOLDER / TABLE).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    shapes = [
        ShapeFile(
            data / FOLDER / row["file"],
            row["subject"],
            "sclerosis" if "ms" in row["file"].split("_")[:2] or "mslesseg" in row["file"] else "stroke",
            float(row["volume_ml"]),
        )
        for row in rows
        if not any(row["file"].startswith(patient) for patient in imaged)
    ]
    return [shape for shape in shapes if shape.kind == "sclerosis" or shape.volume_ml <= MAX_STROKE_ML]


def load_shape(
    shape: ShapeFile, brain_box: npt.NDArray[Any], origin: npt.NDArray[Any], size: tuple[int, ...]
) -> BoolArray:
    """A mask brought into another brain, box upon box.

    Parameters
    ----------
    shape
        What to read.
    brain_box
        Lowest and highest corner (2, 3) of the other brain, mm.
    origin, size
        World position of the first voxel, mm, and shape (x, y, z) of its 1 mm image.
    """
    inside: BoolArray = (
        moved_by_box(load_image(shape.path, labels=True), shape.brain_box, brain_box, origin, size) >= 0.5
    )
    return inside
