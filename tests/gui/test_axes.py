"""Axes moved by mouse in a real viewer: what is drawn, what is kept, and what stays as it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from correct_desk import GRID, Desk, open_desk
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Caliper, Status
from napari_lesion.gui.palette import AXES, HANDLE, MANUAL_AXES
from napari_lesion.gui.presenters.axes import AxisLine, MovedAxis, axis_lines, lines_of, manual_words
from napari_lesion.io.tables import read_table
from napari_lesion.workflow.autosave import AutosaveStore
from napari_lesion.workflow.caliper import Axis
from napari_lesion.workflow.export import ExportRequest, export_study
from napari_lesion.workflow.study import Study

CONTROL, SHIFT, PLAIN = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.NoModifier,
)
LEFT = Qt.MouseButton.LeftButton
OBLIQUE = (
    (0.0, math.cos(0.3), -math.sin(0.3), 1.0, 0.0, 0.0, 0.0, -math.sin(0.3), -math.cos(0.3)),
    (-1.0, 0.0, 0.0, 0.0, math.cos(0.4), math.sin(0.4), 0.0, -math.sin(0.4), math.cos(0.4)),
)
GRIDS = (GRID, *(Grid(GRID.size, (0.7, 0.8, 2.5), (10.0, -20.0, 30.0), direction) for direction in OBLIQUE))


class AxesDesk:
    """What a reader does with the axes."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    @property
    def layer(self) -> Any:
        return self.desk.viewer.layers["Lesion axes"]

    @property
    def caliper(self) -> Caliper | None:
        return self.desk.study.lesions[1].caliper

    def line(self, axis: Axis) -> AxisLine:
        """The line of an axis that can be moved."""
        return next(line for line in self.desk.bridge.axes.lines if line.axis is axis and not line.replaced)

    def words(self) -> list[str]:
        return [str(word) for word in self.layer.text.values if word]

    def colours(self) -> set[tuple[float, ...]]:
        return {tuple(round(float(c), 2) for c in colour[:3]) for colour in self.layer.edge_color}

    def pixel(self, native: np.ndarray) -> QPoint:
        z, y, x = (float(i) for i in native)
        return self.desk.pixel((z, y, x))  # type: ignore[arg-type]

    def place(self, point: QPoint) -> np.ndarray:
        """Display position of a pixel of the canvas, mm (down, across)."""
        canvas, camera = self.desk.canvas, self.desk.viewer.camera
        middle = np.array([canvas.height(), canvas.width()]) / 2
        return (np.array([point.y(), point.x()]) - middle) / camera.zoom + np.asarray(camera.center)[-2:]

    def press(self, point: QPoint, modifier: Qt.KeyboardModifier = PLAIN) -> None:
        QTest.mouseMove(self.desk.canvas, point)
        QTest.qWait(5)
        QTest.mousePress(self.desk.canvas, LEFT, modifier, point)

    def move(self, point: QPoint, modifier: Qt.KeyboardModifier = PLAIN) -> None:
        if modifier == PLAIN:
            QTest.mouseMove(self.desk.canvas, point)
        else:
            self._move_with_key(point, modifier)
        QTest.qWait(5)

    def _move_with_key(self, point: QPoint, modifier: Qt.KeyboardModifier) -> None:
        """QTest cannot move the pointer while a key is held."""
        where, nothing = QPointF(point), Qt.MouseButton.NoButton
        event = QMouseEvent(QEvent.Type.MouseMove, where, where, nothing, LEFT, modifier)
        QApplication.sendEvent(self.desk.canvas, event)

    def release(self, point: QPoint) -> None:
        QTest.mouseRelease(self.desk.canvas, LEFT, PLAIN, point)

    def drag(self, axis: Axis, which: int, right: int, down: int) -> np.ndarray:
        """Drag an end point by so many pixels of the screen; gives the display position of the end then, mm."""
        line = self.line(axis)
        start = self.pixel(line.ends[which])
        end = start + QPoint(right, down)
        self.press(start)
        for part in (0.3, 0.6, 1.0):
            self.move(start + QPoint(round(right * part), round(down * part)))
        self.release(end)
        assert self.desk.bridge.view is not None
        was = self.desk.bridge.view.to_display(line.ends[which])[1:] * np.asarray(self.desk.bridge.view.spacing[1:])
        moved: np.ndarray = was + self.place(end) - self.place(start)
        return moved


@pytest.fixture(params=GRIDS, ids=["flipped", "permuted", "oblique"])
def reader(request: pytest.FixtureRequest, make_napari_viewer: Callable[..., Any], qtbot: Any) -> Iterator[AxesDesk]:
    with open_desk(make_napari_viewer, qtbot, request.param) as desk:
        desk.session.select(1, reveal=False)
        yield AxesDesk(desk)


flipped = pytest.mark.parametrize("reader", [GRID], ids=["flipped"], indirect=True)


@pytest.mark.gui
def test_a_dragged_end_is_a_manual_axis_of_known_length(reader: AxesDesk) -> None:
    desk, study = reader.desk, reader.desk.study
    voxels, row, line = desk.array.copy(), dict(study.table.rows[1]), reader.line(Axis.LONG)
    end = reader.drag(Axis.LONG, 1, 37, -21)
    caliper = reader.caliper
    assert caliper is not None
    assert caliper.long_ends is not None
    assert caliper.short_ends is None
    grid, view = study.volume.grid, desk.bridge.view
    assert view is not None
    np.testing.assert_allclose(caliper.long_ends[0], grid.to_physical(line.ends[0]), atol=1e-9)
    shown = view.to_display(grid.to_index(caliper.long_ends)) * np.asarray(view.spacing)
    np.testing.assert_allclose(shown[1, 1:], end, atol=1e-6)
    assert shown[1, 0] == pytest.approx(shown[0, 0]), "it stays in its slice"
    assert caliper.long_mm == pytest.approx(float(np.linalg.norm(shown[1] - shown[0])), rel=1e-9)
    assert abs(caliper.long_mm - line.length_mm) > 1.0
    np.testing.assert_array_equal(desk.array, voxels)
    assert study.lesions[1].status == Status.MODEL

    desk.qtbot.waitUntil(lambda: study.table.rows[1]["axes_source"] == "manual", timeout=5000)
    measured = study.table.rows[1]
    assert measured["manual_long_axis_mm"] == pytest.approx(caliper.long_mm)
    assert {name: measured[name] for name in row if "manual" not in name and name != "axes_source"} == pytest.approx(
        {name: value for name, value in row.items() if "manual" not in name and name != "axes_source"}, nan_ok=True
    )
    assert reader.words() == [f"long {caliper.long_mm:.1f} mm manual", f"short {row['short_axis_mm']:.1f} mm"]
    assert len(reader.layer.data) == 5, "two computed lines, one of the reader, two texts"
    assert f"{caliper.long_mm:.1f} mm" in desk.panel.reset_axes.toolTip()


@flipped
@pytest.mark.gui
def test_both_axes_are_one_caliper_with_one_history(reader: AxesDesk) -> None:
    desk = reader.desk
    reader.drag(Axis.SHORT, 0, 20, 5)
    first = reader.caliper
    reader.drag(Axis.LONG, 0, -15, 30)
    both = reader.caliper
    assert first is not None
    assert both is not None
    assert both.short_ends == first.short_ends
    desk.press("paint")
    desk.stroke((12, 30, 20), (12, 32, 20))
    desk.press("paint")
    assert reader.caliper == both
    for expected in (both, first, None):
        desk.key(Qt.Key.Key_Z, CONTROL)
        assert reader.caliper == expected
    assert not desk.panel.buttons["undo"].isEnabled()
    desk.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert reader.caliper == first
    actions = ["caliper", "caliper", "stroke", "undo", "undo", "undo", "redo"]
    assert [record.action for record in desk.study.log] == actions
    desk.wait_measured()


@flipped
@pytest.mark.gui
def test_reset_offers_the_computed_axes_again(reader: AxesDesk) -> None:
    before = [line.ends for line in reader.desk.bridge.axes.lines]
    assert not reader.desk.panel.reset_axes.isVisibleTo(reader.desk.panel)
    reader.drag(Axis.LONG, 0, 30, 30)
    manual = reader.caliper
    assert reader.desk.panel.reset_axes.isVisibleTo(reader.desk.panel)
    reader.desk.panel.reset_axes.click()
    assert reader.caliper is None
    np.testing.assert_allclose([line.ends for line in reader.desk.bridge.axes.lines], before)
    assert not reader.desk.panel.reset_axes.isVisibleTo(reader.desk.panel)
    reader.desk.press("undo")
    assert reader.caliper == manual
    reader.desk.wait_measured()


@flipped
@pytest.mark.gui
def test_a_handle_under_the_pointer_and_the_length_while_it_moves(reader: AxesDesk) -> None:
    from napari.utils.colormaps.standardize_color import transform_color

    def has(colour: str) -> bool:
        return tuple(round(float(c), 2) for c in transform_color(colour)[0][:3]) in reader.colours()

    viewer, start = reader.desk.viewer, reader.pixel(reader.line(Axis.LONG).ends[0])
    reader.move(start + QPoint(4, 3))
    assert reader.layer.shape_type[-1] == "ellipse"
    assert viewer.cursor.style == "pointing"
    assert has(HANDLE)
    assert not has(MANUAL_AXES)
    reader.move(start + QPoint(60, 60))
    assert "ellipse" not in reader.layer.shape_type
    assert viewer.cursor.style == "standard"

    camera = tuple(viewer.camera.center)
    reader.press(start)
    lengths = []
    for step in (10, 25, 45):
        reader.move(start + QPoint(step, 0))
        (word,) = [word for word in reader.words() if "manual" in word]
        lengths.append(word)
        assert reader.caliper is None, "not let go yet"
    assert len(set(lengths)) == 3
    assert has(MANUAL_AXES)
    assert has(AXES)
    reader.release(start + QPoint(45, 0))
    assert tuple(viewer.camera.center) == camera, "the view stands still"
    assert manual_words(reader.caliper).split(", ")[1] in lengths[-1]
    reader.desk.wait_measured()


@flipped
@pytest.mark.gui
@pytest.mark.parametrize("axis", [Axis.LONG, Axis.SHORT])
def test_with_shift_the_short_axis_is_perpendicular_and_the_long_one_keeps_its_direction(
    reader: AxesDesk, axis: Axis
) -> None:
    reader.drag(Axis.LONG, 1, 25, 12)
    line, start = reader.line(axis), reader.pixel(reader.line(axis).ends[0])
    reader.press(start, SHIFT)
    reader.move(start + QPoint(-20, 8), SHIFT)
    reader.move(start + QPoint(-31, 17), SHIFT)
    reader.release(start + QPoint(-31, 17))
    caliper = reader.caliper
    assert caliper is not None
    assert caliper.long_ends is not None
    moved = caliper.long_ends if axis is Axis.LONG else caliper.short_ends
    assert moved is not None
    along = np.diff(moved, axis=0)[0]
    if axis is Axis.LONG:
        before = np.diff(GRID.to_physical(line.ends), axis=0)[0]
        assert np.linalg.norm(np.cross(along, before)) == pytest.approx(0, abs=1e-9)
    else:
        assert along @ np.diff(caliper.long_ends, axis=0)[0] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(GRID.to_index(moved)[1], line.ends[1], atol=1e-9)
    reader.desk.wait_measured()


@flipped
@pytest.mark.gui
def test_an_axis_of_a_lesion_that_is_left_under_the_hand_is_not_moved(reader: AxesDesk) -> None:
    start = reader.pixel(reader.line(Axis.LONG).ends[0])
    for leave in (lambda: reader.desk.session.select(2, reveal=False), lambda: reader.desk.session.select(0)):
        reader.desk.session.select(1, reveal=False)
        reader.press(start)
        reader.move(start + QPoint(30, 10))
        leave()
        reader.move(start + QPoint(40, 10))
        reader.release(start + QPoint(40, 10))
        assert all(lesion.caliper is None for lesion in reader.desk.study.lesions.values())
        assert len(reader.layer.data) == 2 * len(reader.desk.bridge.axes.lines)
    assert reader.desk.study.log == []


@flipped
@pytest.mark.gui
def test_a_study_that_is_closed_under_the_hand_leaves_no_line(reader: AxesDesk) -> None:
    desk, start = reader.desk, reader.pixel(reader.line(Axis.LONG).ends[0])
    reader.press(start)
    reader.move(start + QPoint(30, 10))
    desk.session.open(None)
    desk.bridge.clear()
    reader.move(start + QPoint(40, 10))
    reader.release(start + QPoint(40, 10))
    assert not desk.bridge.axes.dragging
    assert len(desk.viewer.layers) == 0


@flipped
@pytest.mark.gui
def test_a_click_changes_nothing_a_drag_beside_moves_the_view_and_a_click_on_a_lesion_selects(
    reader: AxesDesk,
) -> None:
    desk, end = reader.desk, reader.pixel(reader.line(Axis.LONG).ends[0])
    reader.press(end)
    reader.release(end)
    assert reader.caliper is None
    assert desk.study.log == []
    assert desk.session.selected == 1
    centre = tuple(desk.viewer.camera.center)
    middle = reader.pixel(np.array([12.0, 36.0, 6.0]))
    reader.press(middle)
    reader.move(middle + QPoint(40, 20))
    reader.move(middle + QPoint(60, 40))
    reader.release(middle + QPoint(60, 40))
    assert tuple(desk.viewer.camera.center) != centre
    assert reader.caliper is None
    clicked: list[int] = []
    desk.bridge.lesion_clicked.connect(clicked.append)
    inside = desk.pixel((12, 30, 45))
    reader.press(inside)
    reader.release(inside)
    assert clicked == [2]


@flipped
@pytest.mark.gui
def test_a_brush_on_an_end_point_paints_and_moves_no_axis(reader: AxesDesk) -> None:
    desk, start = reader.desk, reader.pixel(reader.line(Axis.LONG).ends[0])
    for count, tool in enumerate(("erase", "paint"), start=1):
        before = desk.array.copy()
        desk.press(tool)
        reader.press(start)
        reader.move(start + QPoint(30, 0))
        reader.release(start + QPoint(30, 0))
        assert reader.caliper is None
        assert (desk.array != before).any()
        assert [record.action for record in desk.study.log] == ["stroke"] * count
    desk.wait_measured()


@flipped
@pytest.mark.gui
def test_elsewhere_than_in_its_axial_slice_no_end_is_taken_up(reader: AxesDesk) -> None:
    desk, line = reader.desk, reader.line(Axis.LONG)
    assert "Axes can be moved" not in desk.bridge.describe_slice()
    for order, ndisplay in (((1, 0, 2), 2), ((2, 0, 1), 2), ((0, 1, 2), 3)):
        desk.viewer.dims.order, desk.viewer.dims.ndisplay = order, ndisplay
        desk.bridge.go_to(line.ends[0].tolist(), 20.0)
        QTest.qWait(20)
        assert "Axes can be moved in axial slices only" in desk.bridge.describe_slice()
        _try_to_take(reader, QPoint(desk.canvas.width() // 2, desk.canvas.height() // 2))
    desk.viewer.dims.order, desk.viewer.dims.ndisplay = (0, 1, 2), 2
    desk.look_at((14, 20, 20))
    _try_to_drag(reader)
    desk.look_at((12, 20, 20))
    desk.bridge.set_editable(False)
    _try_to_drag(reader)
    desk.bridge.set_editable(True)
    desk.bridge.set_hidden(True)
    _try_to_drag(reader)
    desk.bridge.set_hidden(False)
    assert reader.caliper is None
    reader.drag(Axis.LONG, 0, 20, 20)
    assert reader.caliper is not None
    desk.wait_measured()


def _try_to_drag(reader: AxesDesk) -> None:
    for line in reader.desk.bridge.axes.lines:
        for end in line.ends:
            _try_to_take(reader, reader.pixel(end))


def _try_to_take(reader: AxesDesk, start: QPoint) -> None:
    reader.press(start)
    assert not reader.desk.bridge.axes.dragging
    reader.release(start)


@flipped
@pytest.mark.gui
def test_an_end_stays_in_the_image_and_naparis_tools_stay_off(reader: AxesDesk) -> None:
    desk = reader.desk
    assert not reader.layer.editable
    desk.viewer.layers.selection.active = reader.layer
    assert not reader.layer.editable
    reader.drag(Axis.LONG, 0, 3000, 3000)
    desk.key(Qt.Key.Key_Z, CONTROL)
    assert reader.caliper is None
    desk.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert reader.caliper is not None
    assert reader.caliper.long_ends is not None
    index = GRID.to_index(reader.caliper.long_ends)
    assert (index >= -0.5 - 1e-9).all()
    assert (index <= np.asarray(GRID.shape) - 0.5 + 1e-9).all()
    desk.wait_measured()


@flipped
@pytest.mark.gui
def test_the_layer_can_be_removed_and_comes_back_with_its_lines(reader: AxesDesk) -> None:
    desk = reader.desk
    reader.drag(Axis.LONG, 0, 20, 20)
    desk.viewer.layers.remove(reader.layer)
    desk.session.select(2, reveal=False)
    desk.session.select(1, reveal=False)
    desk.viewer.layers.remove(desk.bridge.labels_layer)
    desk.bridge.show_labels(desk.study)
    assert any("manual" in word for word in reader.words())
    desk.wait_measured()


@flipped
@pytest.mark.gui
def test_autosave_and_export_hold_it(reader: AxesDesk, tmp_path: Path) -> None:
    study = reader.desk.study
    reader.drag(Axis.LONG, 1, 25, 25)
    caliper = reader.caliper
    assert caliper is not None
    export_study(ExportRequest(study, tmp_path / "out"))
    row = read_table(tmp_path / "out" / "lesions.csv").rows[1]
    assert row["axes_source"] == "manual"
    assert row["manual_long_axis_mm"] == pytest.approx(caliper.long_mm, rel=1e-5)
    store = AutosaveStore(tmp_path / "autosave")
    store.save(study)
    other = Study.of(study.volume, study.check)
    saved = store.find(study.volume)
    assert saved is not None
    store.restore(other, saved)
    assert other.lesions[1].caliper == caliper
    reader.desk.wait_measured()


@pytest.mark.gui
def test_in_the_dock_a_key_resets_and_kept_work_comes_back_with_its_caliper(desk: Any, study_file: Path) -> None:
    desk.open(study_file)
    desk.detect()
    desk.controller.session.select(1)
    controller, canvas = desk.controller, desk.viewer.window._qt_viewer.canvas.native
    moved = [np.add(line.ends, [[0, 0, 0], [0, 4, 0]]) for line in controller.bridge.axes.lines]
    for axis, ends in zip(Axis, moved, strict=True):
        controller.bridge.axes.moved.emit(MovedAxis(axis, ends))
    caliper = desk.study.lesions[1].caliper
    assert caliper is not None
    QTest.keyClick(canvas, Qt.Key.Key_Y, SHIFT)
    assert desk.study.lesions[1].caliper is None
    controller.correcting.presenter.undo()
    assert desk.study.lesions[1].caliper == caliper
    desk.until(lambda: not controller.correcting.runner.busy)
    controller.autosaving.presenter.keep_now()

    controller.study.close()
    desk.open(study_file)
    desk.until(lambda: controller.autosaving.presenter.offer is not None)
    controller.autosaving.presenter.restore()
    desk.until(lambda: desk.study.table.rows.get(1, {}).get("axes_source") == "manual")
    assert desk.study.lesions[1].caliper == caliper
    controller.session.select(1)
    assert [line.manual for line in controller.bridge.axes.lines] == [False, False, True, True]
    desk.viewer.dims.order = (1, 0, 2)
    assert "axial slices only" in desk.viewer.canvas.overlays.text.text


def test_a_manual_axis_stands_before_the_computed_one_of_its_kind() -> None:
    ends = GRID.to_physical([[3.0, 2.0, 2.0], [3.0, 2.0, 8.0]])
    row: dict[str, Any] = {"long_axis_mm": 4.2}
    for name, point in zip(("p1", "p2"), ends, strict=True):
        row.update({f"long_axis_{name}_{axis}_mm": float(v) for axis, v in zip("lps", point, strict=True)})
    one, other = (tuple(point) for point in (ends + 1.0).tolist())
    caliper = Caliper(long_ends=(one, other))
    computed, manual = lines_of(row, caliper, GRID)
    assert computed.replaced
    assert not computed.words
    assert manual.manual
    assert manual.words == "long 4.2 mm manual"
    np.testing.assert_allclose(computed.ends, axis_lines(row, GRID)[0].ends)
    assert lines_of(row, None, GRID)[0].words == "long 4.2 mm"


@pytest.mark.parametrize(
    ("caliper", "words"),
    [
        (None, ""),
        (Caliper(long_ends=((0, 0, 0), (3, 4, 0))), "long axis set by hand, 5.0 mm"),
        (Caliper(short_ends=((0, 0, 0), (0, 0, 2.04))), "short axis set by hand, 2.0 mm"),
        (Caliper(((0, 0, 0), (3, 4, 0)), ((0, 0, 0), (0, 2, 0))), "axes set by hand, 5.0 × 2.0 mm"),
    ],
)
def test_what_was_measured_in_words(caliper: Caliper | None, words: str) -> None:
    assert manual_words(caliper) == words
