"""What a sliding window costs beside the network: ours, and MONAI's two, on the search region of one study.

    python benchmarks/sliding.py --input PATH [--model NAME|PATH] [--repeat N] [--json FILE]

The network is replaced by a copy of its input, so that only cutting, blending and bookkeeping are timed. CPU seconds
of this process are given beside wall seconds, since the machine may be shared. Compared are

- ours: windows fitted to the search region, NumPy;
- ``SlidingWindowInferer`` on the box of the search region (it cannot leave windows out);
- ``PatchInferer`` with a ``SlidingWindowSplitter`` whose ``filter_fn`` leaves out windows without a voxel of the
  region (its merger averages without Gaussian weights).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.inferers import PatchInferer, SlidingWindowInferer, SlidingWindowSplitter

from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.engine import WindowPlan, network_image, plan_search
from napari_lesion.inference.organs import find_organ
from napari_lesion.inference.sliding import WindowCutter, run_windows
from napari_lesion.io.read import read_volume
from napari_lesion.models.catalogue import find_bundle

FloatArray = npt.NDArray[np.float32]


class CopyBackend:
    """Gives its input back and counts the windows."""

    name, device, precision = "copy", "cpu", "float32"

    def __init__(self) -> None:
        self.windows = 0

    def infer(self, windows: FloatArray) -> FloatArray:
        """The first channel."""
        self.windows += len(windows)
        return windows[:, 0].copy()

    def close(self) -> None:
        """Nothing to give back."""

    def torch(self, windows: torch.Tensor) -> torch.Tensor:
        """The same for MONAI."""
        self.windows += len(windows)
        return windows.clone()


def contenders(
    plan: WindowPlan, image: FloatArray, overlap: float
) -> dict[str, tuple[CopyBackend, Callable[[], Any]]]:
    """Name to backend and run."""
    volume = torch.from_numpy(image)[None, None]
    region = plan.region
    ours, sliding, patch = CopyBackend(), CopyBackend(), CopyBackend()
    slider = SlidingWindowInferer(plan.roi, 1, overlap, mode="gaussian", progress=False)

    def holds_region(window: torch.Tensor, location: tuple[int, ...]) -> bool:
        box = tuple(slice(start, start + n) for start, n in zip(location, window.shape[2:], strict=True))
        return bool(region[box].any())

    patcher = PatchInferer(SlidingWindowSplitter(plan.roi, overlap, filter_fn=holds_region), batch_size=1)
    cutter = WindowCutter(image, plan.frame, plan.roi)
    return {
        "ours": (ours, lambda: run_windows(cutter, plan.starts, ours, 1, JobContext())),
        "SlidingWindowInferer on the box": (sliding, lambda: slider(volume, sliding.torch)),
        "PatchInferer with filter_fn": (patch, lambda: patcher(volume, patch.torch)),
    }


def measure(run: Callable[[], Any], backend: CopyBackend, repeat: int) -> dict[str, float]:
    """Fewest wall and CPU seconds of some repeats, and the number of windows."""
    wall, cpu = [], []
    for _ in range(repeat):
        backend.windows = 0
        began, used = time.perf_counter(), time.process_time()
        with torch.inference_mode():
            run()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return {"windows": backend.windows, "wall": min(wall), "cpu": min(cpu)}


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True, help="DICOM folder or image file")
    parser.add_argument("--model", default="lung_nodule_ct", help="name or folder of the bundle")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the result there too")
    options = parser.parse_args()
    bundle, volume = find_bundle(options.model), read_volume(options.input)
    plan = plan_search(volume.grid, find_organ(volume, bundle.organ, bundle.modality), bundle)
    image, _ = network_image(volume, plan.frame, bundle.intensity, JobContext())
    print(f"search region {plan.frame.shape} voxels, windows {plan.roi}, overlap {bundle.overlap}")
    results = {}
    for name, (backend, run) in contenders(plan, image, bundle.overlap).items():
        results[name] = measure(run, backend, options.repeat)
        one = results[name]
        each = 1e3 * one["cpu"] / one["windows"]
        counted = f"{name:<34}{one['windows']:4.0f} windows"
        print(f"{counted} {one['wall']:7.2f} s wall {one['cpu']:7.2f} s CPU {each:6.1f} ms each")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
