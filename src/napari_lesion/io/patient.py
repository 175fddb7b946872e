"""Who a DICOM study is of, as a pseudonym: the only thing that is kept of a Patient ID."""

from __future__ import annotations

from pathlib import Path

from napari_lesion.core.errors import LesionError
from napari_lesion.io.elements import text_of
from napari_lesion.io.headers import lenient, read_dataset
from napari_lesion.io.records import pseudonymous_uid

PATIENT_TAGS = ["PatientID", "IssuerOfPatientID"]


def patient_of(path: Path) -> str:
    """Keyed hash of Patient ID (0010,0020) and its issuer; empty when there is none, or no key can be stored.

    A Patient ID is short, and a plain hash of it could be turned back by trying them all; this one cannot without
    the key of this user (`local_key`).
    """
    with lenient():
        dataset = read_dataset(path, PATIENT_TAGS)
        identity, issuer = (text_of(dataset, tag) for tag in PATIENT_TAGS) if dataset is not None else ("", "")
    return pseudonym_of_patient(f"{identity}^^^{issuer}" if issuer else identity)


def pseudonym_of_patient(word: str) -> str:
    """Keyed hash of a word that stands for a patient; empty for an empty word, or where no key can be stored."""
    try:
        return pseudonymous_uid(word) if word else ""
    except LesionError:
        return ""
