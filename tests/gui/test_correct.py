"""Correcting in a real viewer: strokes by mouse, buttons, keys, and rows that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
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
    assert "taken away" in desk.panel.change.toolTip()


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


def test_eraser_takes_voxels_of_any_lesion_and_whole_lesions(desk: Desk) -> None:
    desk.press("erase")
    desk.stroke((12, 20, 20), (12, 20, 22))
    assert desk.array[12, 20, 20] == 0
    assert desk.study.lesions[1].status == Status.EDITED
    assert desk.panel.buttons["erase"].isChecked()
    desk.press("erase")
    assert desk.bridge.labels_layer.mode == "pan_zoom"
    assert not desk.panel.buttons["erase"].isChecked()

    desk.correcting.presenter.set_brush(14.0, True)
    desk.press("erase")
    desk.stroke((12, 20, 20))
    assert 1 not in desk.study.lesions
    assert 1 not in desk.study.table.rows
    desk.press("undo")
    desk.press("undo")
    desk.wait_measured()
    assert desk.study.lesions[1].status == Status.MODEL


def test_new_split_merge_delete_by_button(desk: Desk) -> None:
    start = desk.array.copy()
    desk.press("new")
    assert desk.bridge.labels_layer.mode == "paint"
    desk.stroke((12, 40, 15), (12, 42, 15))
    assert desk.session.selected == 3
    assert desk.study.lesions[3].status == Status.MANUAL
    desk.press("paint")

    desk.press("merge")
    assert "Click the lesion" in desk.panel.change.text()
    desk.session.select(2, reveal=False)
    assert set(desk.study.lesions) == {1, 2}
    assert desk.session.selected == 2
    assert desk.study.lesions[2].status == Status.EDITED

    desk.press("split")
    desk.qtbot.waitUntil(lambda: set(desk.study.lesions) == {1, 2, 4}, timeout=ACTION_WAIT_MS)
    desk.session.select(4, reveal=False)
    desk.press("delete")
    assert set(desk.study.lesions) == {1, 2}
    np.testing.assert_array_equal(desk.array, start)
    desk.wait_measured()
    assert set(desk.study.table.rows) == {1, 2}
    for _ in range(4):
        desk.press("undo")
    np.testing.assert_array_equal(desk.array, start)
    assert not desk.panel.buttons["undo"].isEnabled()
    assert [record.action for record in desk.study.log] == ["new", "merge", "split", "delete", *["undo"] * 4]


def test_a_row_follows_while_the_button_is_still_down(desk: Desk) -> None:
    desk.session.select(1, reveal=False)
    desk.press("paint")
    volume = desk.volume_mm3(1)
    points = [desk.pixel((12, 20, x)) for x in range(26, 40, 2)]
    QTest.mousePress(desk.canvas, Qt.MouseButton.LeftButton, pos=points[0])
    for point in points:
        QTest.mouseMove(desk.canvas, point)
        QTest.qWait(5)
    desk.qtbot.waitUntil(lambda: desk.volume_mm3(1) > volume + 10, timeout=ACTION_WAIT_MS)
    assert not desk.study.log, "the stroke is not over"
    desk.press("undo")
    assert not desk.study.log, "nothing is undone under the brush"
    QTest.mouseRelease(desk.canvas, Qt.MouseButton.LeftButton, pos=points[-1])
    assert [record.action for record in desk.study.log] == ["stroke"]
    desk.wait_measured()


def test_the_brush_is_round_in_millimetres_in_every_plane(desk: Desk) -> None:
    desk.bridge.labels_layer.brush_size = 10
    assert "7.7 mm" in desk.panel.real_size.text(), "an even size is drawn as the next odd one"
    for order, plane in (((0, 1, 2), (1, 2)), ((2, 0, 1), (0, 1)), ((1, 0, 2), (0, 2))):
        for diameter in (1.0, 4.0, 9.0):
            desk.viewer.dims.order = order
            desk.look_at((12, 30, 30))
            _paint_and_check_disc(desk, diameter, plane)


def _paint_and_check_disc(desk: Desk, diameter: float, plane: tuple[int, int]) -> None:
    desk.correcting.presenter.set_brush(diameter)
    brush = desk.correcting.painter.brush
    assert brush is not None
    assert abs(brush.diameter_mm - diameter) <= 0.7
    assert f"{brush.diameter_mm:.1f} mm" in desk.panel.real_size.text()
    assert brush.words in desk.panel.real_size.toolTip()
    desk.press("new")
    label = desk.correcting.painter.label
    desk.stroke((12, 30, 30))
    painted = np.argwhere(desk.array == label) - (12, 30, 30)
    inside = np.argwhere(_disc(plane, brush.diameter_mm / 2)) - 20
    assert {tuple(p) for p in painted.tolist()} == {tuple(p) for p in inside.tolist()}
    assert desk.bridge.labels_layer.cursor_size == pytest.approx(brush.diameter_mm)
    desk.press("undo")


def _disc(plane: tuple[int, int], radius: float) -> np.ndarray:
    """Voxels around the middle of a 41-voxel cube within a radius in mm, in one plane through it."""
    index = np.stack(np.meshgrid(*[np.arange(-20, 21)] * 3, indexing="ij"), axis=-1) * np.asarray(GRID.spacing_zyx)
    flat = np.ones((41, 41, 41), dtype=bool)
    for axis in {0, 1, 2} - set(plane):
        flat &= index[..., axis] == 0
    return flat & (np.linalg.norm(index, axis=-1) <= radius + 1e-9)


def test_a_ball_is_round_in_millimetres(desk: Desk) -> None:
    desk.panel.ball.setChecked(True)
    desk.panel.diameter.setValue(9.0)
    brush = desk.correcting.painter.brush
    assert brush is not None
    assert "slices" in desk.panel.real_size.toolTip()
    desk.look_at((14, 38, 30))
    desk.press("new")
    desk.stroke((14, 38, 30))
    painted = np.argwhere(desk.array == 3) - (14, 38, 30)
    index = np.stack(np.meshgrid(*[np.arange(-20, 21)] * 3, indexing="ij"), axis=-1)
    inside = np.linalg.norm(index * np.asarray(GRID.spacing_zyx), axis=-1) <= brush.diameter_mm / 2 + 1e-9
    assert {tuple(p) for p in painted.tolist()} == {tuple(p) for p in index[inside].tolist()}
    assert set(painted[:, 0]) == {-1, 0, 1}


def test_a_quick_stroke_across_slices_leaves_no_gap(desk: Desk) -> None:
    desk.viewer.dims.order = (2, 0, 1)
    desk.viewer.fit_to_view()
    desk.correcting.presenter.set_brush(2.0)
    desk.press("new")
    start = desk.bridge.position()
    desk.stroke((2, 40, start[2]), (21, 41, start[2]))
    painted = desk.array[:, :, start[2]] == 3
    assert painted.any(axis=1)[2:22].all()
    before = np.zeros_like(desk.array)
    before[desk.array != 3] = desk.array[desk.array != 3]
    desk.press("undo")
    np.testing.assert_array_equal(desk.array, before)


def test_fill_polygon_set_item_and_another_array_are_edits_too(desk: Desk) -> None:
    layer = desk.bridge.labels_layer
    states = [desk.array.copy()]
    view = desk.bridge.view
    assert view is not None
    middle = view.to_display((12, 20, 20))
    layer.fill(middle, 5)
    states.append(desk.array.copy())
    corners = [view.to_display((12, y, x)) for y, x in ((2, 2), (2, 9), (9, 9))]
    layer.selected_label = 6
    layer.paint_polygon(corners, 6)
    states.append(desk.array.copy())
    layer.data_setitem((np.array([0, 0]), np.array([1, 2]), np.array([3, 3])), np.array([7, 8], dtype=np.uint16))
    states.append(desk.array.copy())
    assert {5, 6, 7, 8} <= set(desk.study.lesions)
    assert all(not np.array_equal(a, b) for a, b in pairwise(states))
    for state in reversed(states[:-1]):
        desk.press("undo")
        np.testing.assert_array_equal(desk.array, state)
    assert set(desk.study.lesions) == {1, 2}

    array, before = desk.array, states[0]
    other = np.asarray(layer.data).copy()
    other[other == 2] = 9
    layer.data = other
    assert desk.array is array
    assert np.shares_memory(layer.data, array)
    assert set(desk.study.lesions) == {1, 9}
    desk.press("undo")
    np.testing.assert_array_equal(array, before)
    layer.data = np.zeros((3, 3, 3), dtype=np.uint8)
    assert "shape" in desk.panel.error.text()
    assert np.shares_memory(layer.data, array)


def test_a_lock_refuses_edits_and_another_study_starts_with_an_empty_history(desk: Desk) -> None:
    desk.session.select(1, reveal=False)
    desk.bridge.set_editable(False)
    assert not desk.panel.isEnabled()
    for name in ("delete", "split", "paint", "new"):
        desk.correcting.presenter.trigger(name)
    assert not desk.study.log
    assert desk.bridge.labels_layer.mode == "pan_zoom"
    desk.bridge.set_editable(True)
    desk.press("delete")
    assert set(desk.study.lesions) == {2}

    old = desk.study
    desk.session.open(make_study())
    desk.bridge.show(desk.study, Window("Lung", 1500, -600))
    assert not desk.panel.buttons["undo"].isEnabled()
    desk.press("new")
    desk.look_at((12, 40, 15))
    desk.stroke((12, 40, 15))
    assert 3 in desk.study.lesions
    assert 3 not in old.lesions
