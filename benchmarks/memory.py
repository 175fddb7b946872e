"""Peak memory of a detection in a synthetic CT of 512 x 512 x 1000 voxels, by the operating system's count.

    python benchmarks/memory.py [--size X Y Z] [--spacing X Y Z] [--whole] [--every N] [--flips NAME] [--json FILE]

The synthetic chest is enlarged to the size (nearest voxels, mirrored again and again along z) and written to a file;
a fresh process reads it, detects and measures, and says its peak (ru_maxrss) beside the estimate that was shown
before, and what the process still holds when the job is done. ``--whole`` searches the whole volume instead of the
lungs: the dearest case. ``--every N`` hands only each N-th window to the network and takes 0 for the others: the
memory is the same, the time is not.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.inference import engine
from napari_lesion.inference.ports import Backend
from napari_lesion.inference.settings import EngineSettings

LIMIT_MIB = 6 * 1024


class EveryNth:
    """A backend that computes each N-th window only."""

    def __init__(self, backend: Backend, every: int) -> None:
        self._backend = backend
        self._every = every
        self._seen = 0
        self.name, self.device, self.precision = backend.name, backend.device, backend.precision

    def infer(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The probability of the windows whose turn it is, 0 for the others."""
        self._seen += 1
        if self._seen % self._every:
            return np.zeros((len(windows), *windows.shape[2:]), np.float32)
        return self._backend.infer(windows)

    def close(self) -> None:
        """Close the backend below."""
        self._backend.close()


def write_study(path: Path, size: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
    """Write the synthetic chest, enlarged, as an uncompressed NIfTI file; runs in a process of its own."""
    import nibabel

    from napari_lesion.phantom.chest import ChestSpec, make_chest

    spec = ChestSpec()
    chest = make_chest(spec).volume.array
    middles = [n * own / 2 for n, own in zip(spec.size, spec.spacing, strict=True)]
    x, y = (
        np.rint((np.arange(n) - n / 2) * step / own + middle / own).astype(int)
        for n, step, own, middle in zip(size[:2], spacing[:2], spec.spacing[:2], middles[:2], strict=True)
    )
    z = np.rint(np.arange(size[2]) * spacing[2] / spec.spacing[2]).astype(int) % (2 * len(chest))
    z = np.minimum(z, 2 * len(chest) - 1 - z)
    inside = [(axis >= 0) & (axis < n) for axis, n in ((y, chest.shape[1]), (x, chest.shape[2]))]
    out = np.full((size[2], size[1], size[0]), -1024, np.int16)
    for k, plane in enumerate(z):
        out[k][np.ix_(*inside)] = chest[plane][np.ix_(y[inside[0]], x[inside[1]])]
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    nibabel.save(nibabel.Nifti1Image(out.transpose(2, 1, 0), affine), path)


def measure(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Read, detect and measure in this process."""
    from napari_lesion.core.volume import Modality
    from napari_lesion.io.read import read_volume
    from napari_lesion.models.catalogue import find_bundle
    from napari_lesion.workflow.detect import DetectParameters, DetectRequest, detect_lesions
    from napari_lesion.workflow.fit import check_fit

    bundle = find_bundle(options.model)
    bundle = replace(bundle, organ="") if options.whole else bundle
    opened = engine.open_backend
    if options.every > 1:
        engine.open_backend = lambda *given: (EveryNth(opened(*given)[0], options.every), ())
    volume = replace(read_volume(path), modality=Modality.CT)
    read = _held_mib()
    parameters = DetectParameters(
        device=EngineSettings().device, **({"flips": options.flips} if options.flips != "none" else {})
    )
    cost = check_fit(volume, bundle, parameters).cost
    began = time.perf_counter()
    detection = detect_lesions(DetectRequest(volume, bundle, parameters))
    return {
        "read_mib": read,
        "estimate_mib": cost.memory_mib,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "after_mib": _held_mib(),
        "probability_mib": detection.probability.nbytes / 2**20,
        "windows": detection.windows,
        "lesions": len(detection.marks.lesions),
        "seconds": time.perf_counter() - began,
        "backend": detection.backend,
        "organ": detection.organ,
    }


def _held_mib() -> float:
    """Memory that this process holds now."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=3, default=(512, 512, 1000))
    parser.add_argument("--spacing", type=float, nargs=3, default=(0.7, 0.7, 0.6))
    parser.add_argument("--model", default="lung_nodule_ct")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--flips", default="none")
    parser.add_argument("--json", type=Path, help="write the result there too")
    parser.add_argument("--study", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write_study(options.write, options.size, options.spacing)
    elif options.study:
        print(json.dumps(measure(options.study, options)))
    else:
        _run(options)


def _run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study.nii"
        again = [sys.executable, __file__, *sys.argv[1:]]
        subprocess.run([*again, "--write", str(study)], check=True)
        done = subprocess.run([*again, "--study", str(study)], check=True, stdout=subprocess.PIPE, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    x, y, z = options.size
    print(f"{x} x {y} x {z} voxels of {' x '.join(map(str, options.spacing))} mm; {result['organ']}")
    print(f"{result['windows']} windows on {result['backend']}, {result['lesions']} marks, {result['seconds']:.0f} s")
    print(f"peak {result['peak_mib']:.0f} MiB of {LIMIT_MIB}; told before: {result['estimate_mib']:.0f} MiB")
    print(f"held with the image alone {result['read_mib']:.0f} MiB, afterwards {result['after_mib']:.0f} MiB")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
