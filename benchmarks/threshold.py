"""Marks at a threshold, as the slider asks for them: 100 marks in a stored probability of 300x512x512.

    python benchmarks/threshold.py [--repeat N] [--json FILE]

Bells of 2 to 12 mm radius at random places; the fewest and the median milliseconds of some repeats, by the wall clock
and in CPU time, which a machine that is busy with other work distorts less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

from napari_lesion.core.grid import Grid
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.inference.candidates import find_candidates

SHAPE = (300, 512, 512)
MARKS = 100


def make_probability(seed: int = 0) -> ProbabilityMap:
    """Bells of probability at random places."""
    random = np.random.default_rng(seed)
    dense = np.zeros(SHAPE, dtype=np.uint8)
    for _ in range(MARKS):
        radius = random.uniform(2, 12)
        centre = random.uniform(20, np.array(SHAPE) - 20)
        box = tuple(slice(int(c - 1.6 * radius), int(c + 1.6 * radius) + 1) for c in centre)
        offsets = np.ogrid[box]
        square = sum((axis - c) ** 2 for axis, c in zip(offsets, centre, strict=True)) / radius**2
        np.maximum(dense[box], (250 * np.exp(-0.7 * square)).astype(np.uint8), out=dense[box])
    return ProbabilityMap.from_dense(dense, Grid(SHAPE[::-1], (0.7, 0.7, 1.0)))


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the result there too")
    options = parser.parse_args()
    probability, results = make_probability(), []
    for threshold in (0.1, 0.3, 0.5, 0.9):
        wall, cpu = [], []
        for _ in range(options.repeat):
            began, used = time.perf_counter(), time.process_time()
            _, lesions = find_candidates(probability, threshold, 30.0)
            wall.append(1e3 * (time.perf_counter() - began))
            cpu.append(1e3 * (time.process_time() - used))
        best, middle, least = min(wall), statistics.median(wall), min(cpu)
        results.append(
            {
                "threshold": threshold,
                "marks": len(lesions),
                "best_ms": best,
                "median_ms": middle,
                "best_cpu_ms": least,
            }
        )
        print(
            f"threshold {threshold}: {len(lesions)} marks, best {best:.0f} ms, median {middle:.0f} ms, "
            f"best of CPU {least:.0f} ms"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
