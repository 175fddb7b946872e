"""The table of lesions: cells, columns and their list, clipboard, names."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_lesion.core.errors import LesionError
from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.table import Column, LesionTable, Row
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.gui.preferences import load_preferences, remember_columns
from napari_lesion.gui.presenters.lesions import CopyForm, LesionsPresenter, LesionsView, column_choices
from napari_lesion.gui.presenters.rows import MAIN, Cell, make_rows, percent_text, shown_columns
from napari_lesion.gui.presenters.tips import EXPERIMENTAL, column_tip
from napari_lesion.gui.session import Session
from napari_lesion.workflow.study import Study

GRID = Grid((6, 6, 8), (1.0, 1.0, 1.0))
COLUMNS = (
    Column("label", "Label", decimals=0),
    Column("status", "Status"),
    Column("probability", "Probability", decimals=2),
    Column("malignancy_suspicious_probability", "Suspicious to readers", decimals=2),
    Column("texture_class", "Texture to readers"),
    Column("calcified_probability", "Calcified to readers", decimals=2),
    Column("review", "Review"),
    Column(
        "long_axis_mm", "Long axis", "mm", error="long_axis_err_mm", reference="RECIST 1.1", code="(SCT 103339001)"
    ),
    Column("long_axis_err_mm", "Long axis ±", "mm"),
    Column("short_axis_mm", "Short axis", "mm", error="short_axis_err_mm"),
    Column("short_axis_err_mm", "Short axis ±", "mm"),
    Column("volume_mm3", "Volume", "mm³", error="volume_err_mm3", definition="Voxels < times > volume."),
    Column("volume_err_mm3", "Volume ±", "mm³"),
    Column("mean_diameter_mm", "Mean diameter", "mm"),
    Column("density_mean_hu", "Mean", "HU"),
    Column("nodule_type", "Type"),
    Column("sphericity", "Sphericity", decimals=2),
    Column("spiculation_index", "Spiculation", decimals=2, experimental=True),
    Column("flags", "Flags"),
)
ROW: Row = {
    "label": 1,
    "status": "model",
    "probability": 0.9,
    "malignancy_suspicious_probability": 0.834,
    "texture_class": "part-solid",
    "calcified_probability": 0.02,
    "review": "",
    "long_axis_mm": 15.84,
    "long_axis_err_mm": 0.41,
    "short_axis_mm": 11.16,
    "short_axis_err_mm": 0.52,
    "volume_mm3": 1874.2,
    "volume_err_mm3": 120.4,
    "mean_diameter_mm": 13.5,
    "density_mean_hu": -12.3,
    "nodule_type": "part-solid",
    "sphericity": 0.81,
    "spiculation_index": 0.1,
    "flags": "",
}


def study_of(*rows: Row) -> Study:
    volume = Volume(np.zeros(GRID.shape, np.int16), GRID, Modality.CT, Source(case="case"))
    study = Study.of(volume, Check())
    for label, row in enumerate(rows, 1):
        study.lesions[label] = Lesion(label, probability=0.9)
        study.table = study.table.updated(LesionTable(COLUMNS, {label: {**row, "label": label}}))
    return study


def cells_of(study: Study, *names: str) -> dict[str, Cell]:
    columns = shown_columns(study.table, names or MAIN)
    row = make_rows(study.table, study.lesions.values(), columns, lambda _: {})[0]
    return {column.name: cell for column, cell in zip(columns, row.cells, strict=True)}


def desk_of(study: Study, **kwargs: Any) -> tuple[LesionsPresenter, Any, Session]:
    session, view = Session(), MagicMock(spec=LesionsView)
    view.shown_labels.return_value = list(study.lesions)
    presenter = LesionsPresenter(session, view, **kwargs)
    session.open(study)
    return presenter, view, session


# -- cells -----------------------------------------------------------------------------------------------------------


def test_error_bars_stand_below_their_values() -> None:
    cells = cells_of(study_of(ROW))
    assert (cells["axes"].text, cells["axes"].lighter) == ("15.8 × 11.2", "± 0.4 × 0.5")
    assert (cells["volume_mm3"].text, cells["volume_mm3"].lighter) == ("1,874", "± 120")
    assert (cells["density_mean"].text, cells["density_mean"].lighter) == ("−12", "")
    assert cells["label"].lighter == "model"
    assert "Long axis 15.8 ± 0.4 mm, short axis 11.2 ± 0.5 mm (95 % half width)" in cells["axes"].tip


def test_axes_set_by_hand_carry_a_mark() -> None:
    study = study_of({**ROW, "manual_long_axis_mm": 17.04, "manual_short_axis_mm": float("nan")})
    axes = cells_of(study)["axes"]
    assert axes.text == "15.8 × 11.2"
    assert axes.lighter == "✎ 17.0 × –"
    assert "Set by hand: 17.0 × – mm. Computed from the mask: 15.8 × 11.2 mm." in axes.tip


def test_few_voxels_grey_what_cannot_be_trusted() -> None:
    cells = cells_of(study_of({**ROW, "flags": "few_voxels"}), "sphericity", "volume_mm3", "flags")
    assert cells["sphericity"].greyed
    assert cells["sphericity"].marked
    assert not cells["volume_mm3"].greyed
    assert not cells["volume_mm3"].marked
    assert "fewer than 64 voxels" in cells["sphericity"].tip
    assert cells["flags"].lighter == "few voxels"


def test_decision_and_name_stand_with_the_number() -> None:
    study = study_of(ROW)
    study.lesions[1] = Lesion(1, Status.EDITED, 0.9, Review.REJECTED, lesion_id="T1 <b>")
    cell = cells_of(study)["label"]
    assert cell.lighter == "✕ edited"
    assert "Name: T1 &lt;b&gt;" in cell.tip


def test_a_rating_is_called_what_it_is() -> None:
    name = "malignancy_suspicious_probability"
    cell = cells_of(study_of(ROW), name)[name]
    assert (cell.text, cell.lighter) == ("0.83", "part-solid")
    assert "Readers would rate it suspicious" in cell.tip
    assert "no diagnosis" in cell.tip
    unrated = {**ROW, name: float("nan"), "texture_class": "", "flags": "rating_no_lung"}
    cell = cells_of(study_of(unrated), name)[name]
    assert (cell.text, cell.lighter) == ("–", "")
    assert "aerated lung" in cell.tip


def test_small_changes_keep_a_decimal() -> None:
    assert [percent_text(value) for value in (0.21, -3.0, 9.96, 1234.5)] == ["+0.2 %", "−3.0 %", "+10 %", "+1,234 %"]


# -- columns ---------------------------------------------------------------------------------------------------------


def test_headers_tell_what_there_is_to_know() -> None:
    columns = {column.name: column for column in shown_columns(study_of(ROW).table, ("axes", "volume_mm3"))}
    assert columns["axes"].below == "mm"
    assert all(word in columns["axes"].tip for word in ("RECIST 1.1", "(SCT 103339001)", "long_axis_err_mm"))
    assert "Voxels &lt; times &gt; volume." in columns["volume_mm3"].tip


def test_experimental_columns_say_so() -> None:
    (_, column) = shown_columns(study_of(ROW).table, ("spiculation_index",))
    assert column.below == "exp."
    assert EXPERIMENTAL in column.tip
    assert EXPERIMENTAL not in column_tip(COLUMNS[0])


def test_the_main_columns_are_what_a_radiologist_reads() -> None:
    names = [column.name for column in shown_columns(study_of(ROW).table)]
    assert names == list(MAIN)
    assert [column.name for column in shown_columns(LesionTable())] == ["label"]


def test_every_column_can_be_chosen_once() -> None:
    groups = column_choices(study_of(ROW).table)
    names = [choice.name for choices in groups.values() for choice in choices]
    assert len(names) == len(set(names))
    assert {"sphericity", "long_axis_mm", "volume_err_mm3", "axes"} <= set(names)
    assert next(iter(groups)) == "Read first"


def test_columns_are_remembered_and_those_of_other_images_kept() -> None:
    kept: list[list[str]] = []
    remember = lambda names: kept.append(list(names))  # noqa: E731
    presenter, view, _ = desk_of(study_of(ROW), columns=("label", "volume_mm3", "density_p90_au"), remember=remember)
    assert [column.name for column in view.show_rows.call_args.args[0]] == ["label", "volume_mm3"]
    presenter.set_columns(["volume_mm3", "sphericity"])
    assert [column.name for column in view.show_rows.call_args.args[0]] == ["label", "volume_mm3", "sphericity"]
    presenter.set_columns([])
    assert [column.name for column in view.show_rows.call_args.args[0]] == list(MAIN)
    assert kept == [["label", "volume_mm3", "sphericity", "density_p90_au"], []]


def test_the_list_of_columns_is_not_filled_with_every_stroke() -> None:
    _, view, session = desk_of(study_of(ROW))
    session.painting()
    session.painting()
    assert view.show_choices.call_count == 1


@pytest.mark.gui
def test_columns_outlast_the_session(make_napari_viewer: Any) -> None:
    make_napari_viewer()
    remember_columns(["label", "sphericity"])
    assert load_preferences().columns == ("label", "sphericity")
    remember_columns([])
    assert load_preferences().columns == ()


# -- clipboard -------------------------------------------------------------------------------------------------------


def test_copies_come_in_two_forms_of_a_row_or_the_table() -> None:
    presenter, view, session = desk_of(study_of(ROW, ROW))
    session.select(2)
    presenter.copy(CopyForm.REPORT, whole=False)
    text = view.copy_text.call_args.args[0]
    assert text.startswith(
        "Lesion 2: 15.8 × 11.2 mm (mean 14 mm), 1,874 mm³ ± 120, part-solid, mean −12 HU; series case"
    )
    assert text.endswith("Research use only, not a diagnosis.")
    presenter.copy(CopyForm.REPORT)
    assert len(view.copy_text.call_args.args[0].splitlines()) == 3
    presenter.copy(CopyForm.SPREADSHEET, whole=False)
    header, line = view.copy_text.call_args.args[0].splitlines()
    cells = dict(zip(header.split("\t"), line.split("\t"), strict=True))
    assert cells["Label"] == "2"
    assert cells["Volume (mm³)"] == "1874.2"
    assert cells["Volume ± (mm³)"] == "120.4"
    assert cells["Mean (HU)"] == "-12.3"


def test_nothing_is_copied_without_a_lesion() -> None:
    presenter, view, _ = desk_of(study_of(ROW))
    presenter.copy(CopyForm.REPORT, whole=False)
    view.copy_text.assert_not_called()
    assert "no lesion is selected" in view.show_counts.call_args.args[0]
    empty, view, _ = desk_of(study_of())
    empty.copy()
    view.copy_text.assert_not_called()


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_lesion_is_named() -> None:
    study = study_of(ROW, ROW)
    presenter, view, session = desk_of(study)
    presenter.rename()
    view.ask_name.assert_not_called()
    session.select(1)
    view.ask_name.return_value = "T1"
    presenter.rename()
    view.ask_name.assert_called_once_with(1, "1")
    assert study.lesions[1].tracking_id == "T1"
    session.select(2)
    presenter.rename()
    assert isinstance(view.show_error.call_args.args[0], LesionError)
    view.ask_name.return_value = None
    presenter.rename()
    assert study.lesions[2].tracking_id == "2"


# -- by mouse and keys -----------------------------------------------------------------------------------------------


@pytest.fixture
def ready(desk: Any, study_file: Path) -> Any:
    """A desk with two found lesions, the first one selected."""
    desk.open(study_file)
    desk.detect()
    desk.controller.lesions.step(1)
    return desk


@pytest.mark.gui
def test_keys_and_menu_copy_sentences(ready: Any) -> None:
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    QApplication.clipboard().clear()
    table = ready.dock.lesions.table
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    text = QApplication.clipboard().text()
    assert text.startswith("Lesion 1: ")
    assert "mean 40 HU; series two_balls, axial slice" in text
    QTest.keyClick(table, Qt.Key.Key_Down)
    QTest.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text().startswith("Lesion 2: ")
    panel = ready.dock.lesions
    table.customContextMenuRequested.emit(QPoint(20, 20))
    assert panel.row_menu.isVisible()
    entries = {entry.text().split("\t")[0]: entry for entry in panel.row_menu.actions()}
    entries["Copy all lesions for a report"].trigger()
    panel.row_menu.close()
    assert [line[:9] for line in QApplication.clipboard().text().splitlines()[:2]] == ["Lesion 1:", "Lesion 2:"]
    assert "Name…" in entries


@pytest.mark.gui
def test_columns_are_found_by_typing_and_chosen_by_keys(ready: Any) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    panel = ready.dock.lesions
    panel.choose_columns()
    chooser = panel.chooser
    assert chooser.isVisible()
    QTest.keyClicks(chooser.search, "spheri crof")
    shown = [item.text(0) for item in chooser._entries() if not item.isHidden()]
    assert shown == ["Sphericity (Crofton)"]
    QTest.keyClick(chooser.search, Qt.Key.Key_Down)
    QTest.keyClick(chooser.tree, Qt.Key.Key_Space)
    assert "sphericity_crofton" in [column.name for column in panel.table.source.columns]
    chooser.reset.click()
    assert [column.name for column in panel.table.source.columns] == list(MAIN)
    QTest.keyClick(chooser, Qt.Key.Key_Escape)
    assert not chooser.isVisible()


@pytest.mark.gui
def test_table_is_drawn_within_the_dock(ready: Any) -> None:
    table = ready.dock.lesions.table
    ready.qtbot.wait(100)
    assert table.horizontalHeader().length() <= table.viewport().width()
    assert table.verticalHeader().sectionSize(0) >= 2 * table.fontMetrics().height()
    ready.controller.session.review(1, Review.ACCEPTED)
    ready.controller.lesions.set_columns(["volume_mm3", "sphericity", "nodule_type", "flags"])
    picture = table.grab().toImage()
    colours = {picture.pixelColor(x, y).name() for x in range(0, picture.width(), 3) for y in range(picture.height())}
    assert len(colours) > 10
