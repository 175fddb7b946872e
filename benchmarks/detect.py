"""One detection from the file to the table, beside MONAI's sliding window in eager float32 over the same windows.

    python benchmarks/detect.py --input PATH [--model NAME|PATH] [--repeat N] [--json FILE]

Ours and MONAI's run in processes of their own, in turns, so that both see the same load of the machine; the fastest
turn of each counts. CPU seconds are given too, since a shared machine distorts the wall clock. Ours is everything:
reading, lungs, windows, marks, measurements. MONAI's is the network alone,
``monai.inferers.sliding_window_inference`` on each of our windows. Imports are timed apart. Peak memory is the
operating system's (ru_maxrss). ``--cold`` empties the cache of converted networks before the first turn.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def measure_ours(path: Path, model: str, backend: str) -> dict[str, Any]:
    """Read, detect and measure once; seconds by stage and peak memory of this process."""
    began = time.perf_counter()
    from napari_lesion.inference.settings import EngineSettings
    from napari_lesion.io.read import read_volume
    from napari_lesion.models.catalogue import find_bundle
    from napari_lesion.workflow.detect import DetectParameters, DetectRequest, detect_lesions

    imports = time.perf_counter() - began
    bundle = find_bundle(model)
    began, used = time.perf_counter(), time.process_time()
    volume = read_volume(path)
    reading = time.perf_counter() - began
    parameters = DetectParameters(device=EngineSettings().device, backend=backend)
    detection = detect_lesions(DetectRequest(volume, bundle, parameters))
    total, cpu = time.perf_counter() - began, time.process_time() - used
    return {
        "imports": imports,
        "cpu": cpu,
        "seconds": {"reading": reading, **detection.seconds},
        "total": total,
        "peak_mib": _peak_mib(),
        "windows": detection.windows,
        "lesions": len(detection.marks.lesions),
        "backend": detection.backend,
        "device": detection.device,
        "organ": detection.organ,
        "torch_imported": "torch" in sys.modules,
    }


def measure_monai(path: Path, model: str) -> dict[str, Any]:
    """MONAI's sliding window, eager float32, on the windows that ours computes."""
    began = time.perf_counter()
    import torch
    from monai.inferers import sliding_window_inference

    from napari_lesion.core.jobs import JobContext
    from napari_lesion.inference.backends.network import probability_network
    from napari_lesion.inference.engine import network_image, plan_search
    from napari_lesion.inference.organs import find_organ
    from napari_lesion.inference.sliding import WindowCutter
    from napari_lesion.io.read import read_volume
    from napari_lesion.models.catalogue import find_bundle

    imports = time.perf_counter() - began
    bundle, volume = find_bundle(model), read_volume(path)
    plan = plan_search(volume.grid, find_organ(volume, bundle.organ, bundle.modality), bundle)
    image, _ = network_image(volume, plan.frame, bundle.intensity, JobContext())
    cutter, network = WindowCutter(image, plan.frame, plan.roi), probability_network(bundle)
    each, used = [], 0.0
    with torch.inference_mode():
        for start in plan.starts:
            window = torch.from_numpy(cutter.cut(start))[None, None]
            began, before = time.perf_counter(), time.process_time()
            sliding_window_inference(
                window, bundle.roi_size, 1, lambda part: network(part)[:, None], bundle.overlap, "gaussian"
            )
            each.append(time.perf_counter() - began)
            used += time.process_time() - before
    return {"imports": imports, "total": sum(each), "cpu": used, "windows": len(each), "peak_mib": _peak_mib()}


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _child(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", kind, "--input", str(options.input)]
    command += ["--model", options.model, "--backend", options.backend]
    began = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    result["process"] = time.perf_counter() - began
    return result


def _empty_cache() -> None:
    from napari_lesion.inference.cache import cache_folder

    shutil.rmtree(cache_folder() / "openvino", ignore_errors=True)


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Run both in turns; the fastest turn of each, the first turn of ours, and the ratios."""
    if options.cold:
        _empty_cache()
    turns = [(_child("ours", options), _child("monai", options)) for _ in range(options.repeat)]
    ours = min((turn[0] for turn in turns), key=lambda run: float(run["total"]))
    monai = min((turn[1] for turn in turns), key=lambda run: float(run["total"]))
    search = ours["seconds"]["windows"]
    return {
        "input": str(options.input),
        "cpus": os.cpu_count(),
        "repeat": options.repeat,
        "ours": ours,
        "first_turn_of_ours": turns[0][0],
        "monai": monai,
        "total_to_monai_windows": ours["total"] / monai["total"],
        "total_to_monai_windows_each_turn": [one["total"] / other["total"] for one, other in turns],
        "cpu_to_monai_windows_each_turn": [one["cpu"] / other["cpu"] for one, other in turns],
        "search_speedup": monai["total"] / search,
    }


def show(result: dict[str, Any]) -> None:
    """Print the result as a small table."""
    ours, monai = result["ours"], result["monai"]
    print(
        f"{ours['organ']}; {ours['windows']} windows, {ours['lesions']} marks, {ours['backend']} on {ours['device']}"
    )
    for stage, seconds in ours["seconds"].items():
        print(f"  {stage:<12}{seconds:8.2f} s")
    print(f"  {'total':<12}{ours['total']:8.2f} s, {ours['cpu']:.2f} s of CPU; imports {ours['imports']:.2f} s")
    print(f"  {'first turn':<12}{result['first_turn_of_ours']['total']:8.2f} s")
    print(f"  {'peak memory':<12}{ours['peak_mib']:8.0f} MiB")
    print(f"MONAI eager float32, {monai['windows']} windows alone")
    print(f"  {'total':<12}{monai['total']:8.2f} s, {monai['cpu']:.2f} s of CPU; imports {monai['imports']:.2f} s")
    print(f"  {'peak memory':<12}{monai['peak_mib']:8.0f} MiB")
    each = ", ".join(f"{ratio:.2f}" for ratio in result["cpu_to_monai_windows_each_turn"])
    print(f"everything of ours / MONAI's windows: {result['total_to_monai_windows']:.2f}; in CPU seconds {each}")
    print(f"MONAI's windows / our windows:        {result['search_speedup']:.2f}")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True, help="DICOM folder or image file")
    parser.add_argument("--model", default="lung_nodule_ct", help="name or folder of the bundle")
    parser.add_argument("--backend", default="auto", help="auto, openvino or torch")
    parser.add_argument("--repeat", type=int, default=3, help="turns")
    parser.add_argument("--cold", action="store_true", help="convert the network anew in the first turn")
    parser.add_argument("--json", type=Path, help="write the result there too")
    parser.add_argument("--child", choices=("ours", "monai"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child == "ours":
        print(json.dumps(measure_ours(options.input, options.model, options.backend)))
    elif options.child == "monai":
        print(json.dumps(measure_monai(options.input, options.model)))
    else:
        result = compare(options)
        show(result)
        if options.json:
            options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
