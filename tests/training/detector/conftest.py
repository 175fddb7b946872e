"""Slices in the layout of the real ones, made by the tests, and a network small enough for them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.training.detector.config import CropConfig, Stretch
from napari_lesion.training.folds import load_folds

TINY = {
    "_target_": "DynUNet",
    "kernel_size": [3, 3, 3],
    "strides": [1, 2, 2],
    "upsample_kernel_size": [2, 2],
    "filters": [4, 8, 8],
    "norm_name": "INSTANCE",
}


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    """Slices of 0.5 mm pixels with a disk: of 4, 3 (two agree), 1 and 5 readers, without agreement, of fold 0."""
    folds = load_folds().patients
    patients = [folds[1][0], folds[2][0], folds[3][0], folds[4][0], folds[1][1], folds[0][0]]
    y, x = np.ogrid[:71, :71]
    disk = (x - 30) ** 2 + (y - 35) ** 2 <= 10**2
    wide = (x - 30) ** 2 + (y - 35) ** 2 <= 14**2
    readers = [15 * disk, 3 * disk | 4 * wide, 1 * disk, 31 * disk, 0 * disk, 15 * disk]
    folder = tmp_path / "lidc_slices"
    folder.mkdir()
    image = np.where(disk, 0, -800).astype(np.int16)
    np.savez(folder / "slices_0.npz", image=np.stack([image] * 6), readers=np.stack(readers).astype(np.uint8))
    with (folder / "slices.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["lidc_nodule", "patient_id", "n_readers", "pixel_spacing_mm", "shard", "row"])
        for row, (patient, n_readers) in enumerate(zip(patients, (4, 3, 1, 5, 2, 4), strict=True)):
            writer.writerow([f"{patient}_s0_n0", patient, n_readers, 0.5, 0, row])
    return folder


@pytest.fixture
def tiny_crops() -> CropConfig:
    """A few steps on slices and on cubes."""
    flat = Stretch("slices", "slices", steps=4, batch=2, roi=32, jitter=2)
    deep = Stretch("cubes", "cubes", steps=4, batch=2, roi=32, negatives=1, jitter=2)
    return CropConfig("tiny", (flat, deep), TINY, warmup_steps=1, checkpoint_every=2, validate_every=4)
