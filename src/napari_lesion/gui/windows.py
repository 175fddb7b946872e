"""Window presets of radiology: level and width of the shown values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.volume import Modality, Volume

SAMPLED_VOXELS = 200_000
AUTO_PERCENTILES = (1.0, 99.0)


@dataclass(frozen=True)
class Window:
    """A range of values that is shown from black to white.

    Parameters
    ----------
    name
        Word on the button.
    width, level
        Width and centre, HU on CT.
    """

    name: str
    width: float
    level: float

    @property
    def limits(self) -> tuple[float, float]:
        """Values shown black and white."""
        return self.level - self.width / 2, self.level + self.width / 2

    @property
    def words(self) -> str:
        """Level and width for the user."""
        return f"W {self.width:,.0f} L {self.level:,.0f}".replace("-", "−")


LUNG = Window("Lung", 1500, -600)
SOFT_TISSUE = Window("Soft tissue", 400, 40)
LIVER = Window("Liver", 150, 90)
BONE = Window("Bone", 2500, 480)
BRAIN = Window("Brain", 80, 40)
CT_WINDOWS = (LUNG, SOFT_TISSUE, LIVER, BONE, BRAIN)


def auto_window(array: npt.NDArray[Any]) -> Window:
    """Window from the first to the last percent of a regular sample of the finite values."""
    step = max(1, round((array.size / SAMPLED_VOXELS) ** (1 / 3)))
    sample = array[::step, ::step, ::step]
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return Window("Auto", 1.0, 0.5)
    low, high = (float(value) for value in np.percentile(sample, AUTO_PERCENTILES))
    width = high - low if high > low else 1.0
    return Window("Auto", width, low + width / 2)


def windows_for(volume: Volume) -> tuple[Window, ...]:
    """Presets that make sense for a volume: those of radiology on CT, one from the values elsewhere."""
    return CT_WINDOWS if volume.modality == Modality.CT else (auto_window(volume.array),)


def first_window(volume: Volume, organ: str = "") -> Window:
    """Window to begin with: lung for a lung model on CT, soft tissue for another, else from the values."""
    if volume.modality != Modality.CT:
        return auto_window(volume.array)
    return LUNG if organ == "lung" else SOFT_TISSUE
