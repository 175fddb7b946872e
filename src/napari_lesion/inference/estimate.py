"""What a detection will cost on this machine, before it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

import numpy as np

from napari_lesion.core.grid import Grid
from napari_lesion.inference.augment import PASSES
from napari_lesion.inference.backends.choose import batch_for, chosen, open_backend
from napari_lesion.inference.backends.openvino_backend import is_converted
from napari_lesion.inference.backends.precision import precision_for
from napari_lesion.inference.engine import WindowPlan, plan_search
from napari_lesion.inference.ports import OrganMask
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.inference.timings import recall, remember
from napari_lesion.models.bundle import BundleInfo

PROCESS_MIB: Final = {"openvino": 200.0, "torch": 450.0, "conversion": 650.0}
"""Interpreter, libraries and network without image and windows; a conversion needs torch beside OpenVINO."""
WINDOW_BYTES: Final = {"openvino": 50.0, "torch": 170.0}
"""Activations of the residual UNet for each voxel of a window (both measured: docs/inference.md)."""
MODEL_BYTES: Final = {"whole": 10.0, "region": 18.0}
"""For each voxel of the model grid: image and sum in float32 and a mask; in a region labels and further masks too."""
MEAN_BYTES: Final = 4.0
"""For each voxel of the model grid: the mean of several passes."""
STORED_SHARE: Final = 1.0
"""Share of the searched voxels whose probability is stored, a byte each; measured 0.06 to 0.97."""
EFFICIENCY: Final = {"openvino": 0.5, "torch": 0.15}
"""Measured: speed of the residual UNet over that of a float32 matrix product (docs/inference.md)."""
FASTER: Final = {"openvino bf16": 2.5}
"""Measured: speed over that in float32 (docs/inference.md)."""
LABEL_BYTES: Final = 1.0
"""For each searched voxel: the pages of label maps and measures that are touched."""
SPEED_EDGE: Final = 768


class Basis(StrEnum):
    """Where the seconds of an estimate come from."""

    LAST_RUN = "last run"
    PROBE = "probe"
    SPEED = "speed of the processor"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Estimate:
    """Expected cost of a detection.

    Parameters
    ----------
    windows
        Windows to compute, flipped ones too; exact when the search region was given, else those of the whole grid, an
        upper bound. Windows of a second stage are not among them: how many marks the first will make is not known.
    seconds
        Expected seconds of the search; None when the model never ran on this machine and nothing tells its work.
    memory_mib
        Expected peak memory of the process, MiB, with the image itself.
    basis
        Where the seconds come from.
    exact
        Whether the search region was known.
    device, backend
        What would be used.
    """

    windows: int
    seconds: float | None
    memory_mib: float
    basis: Basis
    exact: bool
    device: str
    backend: str

    @property
    def device_words(self) -> str:
        """Where it would be computed, for people."""
        return "this GPU" if self.device.startswith("cuda") else "this CPU"

    @property
    def words(self) -> str:
        """Time and place, for people: ``about 6 s on this CPU``."""
        if self.seconds is None and not self.windows:
            return f"by the model's own steps on {self.device_words}, time not known before"
        if self.seconds is None:
            return f"{self.windows} windows on {self.device_words}, time not known before the first run here"
        size = f"{max(1.0, self.seconds):.0f} s" if self.seconds < 90 else f"{self.seconds / 60:.0f} min"
        rough = "roughly" if self.basis is Basis.SPEED else "about"
        return f"{rough if self.exact else f'at most {rough}'} {size} on {self.device_words}"


def estimate(
    grid: Grid,
    bundle: BundleInfo,
    settings: EngineSettings | None = None,
    organ: OrganMask | None = None,
    *,
    probe: bool = False,
) -> Estimate:
    """Windows, seconds and memory that a detection would take on this machine.

    Parameters
    ----------
    grid
        Native grid of the study.
    bundle
        The model.
    settings
        Device, backend, windows.
    organ
        Search region, when it is known already; without it the whole grid is counted.
    probe
        Whether to time two windows when the model never ran here; this loads the model, which takes some
        seconds the first time (the converted network is kept for the detection).
    """
    settings = settings or EngineSettings()
    device, backend = chosen(settings)
    if bundle.foreign:
        return _of_foreign(grid, bundle, device)
    precision = precision_for(bundle, settings, device, backend)
    plan = plan_search(grid, organ or OrganMask.whole(grid, bundle.organ, ""), bundle, settings.overlap)
    pace, basis = recall(bundle, f"{backend} {precision}", device), Basis.LAST_RUN
    if pace is None and probe:
        pace, basis = probe_window(bundle, settings), Basis.PROBE
    if pace is None:
        pace, basis = _pace_of_processor(bundle, (device, backend, precision)), Basis.SPEED
    windows = len(plan.starts) * len(PASSES[settings.flips])
    return Estimate(
        windows=windows,
        seconds=None if pace is None else pace * windows,
        memory_mib=_memory_mib(grid, plan, bundle, settings, (device, backend)),
        basis=Basis.UNKNOWN if pace is None else basis,
        exact=organ is not None,
        device=device,
        backend=backend,
    )


def _of_foreign(grid: Grid, bundle: BundleInfo, device: str) -> Estimate:
    """A bundle that runs by its own steps: nothing tells its windows before; float32 copies of image and classes."""
    copies = 2.0 * bundle.channels + 3.0 * (len(bundle.labels) + 1)
    memory = PROCESS_MIB["torch"] + 4.0 * float(np.prod(grid.shape)) * copies / 2**20
    return Estimate(0, None, memory, Basis.UNKNOWN, exact=False, device=device, backend="MONAI")


def _pace_of_processor(bundle: BundleInfo, how: tuple[str, str, str]) -> float | None:
    """Seconds a window, from the work that the bundle states and the speed of this CPU; None when unknown."""
    device, backend, precision = how
    if bundle.window_gflop is None or device != "cpu":
        return None
    speed = EFFICIENCY[backend] * FASTER.get(f"{backend} {precision}", 1.0) * _processor_gflops()
    return bundle.window_gflop / speed


@cache
def _processor_gflops() -> float:
    """Speed of a float32 matrix product on this machine, 10⁹ operations a second; the best of several."""
    matrix = np.ones((SPEED_EDGE, SPEED_EDGE), dtype=np.float32)
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - began)
    return 2.0 * SPEED_EDGE**3 / min(seconds) / 1e9


def probe_window(bundle: BundleInfo, settings: EngineSettings) -> float:
    """Seconds for one window, timed on the second of two; kept for later estimates."""
    backend, _ = open_backend(bundle, settings)
    try:
        batch = batch_for(settings, backend.device, backend.name)
        windows = np.zeros((batch, bundle.channels, *bundle.roi_size), dtype=np.float32)
        backend.infer(windows)
        began = time.perf_counter()
        backend.infer(windows)
        seconds = (time.perf_counter() - began) / batch
        remember(bundle, f"{backend.name} {backend.precision}", backend.device, seconds)
    finally:
        backend.close()
    return seconds


def _memory_mib(
    grid: Grid, plan: WindowPlan, bundle: BundleInfo, settings: EngineSettings, where: tuple[str, str]
) -> float:
    """Main memory: process, image as int16, model grid, one batch of windows, stored probabilities."""
    device, backend = where
    batch, passes = batch_for(settings, device, backend), len(PASSES[settings.flips])
    windows = float(np.prod(bundle.roi_size)) * batch * WINDOW_BYTES[backend]
    process = PROCESS_MIB[backend]
    if backend == "openvino" and not is_converted(bundle):
        process = PROCESS_MIB["conversion"]
    kind = "whole" if plan.region.all() else "region"
    searched = MODEL_BYTES[kind] + (MEAN_BYTES if passes > 1 else 0.0)
    native = float(np.prod([part.stop - part.start for part in plan.frame.box]))
    kept = native * (LABEL_BYTES + STORED_SHARE * (passes + 1 if passes > 1 else 1))
    model = searched * float(np.prod(plan.frame.shape))
    return process + (2.0 * float(np.prod(grid.shape)) + model + windows + kept) / 2**20
