"""How fluid the viewer stays while a detection runs: the longest gap of a timer on the main thread.

Opens napari with the dock, opens a study, presses Detect twice, and prints the longest and the 99th percentile gap
between two ticks of a 5 ms timer for each stage of the job, and the most processor time that the main thread itself
took in one gap (the rest is waiting for the interpreter lock, or for a processor that others use). The idle
row is the machine without a job: nothing can be better. The first run imports the model library, which holds
Python's interpreter lock for a while and says so in the dock; the second one does not.

    python benchmarks/responsiveness.py [--sample NAME | --input PATH]

Needs a display; without one: xvfb-run -a -s "-screen 0 1920x1080x24" python benchmarks/responsiveness.py
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer

from napari_lesion import demo

TICK_MS = 5
AIM_MS = 100.0


class GapMeter:
    """Times between ticks of a timer, by what the dock said at the time."""

    def __init__(self, dock: Any) -> None:
        self._dock = dock
        self._last = (0.0, 0.0)
        self.gaps: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._stage = "before"
        self._timer = QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        """Begin."""
        self._last = _now()
        self._timer.start()

    def stop(self) -> dict[str, list[tuple[float, float]]]:
        """End, and give the gaps by stage: wall and own processor time, ms."""
        self._timer.stop()
        return self.gaps

    def _tick(self) -> None:
        now = _now()
        self.gaps[self._stage].append((now[0] - self._last[0], now[1] - self._last[1]))
        self._last = now
        self._stage = self._dock.detect.stage if self._dock.controller.busy else "after"


def _now() -> tuple[float, float]:
    return time.perf_counter() * 1000, time.thread_time() * 1000


def idle(dock: Any) -> dict[str, list[tuple[float, float]]]:
    """Meter the main thread while nothing runs."""
    meter = GapMeter(dock)
    meter.start()
    demo.settle()
    demo.settle()
    return {"idle": meter.stop()["after"]}


def measure(dock: Any) -> dict[str, list[tuple[float, float]]]:
    """Press Detect and meter the main thread until the lesions are drawn."""
    meter = GapMeter(dock)
    meter.start()
    dock.detect.press_detect()
    demo.wait(lambda: not dock.controller.busy)
    demo.settle()
    return meter.stop()


def report(title: str, gaps: dict[str, list[tuple[float, float]]]) -> None:
    """Print one run."""
    print(f"\n{title}")
    print(f"  {'stage':32s} {'longest':>10s} {'99 %':>10s} {'own time':>10s} {'ticks':>7s}")
    for stage, values in gaps.items():
        wall, own = np.asarray(values).T
        print(
            f"  {stage:32s} {wall.max():7.0f} ms {np.percentile(wall, 99):7.0f} ms {own.max():7.0f} ms {len(wall):7d}"
        )
    longest = max(wall for values in gaps.values() for wall, _ in values)
    print(f"  longest gap: {longest:.0f} ms (aim after the imports: under {AIM_MS:.0f} ms)")


def main() -> None:
    """Measure and print."""
    import napari

    parser = argparse.ArgumentParser(description="Longest gap on the main thread during a detection")
    parser.add_argument("--sample", default="lidc_0314_part", help="name of a sample study")
    parser.add_argument("--input", type=Path, help="image file or DICOM folder to open instead")
    options = parser.parse_args()
    viewer = napari.Viewer()
    dock = demo.open_dock(viewer)
    demo.open_input(dock, demo.DemoOptions(sample=options.sample, input=options.input))
    demo.settle()
    report("No job", idle(dock))
    report("First detection, with imports", measure(dock))
    report("Second detection", measure(dock))
    viewer.close()


if __name__ == "__main__":
    main()
