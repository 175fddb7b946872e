"""What a model was trained on: patients and hashes of images, so that nobody tests on them unaware."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from napari_lesion.core.errors import ModelError
from napari_lesion.models.bundle import BundleInfo

TRAINING_DATA: Final = "docs/training_data.json"
"""File of a bundle: ``{"schema_version": 1, "cases": [{"patient": "", "image_sha256": ""}]}``; the hash is that of
`napari_lesion.io.fingerprint.voxel_sha256`, and either may be empty."""


@dataclass(frozen=True)
class TrainingData:
    """Patients and images that a model has seen.

    Parameters
    ----------
    patients
        Patient ids, from the metadata and from `TRAINING_DATA`.
    images
        SHA-256 of the voxels of each image.
    """

    patients: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()

    def leak(self, patient: str, image_sha256: str) -> str:
        """Why a case is no test of the model, as a clause; empty when nothing speaks against it."""
        if image_sha256 in self.images:
            return "the model was trained on this image"
        if patient and patient in self.patients:
            return "the model was trained on this patient"
        return ""


def read_training_data(bundle: BundleInfo) -> TrainingData:
    """What a bundle, with its second stage, says that it was trained on.

    Raises
    ------
    ModelError
        When `TRAINING_DATA` is there and garbled: an evaluation must not take that for "nothing".
    """
    path = bundle.path / TRAINING_DATA
    cases = _cases(path) if path.is_file() else []
    own = TrainingData(
        frozenset((*bundle.training_patients, *(patient for patient, _ in cases if patient))),
        frozenset(image for _, image in cases if image),
    )
    if bundle.refinement is None:
        return own
    second = read_training_data(bundle.refinement.bundle)
    return TrainingData(own.patients | second.patients, own.images | second.images)


def _cases(path: Path) -> list[tuple[str, str]]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["cases"]
        return [(str(entry.get("patient", "")), str(entry.get("image_sha256", ""))) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} cannot be read", f"{type(error).__name__}: {error}", "Correct it, or install the bundle again"
        ) from error
