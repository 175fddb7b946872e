"""Painting in the whole dock: how soon a row follows a stroke, and how long the main thread stands still.

    xvfb-run -a -s "-screen 0 1920x1080x24" python benchmarks/painting.py [--shape Z Y X] [--strokes N] [--json FILE]

A synthetic CT (300x512x512) with twenty lesions is opened in a viewer with the dock; the mouse paints strokes on the
canvas. Printed are the time from a move of the brush to the row that holds its voxels while the button is down, and
from the release of the button to the final row with everything redrawn; the longest gaps of a 1 ms heartbeat on the
main thread; and how long each action on whole lesions keeps it busy. Of both also the processor time of the main
thread alone, which the load of the machine changes little. Without a graphics card the drawing of a frame is most of
a gap: it is measured beside.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Heartbeat:
    """Time between two turns of the event loop, by what was going on."""

    phase: str = "idle"
    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    last: tuple[float, float] = (0.0, 0.0)

    def start(self, phase: str) -> None:
        """Count what follows to another phase."""
        self.phase = phase
        self.last = time.perf_counter(), time.thread_time()

    def beat(self) -> None:
        """One turn of the event loop."""
        now = time.perf_counter(), time.thread_time()
        self.wall.setdefault(self.phase, []).append(now[0] - self.last[0])
        self.cpu.setdefault(self.phase, []).append(now[1] - self.last[1])
        self.last = now

    def longest_ms(self) -> dict[str, dict[str, float]]:
        """Longest gap of each phase, ms: by the clock, and processor time of the main thread."""
        return {
            phase: {"wall": 1000 * max(self.wall[phase]), "main_thread_cpu": 1000 * max(self.cpu[phase])}
            for phase in self.wall
        }


def make_study(shape: tuple[int, int, int]) -> Any:
    """Noise of soft tissue with twenty ellipsoids, as after a detection."""
    from napari_lesion.core.findings import Check
    from napari_lesion.core.grid import Grid
    from napari_lesion.core.lesion import Lesion
    from napari_lesion.core.volume import Modality, Volume
    from napari_lesion.workflow.measure import install_measurement, measure_study, request_for
    from napari_lesion.workflow.study import Study

    rng = np.random.default_rng(0)
    z, y, x = shape
    grid = Grid(size=(x, y, z), spacing=(0.7, 0.7, 1.25))
    slab = rng.normal(40, 20, (16, y, x)).astype(np.int16)
    array = np.concatenate([slab] * -(-z // 16))[:z]
    study = Study.of(Volume(array, grid, Modality.CT), Check())
    index = np.stack(np.meshgrid(*[np.arange(-20, 21)] * 3, indexing="ij"), axis=-1)
    for label in range(1, 21):
        centre = [int(rng.integers(21, n - 21)) for n in shape]
        inside = np.linalg.norm(index * np.asarray(grid.spacing_zyx), axis=-1) <= rng.uniform(3, 13)
        box = tuple(slice(c - 20, c + 21) for c in centre)
        part = study.labels.array[box]
        part[inside & (part == 0)] = label
        study.lesions[label] = Lesion(label, probability=0.9)
    study.model_labels.array[...] = study.labels.array
    install_measurement(study, measure_study(request_for(study)))
    return study


class Bench:
    """A viewer with the dock, and a mouse."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        import napari
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QOpenGLWidget

        from napari_lesion.gui.dock import LesionDock

        self.viewer = napari.Viewer()
        self.dock = LesionDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="Lesions", area="right")
        self.viewer.window.resize(1600, 1000)
        self.control = self.dock.controller
        self.study = make_study(shape)
        self.control.study._install(self.study)
        self.canvas = max(self.dock.window().findChildren(QOpenGLWidget), key=lambda widget: widget.width())
        self.heart = Heartbeat()
        self.label = 0
        self.moves: list[tuple[float, int]] = []
        self.latencies: list[float] = []
        self.control.correcting.painter.stroke_going.connect(self.on_move)
        self.control.session.rows_changed.connect(self.on_rows)
        self.timer = QTimer()
        self.timer.timeout.connect(self.heart.beat)
        self.timer.start(1)

    def voxels(self) -> int:
        """Voxels of the lesion that is painted."""
        box = self.control.correcting.presenter.editor.boxes.box(self.label)
        return int(np.count_nonzero(self.study.labels.array[box] == self.label))

    def on_move(self, _box: object, _label: int) -> None:
        """The brush moved: its voxels are waited for when there are new ones."""
        voxels = self.voxels()
        if not self.moves or voxels > self.moves[-1][1]:
            self.moves.append((time.perf_counter(), voxels))

    def on_rows(self) -> None:
        """New rows are shown."""
        now, shown = time.perf_counter(), self.study.table.rows[self.label]["n_voxels"]
        self.latencies += [now - when for when, voxels in self.moves[1:] if voxels <= shown]
        self.moves[1:] = [(when, voxels) for when, voxels in self.moves[1:] if voxels > shown]

    def pump(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let the event loop turn for a while, or until something is so."""
        from qtpy.QtTest import QTest

        end = time.perf_counter() + seconds
        while time.perf_counter() < end and not until():
            QTest.qWait(1)

    def pixel(self, native: tuple[float, float, float]) -> Any:
        """Where a native voxel is drawn."""
        from qtpy.QtCore import QPoint

        view = self.control.bridge.view
        assert view is not None
        world = view.to_display(native) * np.asarray(view.spacing)
        offset = (world[1:] - np.asarray(self.viewer.scene.camera.center)[-2:]) * self.viewer.scene.camera.zoom
        return QPoint(
            round(self.canvas.width() / 2 + offset[1]),
            round(self.canvas.height() / 2 + offset[0]),
        )

    def stroke(self, label: int) -> dict[str, float]:
        """Paint across one lesion for a second; times in ms."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        control = self.control
        control.session.select(label)
        control.correcting.presenter.trigger("paint")
        self.pump(0.3)
        box = control.correcting.presenter.editor.boxes.box(label)
        z, y, x = ((part.start + part.stop - 1) / 2 for part in box)
        z = control.bridge.position()[0]
        angle = np.linspace(0, 4 * np.pi, 60)
        path = [(z, y + (4 + 10 * t / 12) * np.sin(t), x + (4 + 10 * t / 12) * np.cos(t)) for t in angle]
        points = [self.pixel(place) for place in path]
        self.label = label
        self.moves = [(0.0, self.voxels())]
        left = Qt.MouseButton.LeftButton
        QTest.mouseMove(self.canvas, points[0])
        self.heart.start("painting")
        QTest.mousePress(self.canvas, left, pos=points[0])
        for point in points[1:]:
            QTest.mouseMove(self.canvas, point)
            self.pump(0.016)
        self.heart.start("releasing")
        revision = self.study.revision
        released = time.perf_counter()
        QTest.mouseRelease(self.canvas, left, pos=points[-1])
        handled = time.perf_counter()
        voxels = self.voxels()
        self.pump(5, lambda: self.study.table.rows[label]["n_voxels"] == voxels and self.study.revision > revision)
        measured = time.perf_counter()
        self.pump(0.3)
        self.heart.start("idle")
        control.correcting.presenter.trigger("paint")
        return {
            "release_to_row_ms": 1000 * (measured - released),
            "release_handler_ms": 1000 * (handled - released),
        }

    def timed(self, name: str, action: Callable[[], object]) -> float:
        """Print the time of one call on the main thread, and return its processor time, ms."""
        began, cpu = time.perf_counter(), time.thread_time()
        action()
        took, cpu = 1000 * (time.perf_counter() - began), 1000 * (time.thread_time() - cpu)
        self.heart.start("idle")
        print(f"{name:32s} {took:8.1f} ms, main thread {cpu:8.1f} ms")
        return cpu


def frame_ms(bench: Bench) -> float:
    """Time to draw one frame, ms: mostly the software renderer where there is no graphics card."""
    times = []
    for _ in range(10):
        began = time.perf_counter()
        bench.canvas.grabFramebuffer()
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))


def main() -> None:
    """Run, print and perhaps write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(300, 512, 512))
    parser.add_argument("--strokes", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_LESION_STATE_DIR"] = folder
        bench = Bench(tuple(options.shape))
        bench.pump(3)
        bench.heart.wall.clear()
        bench.heart.cpu.clear()
        bench.heart.start("idle")
        strokes = [bench.stroke(1 + number % 20) for number in range(options.strokes)]
        figures: dict[str, Any] = {
            name: float(np.median([stroke[name] for stroke in strokes[1:]])) for name in strokes[0]
        }
        figures["move_to_row_ms"] = {
            "median": 1000 * float(np.median(bench.latencies)),
            "longest": 1000 * max(bench.latencies),
            "moves": len(bench.latencies),
        }
        figures["first_stroke_release_ms"] = strokes[0]["release_handler_ms"]
        figures["longest_gap_ms"] = bench.heart.longest_ms()
        figures["frame_ms"] = frame_ms(bench)
        print(json.dumps(figures, indent=2))
        correct, autosave = bench.control.correcting.presenter, bench.control.autosaving.presenter
        for name in ("undo", "redo", "split", "undo", "delete", "undo"):
            figures[f"{name}_cpu_ms"] = bench.timed(name, lambda name=name: correct.trigger(name))
            bench.pump(0.5)
        figures["autosave_snapshot_cpu_ms"] = bench.timed("autosave, main thread", autosave.tick)
        bench.pump(1)
        bench.viewer.close()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
