"""Widgets on their own: forms from dataclasses, the slider, the series chooser, preferences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from qtpy.QtWidgets import QComboBox
from superqt import QCollapsible

from napari_lesion.core.errors import LesionError
from napari_lesion.core.parameters import Param
from napari_lesion.gui.preferences import Preferences, load_preferences
from napari_lesion.gui.widgets.detect import DetectPanel
from napari_lesion.gui.widgets.forms import ParameterForm
from napari_lesion.gui.widgets.theme import palette_of
from napari_lesion.gui.widgets.threshold import ThresholdSlider, describe
from napari_lesion.workflow.detect import DetectParameters
from napari_lesion.workflow.models import OperatingPoint, find_model
from napari_lesion.workflow.open_study import SeriesInfo

pytestmark = pytest.mark.gui

TITLES = (("a", "Spleen"), ("b", "Spleen"), ("c", "Liver"))


@dataclass(frozen=True)
class Example:
    size: Annotated[float | None, Param("Smallest size", unit="mm", low=0.0, high=9.0, step=0.5)] = None
    mode: Annotated[str, Param("How", choices=("one", "two"))] = "two"
    keep: Annotated[bool, Param("Keep it")] = True


def test_form_follows_the_dataclass(qtbot: Any) -> None:
    form = ParameterForm(Example())
    qtbot.addWidget(form.native)
    assert [widget.label for widget in form.container] == ["Size (mm)", "Mode", "Keep"]
    assert form.values() == Example()
    assert form.widgets["size"].max == 9.0
    form.widgets["size"].value = 2.5
    form.widgets["mode"].value = "one"
    assert form.values() == Example(2.5, "one")


def test_form_shows_the_models_own_value_for_what_is_not_set(qtbot: Any) -> None:
    form = ParameterForm(DetectParameters(), leave_out=("threshold",))
    qtbot.addWidget(form.native)
    form.suggest(min_volume_mm3=30.0, overlap=0.25)
    assert form.widgets["min_volume_mm3"].value == 30.0
    assert form.values() == DetectParameters()
    form.widgets["min_volume_mm3"].value = 50.0
    assert form.values().min_volume_mm3 == 50.0
    assert "threshold" not in form.widgets


def test_slider_tells_only_the_place_where_it_rests(qtbot: Any) -> None:
    slider = ThresholdSlider()
    qtbot.addWidget(slider)
    with qtbot.waitSignal(slider.threshold_changed, timeout=2000) as rested:
        for value in (10, 20, 30):
            slider.setValue(value)
    assert rested.args == [0.6]
    slider.show_threshold(0.2)
    assert slider.threshold == 0.2
    with qtbot.assertNotEmitted(slider.threshold_changed, wait=250):
        slider.show_threshold(0.4)


def test_operating_point_in_words() -> None:
    point = OperatingPoint("balanced", 0.5, 0.91, 2.04, "fold 0, 30 patients")
    assert describe(point) == (
        "balanced: threshold 0.50, finds 91 % with 2.0 false marks per scan (fold 0, 30 patients)"
    )


def test_series_chooser_lists_the_likeliest_first(qtbot: Any) -> None:
    from napari_lesion.gui.widgets.series_dialog import SeriesDialog

    found = [
        SeriesInfo(Path("a"), (), "1.1", modality="CT", description="Lung", n_slices=275, spacing=(0.78, 0.78, 1.0)),
        SeriesInfo(Path("a"), (), "1.2", modality="CT", description="Scout", n_slices=1),
    ]
    dialog = SeriesDialog(found)
    qtbot.addWidget(dialog)
    texts = [dialog.table.item(0, column).text() for column in range(4)]
    assert texts == ["CT", "Lung", "275", "0.78 × 0.78 × 1.00"]
    assert dialog.chosen is found[0]
    dialog.table.selectRow(1)
    assert dialog.chosen is found[1]


def test_preferences_are_those_of_the_manifest(make_napari_viewer: Any) -> None:
    make_napari_viewer()
    assert load_preferences() == Preferences()


@pytest.mark.parametrize("name", ["dark", "light"])
def test_text_stands_out_in_both_themes(name: str) -> None:
    from napari.utils.theme import get_theme

    palette = palette_of(get_theme(name))
    for text in (palette.text, palette.dim, palette.good, palette.caution, palette.bad):
        assert contrast(text, palette.background) >= 4.5
        assert contrast(text, palette.foreground) >= 4.5
    assert contrast("#FFFFFF", palette.accent) >= 4.5


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits[:6]
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_models_of_one_title_are_told_apart_and_an_old_error_goes_with_its_model(qtbot: Any) -> None:
    panel = DetectPanel(DetectParameters())
    qtbot.addWidget(panel)
    models = [replace(find_model(None), name=name, path=Path(name), title=title) for name, title in TITLES]
    panel.show_models(models, 0)
    box = panel.findChild(QComboBox)
    assert [box.itemText(k) for k in range(box.count())] == ["Spleen (a)", "Spleen (b)", "Liver"]
    panel.show_model(models[0])
    panel.show_error(LesionError("It does not fit"))
    panel.show_model(models[0])
    assert panel.said == "It does not fit."
    panel.show_model(models[2])
    assert panel.said == ""


def test_arrows_of_folded_panels_stand_out(desk: Any) -> None:
    """Qt's own palette, whose colour they take otherwise, is black also in the dark theme."""
    desk.viewer.theme = "dark"
    folded = desk.dock.findChildren(QCollapsible)
    assert len(folded) >= 5
    for panel in folded:
        for arrow in (panel.collapsedIcon(), panel.expandedIcon()):
            image = arrow.pixmap(18, 18).toImage()
            pixels = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
            drawn = [pixel.lightness() for pixel in pixels if pixel.alpha() > 250]
            assert drawn
            assert min(drawn) > 180
