"""Labelled brain MR of a data folder, prepared at 1 mm: each visit names its patient, and folds are patients.

Arrays here are (x, y, z), increasing to right, anterior and superior, as MONAI's ``Orientationd`` with
``axcodes="RAS"`` gives them.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError

FOLDER = "brain_flair"
TABLE = "cases.csv"
SCLEROSIS = ("ljubljana_ms", "mslesseg")
"""Beginnings of the names of patients with multiple sclerosis, every lesion of whom is outlined."""

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Visit:
    """One labelled examination.

    Parameters
    ----------
    name, patient
        As the table names them; the visits of one patient share the patient.
    folder
        Folder with ``flair``, ``lesion``, ``brain_mask`` and perhaps ``t1``, each ``.nii.gz``.
    """

    name: str
    patient: str
    folder: Path

    def file(self, image: str) -> Path:
        """Path of one of its images, whether it is there or not."""
        return self.folder / f"{image}.nii.gz"

    @property
    def sclerosis(self) -> bool:
        """Whether every FLAIR lesion is outlined; of a stroke patient only the stroke is."""
        return self.name.startswith(SCLEROSIS)


def list_visits(data: Path) -> list[Visit]:
    """All labelled visits of a data folder.

    Raises
    ------
    InputError
        When the table or an image of it is missing.
    """
    table = data / FOLDER / TABLE
    if not table.is_file():
        raise InputError(f"{data} has no labelled brains", f"{FOLDER}/{TABLE} is missing", "Give the data folder")
    with table.open(encoding="utf-8", newline="") as stream:
        visits = [Visit(row["case"], row["patient"], table.parent / row["case"]) for row in csv.DictReader(stream)]
    missing = [v.file(i) for v in visits for i in ("flair", "lesion", "brain_mask") if not v.file(i).is_file()]
    if missing:
        raise InputError("The data folder is not complete", f"{missing[0]} is missing", "Fetch it again")
    return visits


def patients_with_sclerosis(data: Path) -> list[str]:
    """Patients who are trained on, and left out in turn."""
    return sorted({visit.patient for visit in list_visits(data) if visit.sclerosis})


@dataclass(frozen=True, eq=False)
class Image:
    """A 1 mm image with its place.

    Parameters
    ----------
    array
        Float32 (x, y, z).
    origin
        World position of its first voxel, mm, RAS.
    """

    array: FloatArray
    origin: npt.NDArray[np.float64]


def load_image(path: Path, labels: bool = False) -> Image:
    """Read a file with MONAI, turn it to RAS and bring it to 1 mm.

    Parameters
    ----------
    path
        NIfTI.
    labels
        Take the nearest voxel instead of interpolating.
    """
    image = _preparation(labels)(str(path))
    affine = np.asarray(image.affine, dtype=np.float64)
    return Image(image[0].numpy().astype(np.float32), affine[:3, 3])


@cache
def _preparation(labels: bool) -> Callable[[str], Any]:
    from monai import transforms as mt

    with warnings.catch_warnings():
        # LoadImage makes one of every reader; that of nvImageCodec complains where it is not installed.
        warnings.filterwarnings("ignore", "NvImgCodecPydicomReader", UserWarning)
        load = mt.LoadImage(reader="NibabelReader", ensure_channel_first=True)
    prepare: Callable[[str], Any] = mt.Compose(
        [
            load,
            mt.Orientation(axcodes="RAS", labels=None),
            mt.Spacing(pixdim=(1.0, 1.0, 1.0), mode="nearest" if labels else "bilinear"),
        ]
    )
    return prepare


def moved_by_box(
    image: Image, box: npt.NDArray[Any], onto: npt.NDArray[Any], origin: npt.NDArray[Any], size: tuple[int, ...]
) -> FloatArray:
    """An image stretched from the box of its brain to the box of another one (linear interpolation).

    Parameters
    ----------
    image
        What is moved; 0 outside.
    box, onto
        Lowest and highest corner (2, 3) of the brain that it belongs to, and of the other one, mm.
    origin, size
        World position of the first voxel of the other image, mm, and its shape (x, y, z) at 1 mm.
    """
    from scipy import ndimage

    scale = (box[1] - box[0]) / (onto[1] - onto[0])
    offset = box[0] + (origin - onto[0]) * scale - image.origin
    moved: FloatArray = ndimage.affine_transform(image.array, scale, offset, output_shape=size, order=1)
    return moved


def box_of(mask: BoolArray, origin: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Lowest and highest corner (2, 3) of a mask, mm."""
    where = np.argwhere(mask)
    corners: npt.NDArray[np.float64] = np.stack([where.min(0), where.max(0)]) + origin
    return corners
