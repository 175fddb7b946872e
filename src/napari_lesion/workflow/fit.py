"""Whether a study suits a model, and what the detection will cost on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_lesion.core.findings import Check, Finding, Level
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.inference.estimate import Estimate, estimate
from napari_lesion.inference.organs import find_organ
from napari_lesion.models.bundle import BundleInfo

if TYPE_CHECKING:
    from napari_lesion.workflow.detect import DetectParameters

SMALL_EXTENT_MM = 120.0
COARSE_IN_PLANE_MM = 1.5
MIN_EXTENT_MM = 8.0


@dataclass(frozen=True)
class Fit:
    """Whether a study suits a model, in plain words, with the cost.

    Parameters
    ----------
    check
        Findings; red only for what cannot be computed.
    cost
        Windows, seconds and memory expected on this machine.
    """

    check: Check
    cost: Estimate

    @property
    def sentence(self) -> str:
        """One line for the dock."""
        cost = f"{self.cost.words}, {self.cost.memory_mib / 1024:.1f} GiB"
        if self.check.level == Level.GREEN:
            return f"Suits this study; {cost}"
        return f"{self.check.headline} ({cost})"


def check_fit(volume: Volume, model: BundleInfo, parameters: DetectParameters, ctx: JobContext | None = None) -> Fit:
    """Compare a study with what a model was made for; warns, and refuses only what cannot be computed.

    The organ is looked for, which takes a second on a whole chest; the detection then finds it done.
    """
    organ = find_organ(volume, model.organ, model.modality, ctx)
    cost = estimate(volume.grid, model, parameters.engine, organ)
    found = [
        *_modality(volume, model),
        *_spacing(volume.grid, model),
        *_extent(volume.grid, model),
        *_memory(cost),
    ]
    if not found:
        found = [Finding(Level.GREEN, "suits", f"{model.title} suits this study")]
    return Fit(Check(tuple(found)), cost)


def _modality(volume: Volume, model: BundleInfo) -> list[Finding]:
    wanted = model.modality
    if not wanted or wanted == Modality.UNKNOWN or volume.modality == wanted:
        if volume.source.modality_stated or volume.modality == Modality.UNKNOWN:
            return []
        message = f"The file does not say its modality; its values look like {volume.modality}"
        return [Finding(Level.YELLOW, "modality_guessed", message)]
    if volume.modality == Modality.UNKNOWN:
        message = (
            f"The file does not say its modality, and this model was trained on {wanted}: check that it is {wanted}"
        )
        return [Finding(Level.YELLOW, "modality_unknown", message)]
    message = f"This is {volume.modality}, and the model was trained on {wanted}: its marks mean nothing here"
    return [Finding(Level.YELLOW, "modality_other", message)]


def _spacing(grid: Grid, model: BundleInfo) -> list[Finding]:
    found = []
    slices = grid.spacing_zyx[grid.axial_axis]
    limit = model.max_slice_spacing_mm
    if limit and slices > limit * 1.01:
        message = (
            f"Slices are {slices:.2f} mm apart; the model was trained up to {limit:g} mm and will miss small lesions"
        )
        found.append(Finding(Level.YELLOW, "thick_slices", message))
    in_plane = max(s for axis, s in enumerate(grid.spacing_zyx) if axis != grid.axial_axis)
    if in_plane > COARSE_IN_PLANE_MM:
        message = f"Pixels are {in_plane:.2f} mm wide, coarser than those of the training"
        found.append(Finding(Level.YELLOW, "coarse_pixels", message))
    return found


def _extent(grid: Grid, model: BundleInfo) -> list[Finding]:
    extent = min(n * s for n, s in zip(grid.shape, grid.spacing_zyx, strict=True))
    if extent < MIN_EXTENT_MM:
        message = (
            f"The volume is only {extent:.1f} mm thick: the model sees lesions in 3-D and needs {MIN_EXTENT_MM:g} mm"
        )
        return [Finding(Level.YELLOW, "thin_volume", message)]
    if model.organ == "lung" and extent < SMALL_EXTENT_MM:
        message = f"Only a part of the chest is shown ({extent:.0f} mm): what lies outside it is not searched"
        return [Finding(Level.YELLOW, "part_of_organ", message)]
    return []


def _memory(cost: Estimate) -> list[Finding]:
    available = available_memory_mib()
    if available is None or cost.memory_mib < available:
        return []
    message = (
        f"The detection needs about {cost.memory_mib / 1024:.1f} GiB, and {available / 1024:.1f} GiB are free: "
        "close other programs first"
    )
    return [Finding(Level.YELLOW, "little_memory", message)]


def available_memory_mib() -> float | None:
    """Free main memory, MiB; None where the operating system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    names = getattr(os, "sysconf_names", {})
    if "SC_AVPHYS_PAGES" in names and "SC_PAGE_SIZE" in names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    return None
