"""Little heads in the layout of the real data: ellipsoids with ventricles, and a few plaques."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from training_tiny import write_nifti, write_rows

SHAPE = (52, 60, 48)
PATIENTS = ("ljubljana_ms_p07", "mslesseg_P14")
PLAQUES = ((16, 30, 24), (36, 22, 26), (34, 40, 20))


def ellipsoid(radii: tuple[float, float, float]) -> np.ndarray:
    axes = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    return sum(((a - n / 2) / r) ** 2 for a, n, r in zip(axes, SHAPE, radii, strict=True)) <= 1


def plaque(center: tuple[int, int, int], radius: float = 2.5) -> np.ndarray:
    axes = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    return sum((a - c) ** 2 for a, c in zip(axes, center, strict=True)) <= radius**2


def head(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """T1, FLAIR, brain, white matter and lesions of a head, (x, y, z)."""
    brain, white, ventricle = ellipsoid((22, 26, 20)), ellipsoid((18, 22, 16)), ellipsoid((4, 7, 4))
    csf = (brain & ~ellipsoid((21, 25, 19))) | ventricle
    lesion = np.any([plaque(center) for center in PLAQUES], axis=0) & white & ~csf
    t1 = np.select([csf, lesion, white & ~csf, brain], [40, 110, 200, 140], 0)
    flair = np.select([csf, lesion, white & ~csf, brain], [80, 420, 280, 310], 0)
    noise = rng.normal(0, 6, SHAPE) * brain
    return {
        "t1": (t1 + noise).clip(1 * brain).astype(np.int16),
        "flair": (flair + noise).clip(1 * brain).astype(np.int16),
        "brain_mask": brain.astype(np.uint8),
        "lesion": lesion.astype(np.uint8),
        "white": (255 * (white & ~csf)).astype(np.uint8),
    }


def write_brains(folder: Path) -> Path:
    """Two patients (three visits), a template, and lesion masks of strangers and of one of the patients."""
    rng = np.random.default_rng(11)
    visits = [(PATIENTS[0], PATIENTS[0], True), ("mslesseg_P14_T1", PATIENTS[1], True)]
    visits.append(("mslesseg_P14_T2", PATIENTS[1], False))
    for case, _, with_t1 in visits:
        for name, array in head(rng).items():
            if name != "white" and (with_t1 or name != "t1"):
                write_nifti(folder / "brain_flair" / case / f"{name}.nii.gz", array)
    write_rows(folder / "brain_flair" / "cases.csv", [{"case": case, "patient": p} for case, p, _ in visits])
    average = head(rng)
    for name, file in (("t1", "t1"), ("brain_mask", "brain_mask"), ("white", "wm_prob_x255")):
        write_nifti(folder / "brain_background" / "icbm152_2009a_1mm" / f"{file}.nii.gz", average[name])
    masks = [("ljubljana_ms_p01", 1.0), ("ljubljana_ms_p07", 1.0), ("mslesseg_P14_T4", 1.0), ("soop_sub-1", 2.0)]
    masks.append(("soop_sub-2", 200.0))
    for name, _ in masks:
        write_nifti(folder / "brain_lesion_masks" / f"{name}.nii.gz", average["lesion"])
    rows = [{"file": f"{name}.nii.gz", "subject": name, "volume_ml": volume} for name, volume in masks]
    write_rows(folder / "brain_lesion_masks" / "masks.csv", rows)
    return folder
