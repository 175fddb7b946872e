"""The prepare panel and the model card in a real viewer."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.gui

PREVIEW = "Preview of prepared slices"
CARD = (
    f"# Mine\n\n![Failures](gallery.jpg)\n\n![Away](../away.jpg)\n\n```\n{'python -m command --option ' * 9}\n```\n"
)


def named(desk: Any, name: str) -> Any:
    return next((layer for layer in desk.viewer.layers if layer.name == name), None)


def unfold(desk: Any) -> Any:
    panel = desk.dock.prepare
    if not panel.isExpanded():
        panel.turn()
    return panel


def test_the_preview_follows_slice_and_chain(desk: Any, study_file: Path) -> None:
    desk.open(study_file)
    panel = unfold(desk)
    panel.add_step("window")
    panel.set_preview(True)
    desk.until(lambda: named(desk, PREVIEW) is not None)
    layer, image = named(desk, PREVIEW), desk.controller.bridge.image_layer
    names = [other.name for other in desk.viewer.layers]
    assert names.index(PREVIEW) == names.index(image.name) + 1 < names.index("Lesions")
    for index in (12, 25):
        desk.viewer.dims.set_point(0, index * image.scale[0])

        def shown(index: int = index) -> bool:
            expected = np.clip((np.asarray(image.data[index], dtype=float) + 1000) / 1400, 0, 1)
            there = abs(layer.translate[0] - index * image.scale[0]) < 1e-3
            return there and np.allclose(layer.data[0], expected, atol=1e-5)

        desk.until(shown)
    corner = (0, slice(0, 12), slice(0, 12))
    noise = float(layer.data[corner].std())
    panel.add_step("median")
    desk.until(lambda: float(layer.data[corner].std()) < 0.6 * noise)
    panel.turn()
    desk.until(lambda: named(desk, PREVIEW) is None)


def test_apply_makes_a_layer_and_changes_nothing_else(desk: Any, study_file: Path) -> None:
    desk.open(study_file)
    desk.detect()
    before = desk.study.volume.array.copy()
    rows = dict(desk.study.table.rows)
    panel = unfold(desk)
    panel.add_step("median")
    panel.add_step("resample")
    panel.press_apply()
    desk.idle()
    layer = named(desk, "two_balls: median resample")
    assert layer is not None, panel.said
    np.testing.assert_allclose(layer.scale, (1.0, 1.0, 1.0), atol=1e-5)
    assert np.abs(np.asarray(layer.translate)).max() < 1.3
    np.testing.assert_array_equal(desk.study.volume.array, before)
    assert desk.study.table.rows == rows
    assert "original" in panel.said


def test_a_prepared_layer_can_become_the_study(desk: Any, study_file: Path) -> None:
    desk.open(study_file)
    panel = unfold(desk)
    panel.add_step("median")
    panel.add_step("resample")
    panel.press_apply()
    desk.idle()
    layer = named(desk, "two_balls: median resample")
    desk.viewer.layers.selection.active = layer
    desk.controller.adopt()
    desk.idle()
    assert desk.study.volume.grid.spacing == pytest.approx((1.0, 1.0, 1.0))
    assert "Prepared: median resample" in desk.study.volume.source.notes
    assert named(desk, "two_balls: median resample") is None


def test_before_detection_is_recorded_and_forgotten_when_it_is_cleared(desk: Any, study_file: Path) -> None:
    desk.open(study_file)
    panel = unfold(desk)
    panel.add_step("median")
    panel.set_before(True)
    desk.detect()
    assert desk.study.detection.parameters.prepare == "median"
    panel.set_before(False)
    desk.detect()
    assert desk.study.detection.parameters.prepare == ""


def test_a_step_that_does_not_suit_is_told_in_the_panel(desk: Any, study_file: Path) -> None:
    desk.open(study_file)
    panel = unfold(desk)
    panel.add_step("lungs")
    panel.press_apply()
    desk.idle()
    assert panel.said.startswith("The lungs were not found")


def test_the_card_is_read_in_the_dock(desk: Any) -> None:
    panel = desk.dock.detect
    panel.open_card()
    text = panel.cards.browser.toPlainText()
    assert "Random weights" in text
    assert "Research use only" in text
    assert panel.cards.isVisible()
    panel.cards.close()


def test_the_card_shows_its_pictures_in_full(desk: Any, tmp_path: Path) -> None:
    """A sheet of pictures is 712 pixels wide: neither it nor a long command needs scrolling to the side."""
    from PIL import Image

    from napari_lesion.gui.widgets.card import CardDialog

    docs = tmp_path / "mine" / "docs"
    docs.mkdir(parents=True)
    Image.new("RGB", (712, 300), "#ff0000").save(docs / "gallery.jpg")
    (docs / "README.md").write_text(CARD, encoding="utf-8")
    Image.new("RGB", (90, 90), "#00ff00").save(tmp_path / "mine" / "away.jpg")
    dialog = CardDialog(desk.dock)
    dialog.show_cards([docs.parent], docs.parent)
    browser = dialog.browser

    def colours() -> set[tuple[bool, bool]]:
        image = browser.grab().toImage()
        places = product(range(5, image.width() - 20, 5), range(0, image.height(), 5))
        pixels = [image.pixelColor(x, y) for x, y in places]
        return {(pixel.red() > 200, pixel.green() > 200) for pixel in pixels if pixel.blue() < 60}

    desk.until(lambda: (True, False) in colours())
    assert (False, True) not in colours()
    assert browser.horizontalScrollBar().maximum() == 0
    dialog.close()


def test_parameters_of_another_step_leave_no_window_behind(desk: Any, study_file: Path) -> None:
    from qtpy.QtWidgets import QApplication

    desk.open(study_file)
    panel = unfold(desk)
    before = {id(widget) for widget in QApplication.topLevelWidgets() if widget.isVisible()}
    panel.add_step("window")
    panel.add_step("median")
    for _ in range(5):
        QApplication.processEvents()
    assert [w for w in QApplication.topLevelWidgets() if w.isVisible() and id(w) not in before] == []
