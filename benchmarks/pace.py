"""How fast each backend runs a window, against a float32 matrix product on the same machine.

``python benchmarks/pace.py [--model NAME|PATH] [--json FILE]``

The ratio is what ``inference/estimate.py`` calls EFFICIENCY: with it and the operations of a window, which the
bundle states, the time of a first detection can be told before the model was ever loaded.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_lesion.inference.backends.choose import batch_for, open_backend
from napari_lesion.inference.settings import BACKENDS, EngineSettings
from napari_lesion.models.catalogue import find_bundle

ROUNDS = 7
EDGE = 1024


def best_seconds(call: Callable[[], object]) -> float:
    """Shortest of some calls, s; the first one is not counted."""
    call()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main() -> None:
    """Print one line a backend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lung_nodule_ct")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bundle = find_bundle(options.model)
    matrix = np.ones((EDGE, EDGE), dtype=np.float32)
    gflops = 2 * EDGE**3 / best_seconds(lambda: matrix @ matrix) / 1e9
    print(f"matrix product {gflops:.0f} GFLOP/s; window {bundle.window_gflop} GFLOP")
    figures = {"matrix_gflops": gflops, "window_gflop": bundle.window_gflop}
    for name in BACKENDS[1:]:
        settings = EngineSettings(device="cpu", backend=name, precision="float32")
        backend, _ = open_backend(bundle, settings)
        together = batch_for(settings, "cpu", name)
        windows = np.zeros((together, bundle.channels, *bundle.roi_size), dtype=np.float32)
        seconds = best_seconds(lambda backend=backend, windows=windows: backend.infer(windows)) / together
        backend.close()
        figures[f"{name}_seconds"] = seconds
        efficiency = bundle.window_gflop / seconds / gflops if bundle.window_gflop else float("nan")
        print(f"{name:9} {1000 * seconds:6.1f} ms a window, efficiency {efficiency:.2f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
