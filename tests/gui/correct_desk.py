"""A viewer with a small study that can be corrected by mouse, without the rest of the dock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.gui.correcting import Correcting
from napari_lesion.gui.layers import LayerBridge
from napari_lesion.gui.session import Session
from napari_lesion.gui.widgets.correct import CorrectPanel
from napari_lesion.gui.windows import Window
from napari_lesion.workflow.measure import install_measurement, measure_study, request_for
from napari_lesion.workflow.study import Study

# An axial CT whose slices run downwards and whose rows run from left to right: nothing is in display order.
GRID = Grid(
    size=(60, 50, 24),
    spacing=(0.7, 0.7, 2.5),
    origin=(10.0, 20.0, 30.0),
    direction=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0),
)
ACTION_WAIT_MS = 5000


@dataclass
class Desk:
    """A viewer with a study, as the dock puts it together."""

    viewer: Any
    session: Session
    bridge: LayerBridge
    panel: CorrectPanel
    correcting: Correcting
    qtbot: Any

    @property
    def study(self) -> Study:
        assert self.session.study is not None
        return self.session.study

    @property
    def array(self) -> np.ndarray:
        return self.study.labels.array

    @property
    def canvas(self) -> Any:
        return self.viewer.window._qt_viewer.canvas.native

    def press(self, name: str) -> None:
        self.panel.buttons[name].click()

    def pixel(self, native: tuple[int, int, int]) -> QPoint:
        """Where a native voxel is drawn."""
        assert self.bridge.view is not None
        world = self.bridge.view.to_display(native) * np.asarray(self.bridge.view.spacing)
        axes = list(self.viewer.dims.displayed)
        offset = (world[axes] - np.asarray(self.viewer.camera.center)[-2:]) * self.viewer.camera.zoom
        size = np.array([self.canvas.height(), self.canvas.width()]) / 2
        y, x = size + offset
        return QPoint(round(x), round(y))

    def stroke(self, *native: tuple[int, int, int]) -> None:
        """Press at the first voxel, move through the others, release at the last."""
        points = [self.pixel(index) for index in native]
        QTest.mouseMove(self.canvas, points[0])
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=points[0])
        for point in points[1:]:
            QTest.mouseMove(self.canvas, point)
            QTest.qWait(5)
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=points[-1])

    def look_at(self, native: tuple[int, int, int]) -> None:
        self.bridge.go_to(native, 20.0)
        QTest.qWait(20)

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier) -> None:
        self.canvas.setFocus()
        QTest.keyClick(self.canvas, key, modifier)

    def wait_measured(self) -> None:
        def done() -> bool:
            rows = self.study.table.rows
            counts = {label: int((self.array == label).sum()) for label in self.study.lesions}
            return not self.correcting.runner.busy and all(
                label in rows and rows[label]["n_voxels"] == count for label, count in counts.items()
            )

        self.qtbot.waitUntil(done, timeout=ACTION_WAIT_MS)

    def volume_mm3(self, label: int) -> float:
        value = self.study.table.rows[label]["volume_mm3"]
        assert isinstance(value, float)
        return value


def make_study(grid: Grid = GRID) -> Study:
    rng = np.random.default_rng(3)
    volume = Volume(rng.normal(-800, 30, grid.shape).astype(np.int16), grid, Modality.CT)
    study = Study.of(volume, Check())
    z, y, x = np.ogrid[: grid.shape[0], : grid.shape[1], : grid.shape[2]]
    for label, (cz, cy, cx), radius in ((1, (12, 20, 20), 5.0), (2, (12, 30, 45), 4.0)):
        inside = ((z - cz) * 2.5) ** 2 + ((y - cy) * 0.7) ** 2 + ((x - cx) * 0.7) ** 2 <= radius**2
        study.labels.array[inside] = label
        study.lesions[label] = Lesion(label, Status.MODEL, 0.9)
    study.model_labels.array[...] = study.labels.array
    install_measurement(study, measure_study(request_for(study)))
    return study


@contextmanager
def open_desk(make_napari_viewer: Callable[..., Any], qtbot: Any, grid: Grid = GRID) -> Iterator[Desk]:
    """A viewer that looks at lesion 1 of the study."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 700)
    session, bridge, panel = Session(), LayerBridge(viewer), CorrectPanel()
    qtbot.addWidget(panel)
    study = make_study(grid)
    session.open(study)
    bridge.show(study, Window("Lung", 1500, -600))
    correcting = Correcting(session, bridge, panel)
    session.labels_changed.connect(lambda _labels: bridge.refresh_labels())
    desk = Desk(viewer, session, bridge, panel, correcting, qtbot)
    desk.look_at((12, 20, 20))
    yield desk
    correcting.close()
    bridge.disconnect()
    correcting.deleteLater()
