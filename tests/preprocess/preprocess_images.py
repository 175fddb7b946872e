"""Small images with known answers."""

from __future__ import annotations

import numpy as np

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Modality, Source, Volume

SPACING = (2.0, 2.5, 3.0)


def volume_of(
    array: np.ndarray, modality: Modality = Modality.MR, spacing: tuple[float, float, float] = SPACING
) -> Volume:
    """Volume of an array (z, y, x) with axes to the left, back and head."""
    z, y, x = array.shape
    grid = Grid((x, y, z), spacing, (-20.0, 13.0, 7.0))
    return Volume(array.astype(np.float32), grid, modality, Source(case="phantom"))


def biased_ball(noise: float = 0.02) -> tuple[Volume, np.ndarray, np.ndarray]:
    """Ball of one tissue under a smooth bias field: volume, its mask, and the field (z, y, x)."""
    rng = np.random.default_rng(5)
    shape = (40, 48, 56)
    z, y, x = (np.linspace(-1, 1, n).reshape([-1 if a == k else 1 for a in range(3)]) for k, n in enumerate(shape))
    inside = z**2 + y**2 + x**2 < 0.75
    field = np.exp(0.35 * x + 0.25 * y * z - 0.2 * y)
    array = np.where(inside, 200.0 * field * rng.normal(1, noise, shape), rng.uniform(0, 4, shape))
    return volume_of(array), inside, field


def head(spacing: tuple[float, float, float] = (2.0, 2.0, 2.0)) -> tuple[Volume, np.ndarray]:
    """A head as FLAIR shows it: bright scalp, skull with marrow, grey brain with a dark ventricle; and its brain."""
    rng = np.random.default_rng(3)
    shape = (100, 110, 95)
    z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
    centre = [(n - 1) / 2 for n in shape]

    def ellipsoid(half: tuple[float, float, float]) -> np.ndarray:
        parts = (((a - c) * s / h) ** 2 for a, c, s, h in zip((z, y, x), centre, spacing[::-1], half, strict=True))
        return sum(parts) < 1

    array = np.zeros(shape)
    for half, value in (
        ((88.0, 100.0, 84.0), 240.0),
        ((82.0, 94.0, 78.0), 75.0),
        ((72.0, 84.0, 68.0), 200.0),
        ((12.0, 25.0, 9.0), 40.0),
    ):
        array[ellipsoid(half)] = value
    return volume_of(array + rng.normal(0, 5, shape) + 10, spacing=spacing), ellipsoid((72.0, 84.0, 68.0))


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice coefficient of two masks."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))
