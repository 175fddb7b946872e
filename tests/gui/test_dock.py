"""The dock in a real viewer, from opening a study to its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_lesion.core.errors import DeviceMemoryError
from napari_lesion.core.lesion import Review
from napari_lesion.gui.windows import SOFT_TISSUE

pytestmark = pytest.mark.gui


def test_open_detect_review_export(desk: Any, network: Any, study_file: Path, tmp_path: Path) -> None:
    desk.open(study_file)
    assert desk.viewer.layers["two_balls"].units[0] == "millimeter"
    assert "64 × 56 × 40, 0.80 × 0.80 × 1.25 mm" in desk.dock.study._facts.text()

    desk.detect()
    rows = desk.texts()
    assert [row[0] for row in rows] == ["1", "2"]
    assert desk.below()[0][0] == "model"
    assert rows[0][1] == "0.90"
    assert rows[0][6] == "40"
    volume = float(rows[0][4].replace(",", ""))
    assert volume == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.1)
    assert "2 lesions" in desk.dock.lesions._counts.text()

    desk.controller.lesions.step(1)
    assert desk.controller.session.selected == 1
    desk.controller.lesions.accept()
    desk.controller.lesions.step(1)
    desk.controller.lesions.reject()
    assert desk.below()[0][0] == "✓ model"
    assert desk.below()[1][0] == "✕ model"
    assert desk.study.lesions[2].review == Review.REJECTED

    out = tmp_path / "out"
    desk.controller.export.export_to(out)
    desk.idle()
    assert sorted(path.name for path in out.iterdir()) == ["lesions.csv", "mask.nii.gz", "run.json"]
    table = (out / "lesions.csv").read_text(encoding="utf-8").splitlines()
    assert table[0].startswith("label,status,probability,malignancy_suspicious_probability")
    assert ",review," in table[0]
    assert "accepted" in table[1]
    assert "rejected" in table[2]
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))["lesions"]["count"] == 2
    assert "2 of 2 lesions" in desk.dock.export.said
    assert not desk.study.unsaved


def test_selecting_a_row_goes_to_its_long_axis(desk: Any, network: Any, study_file: Path) -> None:
    desk.open(study_file)
    desk.detect()
    desk.dock.lesions.table.selectRow(1)
    label = desk.controller.session.selected
    assert label == 2
    row = desk.study.table.rows[label]
    z, y, x = desk.controller.bridge.position()
    assert z == row["long_axis_slice"]
    assert abs(y - 16) <= 1
    assert abs(x - 18) <= 1
    center = desk.viewer.camera.center
    assert center[1] == pytest.approx(desk.viewer.dims.point[1], abs=1e-6)
    axes = desk.viewer.layers["Lesion axes"]
    texts = [text for text in axes.text.values if text]
    assert texts == [f"long {row['long_axis_mm']:.1f} mm", f"short {row['short_axis_mm']:.1f} mm"]
    drawn = np.asarray(axes.data[0]) * axes.scale
    assert np.linalg.norm(drawn[0] - drawn[1]) == pytest.approx(row["long_axis_mm"], rel=1e-6)


def test_selecting_keeps_the_focus(desk: Any, network: Any, study_file: Path) -> None:
    desk.open(study_file)
    desk.detect()
    field = desk.dock.correct.diameter
    desk.viewer.window.activate()
    field.setFocus()
    desk.until(field.hasFocus)
    desk.controller.lesions.step(1)
    assert field.hasFocus()


def test_clicking_a_lesion_selects_its_row(desk: Any, network: Any, study_file: Path) -> None:
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    desk.open(study_file)
    desk.detect()
    desk.controller.lesions.step(1)
    desk.qtbot.wait(200)
    desk.controller.session.select(0, reveal=False)
    zoom = desk.viewer.camera.zoom
    native = desk.viewer.window._qt_viewer.canvas.native
    middle = QPoint(native.width() // 2, native.height() // 2)
    QTest.mouseClick(native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, middle)
    desk.until(lambda: desk.controller.session.selected == 1)
    assert desk.viewer.camera.zoom == zoom
    assert desk.dock.lesions.table.label_of(desk.dock.lesions.table.currentIndex()) == 1


def test_threshold_moves_without_the_network(desk: Any, network: Any, study_file: Path) -> None:
    desk.open(study_file)
    desk.detect()
    desk.controller.lesions.step(1)
    desk.controller.lesions.accept()
    calls = network.calls
    desk.controller.detect.set_threshold(0.7)
    desk.idle()
    assert list(desk.study.lesions) == [1]
    assert desk.below()[0][0] == "✓ model"
    assert "(−1)" in desk.dock.detect._count.text()
    assert desk.labels().data.max() == 1
    desk.controller.detect.nudge(-1)
    desk.controller.detect.set_threshold(0.3)
    desk.idle()
    desk.until(lambda: len(desk.texts()) == 2)
    assert desk.study.threshold == 0.3
    assert network.calls == calls


def test_nothing_found_says_where_something_would_be(desk: Any, network: Any, study_file: Path) -> None:
    network.scale = 0.3
    desk.open(study_file)
    desk.detect()
    assert desk.texts() == []
    assert "The highest probability is 0.27" in desk.dock.detect.said
    desk.dock.detect._lower.click()
    desk.idle()
    assert len(desk.texts()) == 1


def test_second_click_is_refused_and_cancel_changes_nothing(desk: Any, network: Any, study_file: Path) -> None:
    desk.open(study_file)
    network.gate.clear()
    desk.dock.detect.press_detect()
    desk.until(network.started.is_set)
    desk.controller.detect.detect()
    assert "Detection is still running" in desk.dock.detect.said
    assert network.calls == 1
    assert not desk.labels().editable
    desk.dock.detect._cancel.click()
    desk.idle()
    assert "Cancelled" in desk.dock.detect._done.text()
    assert desk.study.detection is None
    assert desk.labels().editable
    network.gate.set()
    desk.detect()
    assert len(desk.texts()) == 2


def test_progress_shows_windows_and_time(desk: Any, network: Any, study_file: Path) -> None:
    desk.open(study_file)
    network.gate.clear()
    desk.dock.detect.press_detect()
    desk.until(lambda: "Searching" in desk.dock.detect._progress_words.text())
    assert " of 100" in desk.dock.detect._progress_words.text()
    assert desk.dock.detect._stack.currentIndex() == 1
    desk.controller.detect.cancel()
    desk.idle()


def test_removing_the_image_while_running_closes_the_study(desk: Any, network: Any, study_file: Path) -> None:
    desk.open(study_file)
    network.gate.clear()
    desk.dock.detect.press_detect()
    desk.until(network.started.is_set)
    del desk.viewer.layers["two_balls"]
    assert desk.study is None
    assert len(desk.viewer.layers) == 0
    network.gate.set()
    desk.qtbot.wait(200)
    assert desk.texts() == []
    desk.open(study_file)
    desk.detect()
    assert len(desk.texts()) == 2


def test_removing_the_labels_brings_them_back(desk: Any, network: Any, study_file: Path) -> None:
    desk.open(study_file)
    desk.detect()
    del desk.viewer.layers["Lesions"]
    desk.until(lambda: "Lesions" in desk.viewer.layers)
    assert np.shares_memory(desk.labels().data, desk.study.labels.array)
    assert desk.labels().data.max() == 2


def test_closing_the_viewer_while_running(
    make_napari_viewer: Any, qtbot: Any, network: Any, study_file: Path
) -> None:
    from qtpy.QtCore import QThreadPool

    viewer = make_napari_viewer(show=True)
    _, dock = viewer.window.add_plugin_dock_widget("napari-lesion")
    controller = dock.controller
    controller.study.open_path(study_file)
    qtbot.waitUntil(lambda: not controller.runner.busy, timeout=20_000)
    network.gate.clear()
    dock.detect.press_detect()
    qtbot.waitUntil(network.started.is_set)
    viewer.close()
    assert not controller.busy
    assert QThreadPool.globalInstance().waitForDone(5000)
    qtbot.wait(100)


def test_another_study_is_read_while_the_first_is_computed(
    desk: Any, network: Any, study_file: Path, write_image: Callable[..., Path], tmp_path: Path
) -> None:
    desk.open(study_file)
    network.gate.clear()
    desk.dock.detect.press_detect()
    desk.until(network.started.is_set)
    other = write_image(tmp_path / "other.mha", np.full((20, 30, 30), -700, np.int16))
    first = desk.study
    desk.open(other)
    assert desk.study.volume.source.case == "other"
    assert desk.labels().editable
    bar = desk.dock.background
    assert bar.isVisible()
    desk.until(lambda: "Searching" in bar._lines[0]._words.text())
    network.gate.set()
    desk.idle()
    assert desk.texts() == []
    assert desk.study.detection is None
    assert bar._lines[0]._words.text() == "two_balls: 2 lesions found"
    bar._lines[0].open.click()
    assert desk.study is first
    assert not bar.isVisible()
    assert len(desk.texts()) == 2
    assert np.shares_memory(desk.labels().data, first.labels.array)
    assert desk.labels().data.max() == 2
    assert "Done in" in desk.dock.detect._done.text()
    desk.controller.session.select(1)
    desk.controller.detect.nudge(1)
    desk.idle()
    assert first.threshold == 0.52


def test_user_error_is_a_line_in_the_panel(desk: Any, network: Any, study_file: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.nii"
    text.write_text("this is no image")
    desk.open(text)
    assert desk.study is None
    assert "text.nii" in desk.dock.study.said
    desk.open(study_file)
    network.failure = DeviceMemoryError("The device has too little memory", "it is full", "Take the CPU")
    desk.detect()
    assert desk.dock.detect.said == "The device has too little memory. It is full. Take the CPU."
    desk.open(text)
    assert desk.study.volume.source.case == "two_balls"
    assert "text.nii" in desk.dock.study.said


def test_bug_becomes_a_notification(
    desk: Any, network: Any, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_lesion.gui import worker

    reported: list[Exception] = []
    monkeypatch.setattr(worker, "report_bug", lambda error, _doing: reported.append(error))
    desk.open(study_file)
    network.failure = ZeroDivisionError("no windows")
    desk.detect()
    assert isinstance(reported[0], ZeroDivisionError)
    assert "fault of the program" in desk.dock.detect.said


def test_mr_given_to_a_ct_model_warns(desk: Any, network: Any, study_file: Path) -> None:
    from napari_lesion.core.volume import Modality

    desk.open(study_file)
    desk.controller.study.state_modality(Modality.MR)
    desk.idle()
    desk.until(lambda: "MR" in desk.dock.detect._warns.text())
    assert "trained on CT" in desk.dock.detect._warns.text()
    assert desk.dock.detect._light.isVisible()


def test_window_presets(desk: Any, study_file: Path) -> None:
    desk.open(study_file)
    assert desk.viewer.layers["two_balls"].contrast_limits == [-1350, 150]
    desk.controller.study.next_window()
    assert desk.controller.study.window == SOFT_TISSUE
    assert desk.viewer.layers["two_balls"].contrast_limits == [-160, 240]


def test_layer_of_the_reader_is_adopted_with_its_grid(desk: Any, study_file: Path) -> None:
    layer = desk.viewer.open(str(study_file), plugin="napari-lesion")[0]
    desk.viewer.layers.selection.active = layer
    desk.controller.adopt()
    desk.idle()
    assert desk.study.volume.source.path == study_file
    assert desk.study.volume.grid.spacing == pytest.approx((0.8, 0.8, 1.25))
    assert not layer.visible


def test_rotated_layer_is_refused_with_the_reason(desk: Any) -> None:
    with pytest.warns(UserWarning, match="Non-orthogonal slicing"):
        layer = desk.viewer.add_image(np.zeros((8, 9, 10), np.float32), name="tilted", rotate=(10, 0, 0))
    desk.viewer.layers.selection.active = layer
    desk.controller.adopt()
    assert desk.study is None
    assert "rotated or sheared" in desk.dock.study.said


def test_copy_puts_the_table_on_the_clipboard(desk: Any, network: Any, study_file: Path) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QApplication

    desk.open(study_file)
    desk.detect()
    desk.dock.lesions.table.sortByColumn(3, Qt.SortOrder.AscendingOrder)
    desk.controller.lesions.copy()
    lines = QApplication.clipboard().text().splitlines()
    assert lines[0].split("\t")[:4] == ["Label", "Status", "Review", "Probability"]
    assert {"Long axis (mm)", "Short axis (mm)", "Volume (mm³)"} <= set(lines[0].split("\t"))
    assert [line.split("\t")[0] for line in lines[1:]] == ["2", "1"]


def test_theme_changes_with_napari(desk: Any, study_file: Path) -> None:
    desk.open(study_file)
    dark = desk.dock.styleSheet()
    desk.viewer.theme = "light"
    assert desk.dock.styleSheet() != dark
    desk.viewer.theme = "dark"
    assert desk.dock.styleSheet() == dark


def test_closing_the_dock_while_running_leaves_a_working_viewer(desk: Any, network: Any, study_file: Path) -> None:
    desk.open(study_file)
    network.gate.clear()
    desk.dock.detect.press_detect()
    desk.until(network.started.is_set)
    controller = desk.controller
    desk.viewer.window.remove_dock_widget(desk.dock)
    desk.until(lambda: not controller.runner.busy)
    desk.viewer.theme = "light"
    desk.viewer.dims.set_current_step(0, 3)
    assert not desk.viewer.keymap
    assert "Lesions" in desk.viewer.layers
    _, desk.dock = desk.viewer.window.add_plugin_dock_widget("napari-lesion")
    assert desk.viewer.keymap


def test_dropped_file_is_opened(desk: Any, study_file: Path) -> None:
    from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
    from qtpy.QtGui import QDropEvent

    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(study_file))])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    desk.dock.dropEvent(event)
    desk.idle()
    assert desk.study.volume.source.path == study_file


def test_what_cannot_be_written_is_said_and_nothing_is_lost(desk: Any, study_file: Path, tmp_path: Path) -> None:
    desk.open(study_file)
    desk.detect()
    blocked = tmp_path / "a_file"
    blocked.touch()
    desk.controller.export.export_to(blocked)
    desk.idle()
    assert "a_file" in desk.dock.export.said
    assert desk.study.unsaved
    assert len(desk.texts()) == 2


def test_empty_folder_is_said(desk: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    desk.open(empty)
    assert desk.study is None
    assert "empty" in desk.dock.study.said


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080)])
def test_nothing_is_cut_off(desk: Any, study_file: Path, width: int, height: int) -> None:
    from qtpy.QtWidgets import QAbstractButton, QScrollArea

    desk.viewer.window.resize(width, height)
    desk.open(study_file)
    desk.controller.study.answer_reader_offer(False)
    desk.detect()
    desk.controller.lesions.step(1)
    desk.qtbot.wait(200)
    area = desk.dock.findChild(QScrollArea)
    assert area.widget().width() <= area.viewport().width()
    table = desk.dock.lesions.table
    assert table.mapTo(area.widget(), table.rect().bottomLeft()).y() <= area.viewport().height()
    assert table.horizontalScrollBar().maximum() == 0
    for widget in desk.dock.findChildren(QAbstractButton):
        if widget.isVisible() and widget.text():
            assert widget.width() >= widget.minimumSizeHint().width(), widget.text()
