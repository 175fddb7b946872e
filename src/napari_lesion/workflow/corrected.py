"""Corrected studies as training cases: the open one, and exports that were made before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_lesion.core.errors import InputError
from napari_lesion.core.lesion import Review
from napari_lesion.core.volume import LabelMap
from napari_lesion.io.atomic import write_text
from napari_lesion.io.masks import read_labels, write_labels
from napari_lesion.io.read import read_volume
from napari_lesion.io.records import read_json
from napari_lesion.workflow.export import MASK_FORMATS, make_folder
from napari_lesion.workflow.study import Study

DATALIST: Final = "datalist.json"


@dataclass(frozen=True, eq=False)
class CorrectedStudy:
    """One study whose lesions somebody has looked at.

    Parameters
    ----------
    name
        Name of the case.
    image
        Its file or DICOM folder.
    labels
        Lesions as the reader left them, without those that were rejected.
    patient
        Word for the patient, or the name of the case where the file does not say.
    """

    name: str
    image: Path
    labels: LabelMap
    patient: str

    @property
    def lesions(self) -> int:
        """Number of lesions."""
        return len(np.unique(self.labels.array)) - int((self.labels.array == 0).any())


def corrected_study(study: Study) -> CorrectedStudy:
    """The open study as it is now.

    Raises
    ------
    InputError
        When its image lies in no file.
    """
    source = study.volume.source
    if source.path is None:
        raise InputError(
            f"{source.case} cannot be learned from", "its image is in no file", "Save it as NIfTI and open that file"
        )
    rejected = [label for label, lesion in study.lesions.items() if lesion.review is Review.REJECTED]
    patient = str(source.headers.get("patient") or source.case)
    return CorrectedStudy(source.case, source.path, _without(study.labels, rejected), patient)


def read_export(folder: Path) -> CorrectedStudy:
    """An export: the folder with run.json and the mask.

    Raises
    ------
    InputError
        When it is none, was pseudonymised, or its image is not there any more.
    """
    record = read_json(folder / "run.json")
    mask = next((folder / f"mask{suffix}" for suffix in MASK_FORMATS if (folder / f"mask{suffix}").is_file()), None)
    stated = _mapping(record.get("input")).get("path")
    if mask is None:
        raise InputError(f"{folder} cannot be learned from", "it holds no mask", "Give the folder of an export")
    if not stated:
        raise InputError(
            f"{folder.name} cannot be learned from",
            "it does not say where its image lies, as a pseudonymised export never does",
            "Export the study again, not pseudonymised",
        )
    image = Path(str(stated))
    if not image.exists():
        raise InputError(f"{folder.name} cannot be learned from", f"its image {image} is not there any more")
    reviewed = _mapping(_mapping(record.get("lesions")).get("reviewed"))
    rejected = [int(label) for label, decision in reviewed.items() if decision == Review.REJECTED]
    source = read_volume(image).source
    patient = str(source.headers.get("patient") or source.case)
    return CorrectedStudy(source.case, image, _without(read_labels(mask), rejected), patient)


def write_corrected(studies: Sequence[CorrectedStudy], folder: Path) -> Path:
    """Write masks and datalist of the studies, and give the datalist.

    Raises
    ------
    OutputError
        When they cannot be written.
    """
    make_folder(folder)
    entries = []
    for place, study in enumerate(studies):
        mask = f"mask{place}.nii.gz"
        source = read_volume(study.image).source
        write_labels(folder / mask, study.labels, source)
        image = str(study.image.resolve())
        entries.append({"name": study.name, "image": image, "label": mask, "patient": study.patient})
    path = folder / DATALIST
    write_text(path, json.dumps(entries, indent=1) + "\n")
    return path


def _without(labels: LabelMap, numbers: Iterable[int]) -> LabelMap:
    kept = labels.copy()
    kept.array[np.isin(kept.array, list(numbers))] = 0
    return kept


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
