"""What there is to learn from: nodule cubes, slabs and whole scans, each with what its marks mean."""

from __future__ import annotations

import csv
import gzip
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.training.folds import TEST_ONLY

NEVER = 255
"""Mask value that no voxel has: nothing of the mask is taken for lesion."""

NEIGHBOUR_MARGIN_MM = 3.0
TARGET_MARGIN_MM = 5.0
BOX_MARGIN_MM = 10.0
MIN_READERS = 2


@dataclass(frozen=True)
class Sphere:
    """A place where a lesion may be, known by its centre only.

    Parameters
    ----------
    center
        LPS position, mm.
    radius_mm
        Radius within which nothing is called background.
    """

    center: tuple[float, float, float]
    radius_mm: float


@dataclass(frozen=True)
class Case:
    """One image to learn from or to validate on.

    Parameters
    ----------
    name, patient_id
        Name of the case; the patient, by whom folds are made.
    kind
        ``cube`` (51 mm around one nodule), ``slab`` or ``scan``.
    image, mask
        Files; the mask counts readers (or algorithms), None where nothing was outlined.
    lesion_from
        Mask value from which a voxel is lesion.
    n_readers
        Readers who outlined the nodule; 0 where no reader did.
    margin_mm
        Distance from any marked voxel within which what is not lesion is left out of the loss.
    doubtful
        Further places that are left out of the loss.
    """

    name: str
    patient_id: str
    kind: str
    image: Path
    mask: Path | None = None
    lesion_from: int = NEVER
    n_readers: int = 0
    margin_mm: float = 0.0
    doubtful: tuple[Sphere, ...] = ()

    def __post_init__(self) -> None:
        if self.patient_id in TEST_ONLY:
            raise InputError(f"Patient {self.patient_id} must not be trained on", "it is for testing only")


def consensus_from(n_readers: int) -> int:
    """Mask value from which at least half of the readers agree; `NEVER` below two readers."""
    return math.ceil(n_readers / 2) if n_readers >= MIN_READERS else NEVER


def list_cases(data: Path) -> tuple[Case, ...]:
    """Every case below ``data``, in a stable order.

    Parameters
    ----------
    data
        Folder with ``lidc_nodules``, ``chest_ct`` and ``tables``.

    Raises
    ------
    InputError
        When a file of a listed case is missing.
    """
    marks = _read_annotations(data / "tables" / "lidc_annotations.csv.gz")
    cases = [*_cubes(data / "lidc_nodules", marks), *_slabs(data / "chest_ct" / "slabs", marks)]
    cases += _background(data / "chest_ct")
    for case in cases:
        for path in (case.image, case.mask):
            if path is not None and not path.is_file():
                raise InputError(f"The case {case.name} is not complete", f"{path} is missing")
    return tuple(cases)


Annotation = dict[str, str]


def _rows(path: Path) -> Iterable[dict[str, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="", encoding="utf-8") as stream:
        yield from csv.DictReader(stream)


def _read_annotations(path: Path) -> dict[str, list[Annotation]]:
    series: dict[str, list[Annotation]] = defaultdict(list)
    for row in _rows(path):
        series[row["series_uid"]].append(row)
    return series


def _sphere(row: Annotation, origin_xy: npt.NDArray[np.float64]) -> Sphere:
    spacing = float(row["pixel_spacing_mm"])
    x, y = origin_xy + spacing * np.array([float(row["x_px"]), float(row["y_px"])])
    return Sphere((float(x), float(y), float(row["z_mm"])), float(row["max_diameter_mm"]) / 2 + NEIGHBOUR_MARGIN_MM)


def _cubes(folder: Path, marks: dict[str, list[Annotation]]) -> Iterable[Case]:
    """Yield the cubes; the other nodules of the same scan, outlined or not, become doubtful places.

    The x and y origin of a cube is the pixel index times the pixel size, so an annotation lies at
    its pixel position times its pixel size.
    """
    zero = np.zeros(2)
    for row in _rows(folder / "nodules.csv"):
        name, n_readers = row["case"], int(row["n_readers"])
        others = [mark for mark in marks[row["series_uid"]] if mark["nodule"] != name]
        yield Case(
            name=name,
            patient_id=row["patient_id"],
            kind="cube",
            image=folder / "images" / f"{name}.nii.gz",
            mask=folder / "masks" / f"{name}.nii.gz",
            lesion_from=consensus_from(n_readers),
            n_readers=n_readers,
            margin_mm=0.0 if n_readers >= MIN_READERS else NEIGHBOUR_MARGIN_MM,
            doubtful=tuple(_sphere(mark, zero) for mark in others),
        )


def _slabs(folder: Path, marks: dict[str, list[Annotation]]) -> Iterable[Case]:
    import nibabel

    for place in sorted(folder.iterdir()):
        rows = list(_rows(place / "nodules.csv"))
        drawn = {row["annotation_id"] for row in rows}
        origin_ras = nibabel.load(place / "ct.nii.gz").affine[:2, 3]
        others = [
            mark
            for series in marks.values()
            for mark in series
            if mark["patient_id"] == place.name and mark["annotation_id"] not in drawn
        ]
        yield Case(
            name=f"{place.name}_slab",
            patient_id=place.name,
            kind="slab",
            image=place / "ct.nii.gz",
            mask=place / "mask_agreement.nii.gz",
            lesion_from=consensus_from(len(rows)),
            n_readers=len(rows),
            doubtful=tuple(_sphere(mark, -origin_ras) for mark in others),
        )


def _background(folder: Path) -> Iterable[Case]:
    """Yield the whole scans, of which only one lesion is marked, by algorithms or by boxes."""
    for place in sorted(path.parent for path in folder.glob("background/*/ct.nii.gz")):
        mask = place / "mask_agreement.nii.gz"
        outlined = mask.is_file()
        yield Case(
            name=place.name,
            patient_id=place.name,
            kind="scan",
            image=place / "ct.nii.gz",
            mask=mask if outlined else None,
            lesion_from=5 if outlined else NEVER,
            margin_mm=TARGET_MARGIN_MM,
            doubtful=() if outlined else tuple(_estimates(place / "nodules.csv")),
        )
    for place in sorted(path.parent for path in folder.glob("Lung_Dx-*/ct.nii.gz")):
        boxes = place / "boxes.nii.gz"
        yield Case(place.name, place.name, "scan", place / "ct.nii.gz", boxes, margin_mm=BOX_MARGIN_MM)


def _estimates(table: Path) -> Iterable[Sphere]:
    for row in _rows(table):
        x, y, z = (float(row[f"{axis}_lps_mm"]) for axis in "xyz")
        yield Sphere((x, y, z), float(row["diameter_mm"]) / 2 + BOX_MARGIN_MM)
