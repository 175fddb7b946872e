"""Lesions as text: the sentence of a report, the lines of a spreadsheet, the words of flags and columns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.table import Column, LesionTable, Row
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.measure.registry import FEATURES
from napari_lesion.measure.spec import Family, Scale
from napari_lesion.measure.uncertainty import FLAGS
from napari_lesion.workflow.columns import (
    OTHER,
    by_family,
    family_of,
    flag_words,
    flags_about,
    flags_in,
    is_unreliable,
)
from napari_lesion.workflow.report import NOTICE, report_text, spreadsheet_text
from napari_lesion.workflow.study import Study

COLUMNS = (
    Column("label", "Label", decimals=0),
    Column("status", "Status"),
    Column("long_axis_mm", "Long axis", "mm", error="long_axis_err_mm"),
    Column("long_axis_err_mm", "Long axis ±", "mm"),
    Column("short_axis_mm", "Short axis", "mm"),
    Column("mean_diameter_mm", "Mean diameter", "mm"),
    Column("volume_mm3", "Volume", "mm³", error="volume_err_mm3"),
    Column("volume_err_mm3", "Volume ±", "mm³"),
    Column("density_mean_hu", "Mean", "HU"),
    Column("nodule_type", "Type"),
)
ROW: Row = {
    "label": 1,
    "status": "model",
    "long_axis_mm": 15.84,
    "long_axis_err_mm": 0.41,
    "short_axis_mm": 11.16,
    "mean_diameter_mm": 13.5,
    "volume_mm3": 1874.2,
    "volume_err_mm3": 120.4,
    "density_mean_hu": -12.3,
    "nodule_type": "solid",
    "long_axis_slice": 3,
}
SENTENCE = (
    "Lesion 1: 15.8 × 11.2 mm (mean 14 mm), 1,874 mm³ ± 120, solid, mean −12 HU; "
    "series visit_1 (Chest 1.0), axial slice 5 of 8."
)


def study_of(*rows: Row) -> Study:
    """A study whose slices run upwards: index 3 of 8 is the fifth from the head."""
    import numpy as np

    grid = Grid((6, 6, 8), (1.0, 1.0, 1.0))
    source = Source(case="visit_1", description="Chest 1.0")
    study = Study.of(Volume(np.zeros(grid.shape, np.int16), grid, Modality.CT, source), Check())
    for row in rows:
        label = int(row["label"] or 0)
        study.lesions[label] = Lesion(label)
    study.table = LesionTable(COLUMNS, {int(row["label"] or 0): row for row in rows})
    return study


def test_a_sentence_that_pastes_into_a_report() -> None:
    assert report_text(study_of(ROW), [1]) == f"{SENTENCE} {NOTICE}"


def test_several_lesions_stand_one_a_line_with_one_notice() -> None:
    study = study_of(ROW, {**ROW, "label": 2, "series_date": "2020-01-31"})
    study.lesions[2] = replace(study.lesions[2], lesion_id="T1")
    lines = report_text(study, [2, 1]).splitlines()
    assert lines[0].startswith("Lesion 2 (T1): 15.8 × 11.2 mm")
    assert lines[1] == SENTENCE.replace("series visit_1 (Chest 1.0), ", "")
    assert lines[2] == f"Series visit_1 (Chest 1.0), 2020-01-31. {NOTICE}"
    assert "series visit_1 (Chest 1.0), 2020-01-31, axial slice 5 of 8." in report_text(study, [2])


def test_axes_of_the_reader_come_first_and_say_so() -> None:
    manual = {"manual_long_axis_mm": 17.0, "manual_short_axis_mm": float("nan"), "manual_mean_diameter_mm": 14.08}
    text = report_text(study_of({**ROW, **manual}), [1])
    assert "Lesion 1: 17.0 × 11.2 mm (mean 14 mm) by hand, computed 15.8 × 11.2 mm, 1,874 mm³" in text


def test_the_place_is_told_where_masks_tell_it() -> None:
    lung: Row = {**ROW, "side": "right", "organ": "lung", "lobe": "mixed"}
    assert "Lesion 1: right lung, 15.8 × 11.2 mm" in report_text(study_of(lung), [1])
    lobe: Row = {**lung, "lobe": "right middle lobe"}
    assert "Lesion 1: right middle lobe, 15.8 × 11.2 mm" in report_text(study_of(lobe), [1])


def test_what_is_not_known_is_not_said() -> None:
    assert report_text(study_of(), [1]) == ""
    assert report_text(study_of({"label": 3}), [3]) == (
        f"Lesion 3: not measured; series visit_1 (Chest 1.0). {NOTICE}"
    )
    row = {**ROW, "volume_err_mm3": float("nan"), "nodule_type": "", "density_mean_hu": float("nan")}
    assert "1,874 mm³; series" in report_text(study_of(row), [1])


def test_lines_of_a_spreadsheet_have_units_errors_and_plain_numbers() -> None:
    study = study_of(ROW, {**ROW, "label": 2, "volume_mm3": float("nan"), "nodule_type": "part\tsolid"})
    text = spreadsheet_text(study.table, [2, 1], ["label", "long_axis_mm", "volume_mm3", "nodule_type", "absent"])
    assert text.splitlines() == [
        "Label\tLong axis (mm)\tLong axis ± (mm)\tVolume (mm³)\tVolume ± (mm³)\tType",
        "2\t15.8\t0.4\t\t120.4\tpart solid",
        "1\t15.8\t0.4\t1874.2\t120.4\tsolid",
    ]


def test_a_lesion_that_is_being_measured_has_its_number() -> None:
    study = study_of(ROW)
    study.lesions[7] = Lesion(7, Status.MANUAL)
    assert spreadsheet_text(study.table, [7], ["label", "volume_mm3"]).splitlines()[1] == "7\t\t"


@pytest.mark.parametrize("flag", [flag.name for flag in FLAGS])
def test_every_flag_has_words(flag: str) -> None:
    words = flag_words(flag)
    assert words.lower().startswith(flag.replace("_", " "))
    assert len(words) > len(flag) + 10


def test_every_measure_has_a_family() -> None:
    columns = [spec.column(Scale.HU) for spec in FEATURES if spec.applies_to(Scale.HU)]
    groups = by_family(columns)
    assert sum(len(members) for members in groups.values()) == len(columns)
    assert OTHER not in groups
    assert list(groups) == [str(family) for family in Family if str(family) in groups]
    assert family_of("of_somebody_else") == OTHER
    assert list(by_family([*columns, Column("of_somebody_else")]))[-1] == OTHER


def test_flags_speak_of_what_they_make_doubtful() -> None:
    flags = flags_in("few_voxels; thick_slices;contrast_unknown;of_somebody_else")
    assert flags == ["few_voxels", "thick_slices", "contrast_unknown", "of_somebody_else"]
    assert flags_about("long_axis_mm", flags) == ["thick_slices"]
    assert flags_about("sphericity", flags) == ["few_voxels"]
    assert flags_about("density_entropy_bits", flags) == ["few_voxels"]
    assert flags_about("density_mean_hu", flags) == []
    assert is_unreliable("sphericity", flags)
    assert is_unreliable("density_skewness", flags)
    assert not is_unreliable("volume_mm3", flags)
    assert not is_unreliable("sphericity", [])
    assert flags_in(None) == []
    assert flag_words("of_somebody_else") == "of somebody else."
    assert flag_words("contrast_unknown").startswith("Contrast unknown: CT with voxels above 130 HU")
