"""Correcting in a real viewer: strokes by mouse, buttons, keys, and rows that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from correct_desk import ACTION_WAIT_MS, GRID, Desk, make_study, open_desk
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_lesion.core.lesion import Status
from napari_lesion.gui.windows import Window

pytestmark = pytest.mark.gui


@pytest.fixture
def desk(make_napari_viewer: Callable[..., Any], qtbot: Any) -> Iterator[Desk]:
    with open_desk(make_napari_viewer, qtbot) as made:
        yield made


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
