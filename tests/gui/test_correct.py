"""Correcting in a real viewer: strokes by mouse, buttons, keys, and rows that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
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

pytestmark = pytest.mark.gui

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


def make_study() -> Study:
    rng = np.random.default_rng(3)
    volume = Volume(rng.normal(-800, 30, GRID.shape).astype(np.int16), GRID, Modality.CT)
    study = Study.of(volume, Check())
    z, y, x = np.ogrid[: GRID.shape[0], : GRID.shape[1], : GRID.shape[2]]
    for label, (cz, cy, cx), radius in ((1, (12, 20, 20), 5.0), (2, (12, 30, 45), 4.0)):
        inside = ((z - cz) * 2.5) ** 2 + ((y - cy) * 0.7) ** 2 + ((x - cx) * 0.7) ** 2 <= radius**2
        study.labels.array[inside] = label
        study.lesions[label] = Lesion(label, Status.MODEL, 0.9)
    study.model_labels.array[...] = study.labels.array
    install_measurement(study, measure_study(request_for(study)))
    return study


@pytest.fixture
def desk(make_napari_viewer: Callable[..., Any], qtbot: Any) -> Iterator[Desk]:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 700)
    session, bridge, panel = Session(), LayerBridge(viewer), CorrectPanel()
    qtbot.addWidget(panel)
    study = make_study()
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


def test_a_stroke_paints_the_native_array_and_its_row_follows(desk: Desk) -> None:
    desk.session.select(1, reveal=False)
    before, volume = desk.array.copy(), desk.volume_mm3(1)
    desk.press("paint")
    desk.stroke((12, 20, 20), (12, 20, 26), (12, 20, 32))
    changed = desk.array != before
    assert changed.any()
    assert set(np.flatnonzero(changed.any(axis=(1, 2)))) == {12}, "one slice only"
    assert desk.array[12, 20, 32] == 1
    assert desk.study.lesions[1].status == Status.EDITED
    desk.wait_measured()
    added = changed.sum() * GRID.voxel_volume_mm3
    assert desk.volume_mm3(1) - volume == pytest.approx(added, rel=0.1)
    assert "+" in desk.panel.change.text()
    assert "removed" in desk.panel.change.text()


def test_undo_takes_back_exactly_one_stroke(desk: Desk) -> None:
    desk.session.select(1, reveal=False)
    desk.press("paint")
    states = [desk.array.copy()]
    for x in (28, 34):
        desk.stroke((12, 20, x), (12, 24, x), (12, 28, x))
        states.append(desk.array.copy())
    assert not np.array_equal(states[1], states[2])
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    desk.key(Qt.Key.Key_Z, control)
    np.testing.assert_array_equal(desk.array, states[1])
    desk.key(Qt.Key.Key_Z, control)
    np.testing.assert_array_equal(desk.array, states[0])
    assert desk.study.lesions[1].status == Status.MODEL
    desk.key(Qt.Key.Key_Z, control)
    np.testing.assert_array_equal(desk.array, states[0])
    desk.key(Qt.Key.Key_Z, control | shift)
    desk.press("redo")
    np.testing.assert_array_equal(desk.array, states[2])
    assert [record.action for record in desk.study.log] == ["stroke", "stroke", "undo", "undo", "redo", "redo"]
    desk.wait_measured()
