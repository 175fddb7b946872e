"""Makes images and tables in the layout of the real data."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import nibabel
import numpy as np

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_nifti(path: Path, array: np.ndarray, origin_lps: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
    """Write an (x, y, z) array at 1 mm whose axes run to left, posterior and superior."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = LPS.copy()
    affine[:3, 3] = LPS[:3, :3] @ origin_lps
    nibabel.save(nibabel.Nifti1Image(array, affine), path)


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def ball(shape: tuple[int, int, int], center: tuple[float, float, float], radius: float) -> np.ndarray:
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum((axis - c) ** 2 for axis, c in zip(axes, center, strict=True)) <= radius**2


def nodule_cube(rng: np.random.Generator, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A ball of 0 HU in noisy lung of -850 HU, and four readers' count who agree on it."""
    inside = ball((51, 51, 51), (25, 25, 25), radius)
    image = np.where(inside, 0, -850) + rng.normal(0, 20, inside.shape)
    return image.astype(np.int16), (4 * inside).astype(np.uint8)


def chest(rng: np.random.Generator) -> np.ndarray:
    """A body with two lungs in air, int16 HU, shape (x, y, z)."""
    shape = (130, 90, 80)
    x, y, _ = np.ogrid[tuple(slice(0, n) for n in shape)]
    body = ((x - 65) / 60) ** 2 + ((y - 45) / 40) ** 2 <= 1
    lungs = [((x - c) / 22) ** 2 + ((y - 45) / 30) ** 2 <= 1 for c in (35, 95)]
    image = np.where(body, 40, -1000) * np.ones(shape)
    image[(lungs[0] | lungs[1]) & np.ones(shape, dtype=bool)] = -850
    return (image + rng.normal(0, 15, shape)).astype(np.int16)
