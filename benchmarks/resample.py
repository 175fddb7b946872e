"""Native grid to model grid: linear resampling in NumPy beside SimpleITK and torch, on one search region.

    python benchmarks/resample.py --input PATH [--model NAME|PATH] [--repeat N] [--json FILE]

All three take the array as it was read (int16) and give float32 on the same grid; the fewest seconds of some repeats
count. CPU seconds of this process are given beside wall seconds, since the machine may be shared. torch aligns its
output at the border of the box, as ours; SimpleITK is given the origin that does the same. The largest difference to
ours, away from the far border (where torch leaves a last partial voxel out), is printed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch

from napari_lesion.core.volume import Volume
from napari_lesion.inference.engine import plan_search
from napari_lesion.inference.organs import find_organ
from napari_lesion.inference.resample import ModelFrame, to_model
from napari_lesion.io.read import read_volume
from napari_lesion.models.catalogue import find_bundle

FloatArray = npt.NDArray[np.float32]


def with_itk(volume: Volume, frame: ModelFrame) -> FloatArray:
    """SimpleITK's resampling of the box, edge values beyond it."""
    image = sitk.GetImageFromArray(volume.array[frame.box])
    image.SetSpacing(volume.grid.spacing)
    resample = sitk.ResampleImageFilter()
    resample.SetSize(frame.grid.size)
    resample.SetOutputSpacing(frame.grid.spacing)
    resample.SetOutputOrigin([(m - n) / 2 for m, n in zip(frame.grid.spacing, volume.grid.spacing, strict=True)])
    resample.SetInterpolator(sitk.sitkLinear)
    resample.UseNearestNeighborExtrapolatorOn()
    resample.SetOutputPixelType(sitk.sitkFloat32)
    result: FloatArray = sitk.GetArrayFromImage(resample.Execute(image))
    return result


def with_torch(volume: Volume, frame: ModelFrame) -> FloatArray:
    """Trilinear interpolation of torch, by its exact factor."""
    part = torch.from_numpy(np.ascontiguousarray(volume.array[frame.box])).float()[None, None]
    factor = [1 / ratio for ratio in frame.ratios]
    result: FloatArray = torch.nn.functional.interpolate(
        part, scale_factor=factor, mode="trilinear", recompute_scale_factor=False
    )[0, 0].numpy()
    return result


def measure(run: Callable[[], FloatArray], repeat: int) -> tuple[dict[str, float], FloatArray]:
    """Fewest wall and CPU seconds, and the result."""
    wall, cpu = [], []
    for _ in range(repeat):
        began, used = time.perf_counter(), time.process_time()
        result = run()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return {"wall": min(wall), "cpu": min(cpu)}, result


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True, help="DICOM folder or image file")
    parser.add_argument("--model", default="lung_nodule_ct", help="name or folder of the bundle")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the result there too")
    options = parser.parse_args()
    bundle, volume = find_bundle(options.model), read_volume(options.input)
    frame = plan_search(volume.grid, find_organ(volume, bundle.organ, bundle.modality), bundle).frame
    print(f"box {tuple(p.stop - p.start for p in frame.box)} of {volume.grid.shape} to {frame.shape} voxels")
    runs: dict[str, Callable[[], FloatArray]] = {
        "ours (NumPy)": lambda: to_model(volume.array, frame),
        "SimpleITK": lambda: with_itk(volume, frame),
        "torch interpolate": lambda: with_torch(volume, frame),
    }
    results, ours = {}, np.zeros(0, np.float32)
    for name, run in runs.items():
        results[name], array = measure(run, options.repeat)
        ours = ours if ours.size else array
        inner = tuple(slice(2, min(a, b) - 2) for a, b in zip(array.shape, ours.shape, strict=True))
        results[name]["difference"] = float(np.abs(array[inner] - ours[inner]).max())
        print(
            "{:<20}{wall:7.2f} s wall {cpu:7.2f} s CPU, differs by at most {difference:.2g} HU".format(
                name, **results[name]
            )
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
