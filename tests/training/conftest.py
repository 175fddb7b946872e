"""A tiny data folder in the layout of the real one, made by the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_tiny import chest, nodule_cube, write_nifti, write_rows

from napari_lesion.training.folds import load_folds


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nodules to learn from (one of a single reader), two of the held-out fold, and one scan."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)
    folds = load_folds()
    lidc = [[patient for patient in fold if patient.startswith("LIDC")] for fold in folds.patients]
    patients = [lidc[1][0], lidc[2][0], lidc[3][0], lidc[0][0], lidc[0][1]]
    rows, marks = [], []
    for number, (patient, n_readers) in enumerate(zip(patients, (4, 3, 1, 4, 3), strict=True)):
        name, uid = f"{patient}_s0_n0", f"1.2.0314.{number}"
        image, count = nodule_cube(rng, 6 + number)
        write_nifti(folder / "lidc_nodules" / "images" / f"{name}.nii.gz", image, (75.0, 75.0, 75.0))
        write_nifti(folder / "lidc_nodules" / "masks" / f"{name}.nii.gz", np.minimum(count, n_readers), (75.0,) * 3)
        rows.append({"case": name, "patient_id": patient, "series_uid": uid, "n_readers": n_readers})
        for nodule, x_px in ((name, 200.0), (f"{patient}_s0_n1", 182.0)):
            marks.append(
                {
                    "patient_id": patient,
                    "series_uid": uid,
                    "nodule": nodule,
                    "annotation_id": len(marks),
                    "x_px": x_px,
                    "y_px": 200.0,
                    "z_mm": 100.0,
                    "max_diameter_mm": 6.0,
                    "pixel_spacing_mm": 0.5,
                }
            )
    write_rows(folder / "lidc_nodules" / "nodules.csv", rows)
    write_rows(folder / "tables" / "lidc_annotations.csv.gz", marks)
    write_rows(folder / "lidc_slices" / "slices.csv", [{"patient_id": patient} for patient in patients])
    (folder / "chest_ct" / "slabs").mkdir(parents=True)
    write_nifti(folder / "chest_ct" / "background" / "CMB-CRC-MSB-01068" / "ct.nii.gz", chest(rng))
    estimate = {"x_lps_mm": 30.0, "y_lps_mm": 45.0, "z_lps_mm": 40.0, "diameter_mm": 8.0}
    write_rows(folder / "chest_ct" / "background" / "CMB-CRC-MSB-01068" / "nodules.csv", [estimate])
    return folder
