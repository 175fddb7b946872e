"""The largest axial slice of each cube of ``lidc_nodules``, as a check on other files of the same readers.

The cubes hold the same patients as the slices, resampled by others to 1 mm and saturated at 400 HU: calcification
cannot be judged on them.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from napari_lesion.core.errors import InputError
from napari_lesion.training.classifier.slices import RATINGS, NoduleSlice, votes_of
from napari_lesion.training.folds import load_folds


def load_cubes(data: Path) -> list[NoduleSlice]:
    """Read all cubes below ``data/lidc_nodules`` whose slice of largest consensus can be cut.

    The mask counts readers, so that the masks of the readers are known as a count alone: mask k of a slice holds the
    voxels that more than k readers outlined.

    Raises
    ------
    InputError
        When a file is missing or a patient is in no fold.
    """
    import nibabel as nib

    folder = data / "lidc_nodules"
    if not (folder / "nodules.csv").is_file():
        raise InputError("The nodule cubes cannot be read", f"{folder / 'nodules.csv'} is missing")
    fold_of = load_folds().fold_of
    nodules = []
    with (folder / "nodules.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["patient_id"] not in fold_of:
                raise InputError(f"Patient {row['patient_id']} is in no fold", "it may be used for testing only")
            name = f"{row['case']}.nii.gz"
            image, count = (np.asarray(nib.load(folder / part / name).dataobj) for part in ("images", "masks"))
            readers = int(row["n_readers"])
            inside = 2 * count >= readers
            if not inside.any():
                continue
            z = int(inside.sum(axis=(0, 1)).argmax())
            area = float(inside[:, :, z].sum())
            nodules.append(
                NoduleSlice(
                    name=row["case"],
                    patient_id=row["patient_id"],
                    fold=fold_of[row["patient_id"]],
                    image=image[:, :, z].T.astype(np.int16),
                    masks=np.stack([(count[:, :, z] > k).T for k in range(readers)]),
                    spacing_mm=1.0,
                    thickness_mm=1.0,
                    n_readers=readers,
                    diameter_mm=2 * (area / np.pi) ** 0.5,
                    ratings={rating: votes_of(row[rating]) for rating in RATINGS},
                )
            )
    return nodules
