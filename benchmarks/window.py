"""One window: eager PyTorch and OpenVINO, with and without the folded tail, in every precision, one or more at once.

    python benchmarks/window.py [--model NAME|PATH] [--threads N] [--repeat N] [--json FILE]

The variants take turns, so that all see the same load of the machine; the fastest turn of each is printed, wall and
CPU milliseconds a window. The window is noise: nothing here depends on what is in it. The difference is the largest
of the probability to eager PyTorch in float32.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_lesion.inference.backends import openvino_backend
from napari_lesion.inference.backends.network import probability_network
from napari_lesion.inference.backends.openvino_backend import convert, input_shape
from napari_lesion.inference.backends.precision import processor_has_bf16
from napari_lesion.inference.backends.telemetry import import_openvino
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.catalogue import find_bundle

FloatArray = npt.NDArray[np.float32]
Run = Callable[[FloatArray], FloatArray]


def contenders(bundle: BundleInfo, threads: int) -> Iterator[tuple[str, Run]]:
    """Name and run of each variant; a run takes windows (n, channels, x, y, z)."""
    network = probability_network(bundle)
    kinds = {"float32": torch.float32, **({"bf16": torch.bfloat16} if processor_has_bf16() else {})}
    for name, kind in kinds.items():
        yield f"torch eager {name}", eager(network, kind)
    for folded in (False, True):
        model = converted(network, bundle, folded)
        for name in kinds:
            for at_once in sorted({1, threads}) if folded else [1]:
                words = (
                    f"openvino {name} {'folded' if folded else 'as it is'}, {at_once} at once on {threads} threads"
                )
                yield words, compiled(model, name, at_once, threads)


def eager(network: torch.nn.Module, kind: torch.dtype) -> Run:
    """PyTorch, under autocast where the precision is reduced."""

    def run(windows: FloatArray) -> FloatArray:
        with torch.inference_mode(), torch.autocast("cpu", kind, enabled=kind != torch.float32):
            result: FloatArray = torch.cat([network(w[None]) for w in torch.from_numpy(windows)]).float().numpy()
        return result

    return run


def converted(network: torch.nn.Module, bundle: BundleInfo, folded: bool) -> Any:
    """OpenVINO's model, with its tail folded or not."""
    fold = openvino_backend.fold_tail
    try:
        if not folded:
            openvino_backend.fold_tail = lambda *_: False
        return convert(network, input_shape(bundle), import_openvino())
    finally:
        openvino_backend.fold_tail = fold


def compiled(model: Any, precision: str, at_once: int, threads: int) -> Run:
    """OpenVINO with some windows in flight."""
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "NUM_STREAMS": str(at_once),
        "INFERENCE_NUM_THREADS": str(threads),
    }
    network = import_openvino().Core().compile_model(model, "CPU", settings)
    requests = [network.create_infer_request() for _ in range(at_once)]

    def run(windows: FloatArray) -> FloatArray:
        results = []
        for first in range(0, len(windows), at_once):
            running = list(zip(requests, windows[first : first + at_once], strict=False))
            for request, window in running:
                request.start_async({0: window[None]}, share_inputs=True)
            for request, _ in running:
                request.wait()
                results.append(request.get_output_tensor().data.copy())
        return np.concatenate(results)

    return run


def measure(variants: dict[str, Run], windows: FloatArray, repeat: int) -> dict[str, dict[str, float]]:
    """Fewest wall and CPU milliseconds a window, and the largest difference to the first variant."""
    results = {name: run(windows) for name, run in variants.items()}
    first = next(iter(results.values()))
    figures = {
        name: {"wall_ms": np.inf, "cpu_ms": np.inf, "difference": float(np.abs(result - first).max())}
        for name, result in results.items()
    }
    for _ in range(repeat):
        for name, run in variants.items():
            began, used = time.perf_counter(), time.process_time()
            run(windows)
            spent = {"wall_ms": time.perf_counter() - began, "cpu_ms": time.process_time() - used}
            for key, seconds in spent.items():
                figures[name][key] = min(figures[name][key], 1e3 * seconds / len(windows))
    return figures


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lung_nodule_ct", help="name or folder of the bundle")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5, help="turns")
    parser.add_argument("--json", type=Path, help="write the result there too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    bundle = find_bundle(options.model)
    shape = (2 * options.threads, bundle.channels, *bundle.roi_size)
    windows = np.random.default_rng(0).random(shape).astype(np.float32)
    figures = measure(dict(contenders(bundle, options.threads)), windows, options.repeat)
    slowest = next(iter(figures.values()))
    for name, row in figures.items():
        ratio = slowest["cpu_ms"] / row["cpu_ms"]
        print(f"{name:<52}{row['wall_ms']:8.1f} ms wall{row['cpu_ms']:8.1f} ms CPU{ratio:7.2f}x", end="")
        print(f"  largest difference {row['difference']:.1e}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
