"""Whether the remaining time that the dock shows is right, after the first tenth of the windows.

    python benchmarks/progress.py --input PATH [--model NAME|PATH] [--flips NAME] [--json FILE]

Every report of the stage that counts windows is compared with what the stage then really took, by the wall clock and
by the CPU seconds of the process: a machine that is busy with other work changes its pace, and no estimate can know.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_lesion.core.jobs import JobContext, Progress
from napari_lesion.inference.engine import predict
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.inference.sliding import STAGE
from napari_lesion.io.read import read_volume
from napari_lesion.models.catalogue import find_bundle


class Watcher:
    """A job whose remaining seconds are told by some clock, with what that clock said at each report."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.seen: list[tuple[float, Progress]] = []
        self.context = JobContext(report=self._note, clock=clock)

    def _note(self, progress: Progress) -> None:
        if progress.stage == STAGE:
            self.seen.append((self._clock(), progress))

    def ratios(self) -> list[float]:
        """Told over true remaining seconds, from the first tenth to the last but one window."""
        end = self.seen[-1][0]
        return [
            progress.remaining_s / (end - now)
            for now, progress in self.seen
            if progress.remaining_s is not None
            and progress.total > progress.done >= 0.1 * progress.total
            and end > now
        ]


class Both(JobContext):
    """One job that is watched by two clocks."""

    def __init__(self, watchers: list[Watcher]) -> None:
        super().__init__()
        self._watchers = watchers

    def step(self, stage: str, done: int = 0, total: int = 0, parts: int = 1) -> None:
        """As `JobContext.step`, for all watchers."""
        for watcher in self._watchers:
            watcher.context.step(stage, done, total, parts)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--model", default="lung_nodule_ct")
    parser.add_argument("--flips", default="none")
    parser.add_argument("--json", type=Path, help="write the result there too")
    options = parser.parse_args()
    watchers = {"wall": Watcher(time.perf_counter), "CPU": Watcher(time.process_time)}
    bundle, volume = find_bundle(options.model), read_volume(options.input)
    found = predict(volume, bundle, EngineSettings(flips=options.flips), Both(list(watchers.values())))
    print(f"{found.windows} windows in {found.seconds['windows']:.1f} s on {found.backend}")
    result: dict[str, Any] = {"windows": found.windows, "seconds": found.seconds}
    for name, watcher in watchers.items():
        ratios = watcher.ratios()
        within = sum(abs(ratio - 1) <= 0.2 for ratio in ratios) / len(ratios)
        result[name] = {"ratios": ratios, "within_20_percent": within, "median": statistics.median(ratios)}
        words = f"told/true {min(ratios):.2f} to {max(ratios):.2f}, median {statistics.median(ratios):.2f}"
        print(f"{name:<5} {words}; within 20 %: {100 * within:.0f} % of {len(ratios)} reports")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
