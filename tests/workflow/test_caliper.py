"""The caliper of the reader: set, taken back, kept through edits of the mask, saved and restored."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.errors import LesionError
from napari_lesion.core.lesion import Caliper, Status
from napari_lesion.io.tables import read_table
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.workflow.autosave import AutosaveStore
from napari_lesion.workflow.autosave_state import StudyState
from napari_lesion.workflow.caliper import Axis, caliper_from, caliper_record, with_axis, write_caliper
from napari_lesion.workflow.edit import Editor
from napari_lesion.workflow.export import ExportRequest, export_study
from napari_lesion.workflow.study import Study
from napari_lesion.workflow.threshold import rethreshold

LONG = ((0.0, 30.0, 45.0), (6.0, 38.0, 45.0))
SHORT = ((1.0, 36.0, 45.0), (5.0, 33.0, 45.0))
CALIPER = Caliper(LONG, SHORT)


def test_lengths_are_those_of_the_lines() -> None:
    assert (CALIPER.long_mm, CALIPER.short_mm) == (10.0, 5.0)
    assert math.isnan(Caliper(LONG).short_mm)
    assert math.isnan(Caliper().long_mm)


def test_one_axis_is_set_beside_the_other() -> None:
    one = with_axis(None, Axis.LONG, LONG)
    assert one == Caliper(long_ends=LONG)
    assert with_axis(one, Axis.SHORT, SHORT) == CALIPER


def test_a_caliper_is_one_step_of_the_history_and_changes_no_voxel(detected: Study) -> None:
    editor, voxels = Editor(detected), detected.labels.array.copy()
    result = editor.set_caliper(1, CALIPER)
    assert result is not None
    assert (result.action, result.labels, result.voxels) == ("caliper", (1,), 0)
    assert detected.lesions[1].caliper == CALIPER
    assert detected.lesions[1].status == Status.MODEL
    assert editor.next_undo == "caliper"
    editor.set_caliper(1, Caliper(LONG))
    for expected in (CALIPER, None):
        editor.undo()
        assert detected.lesions[1].caliper == expected
    for expected in (CALIPER, Caliper(LONG)):
        editor.redo()
        assert detected.lesions[1].caliper == expected
    np.testing.assert_array_equal(detected.labels.array, voxels)
    log = [(record.action, record.labels, record.voxels) for record in detected.log]
    actions = ("caliper", "caliper", "undo", "undo", "redo", "redo")
    assert log[-6:] == [(action, (1,), 0) for action in actions]
    assert detected.unsaved


def test_the_same_caliper_again_and_none_again_are_no_change(detected: Study) -> None:
    editor = Editor(detected)
    assert editor.set_caliper(1, None) is None
    assert editor.set_caliper(1, Caliper()) is None
    editor.set_caliper(1, CALIPER)
    revision = detected.revision
    assert editor.set_caliper(1, CALIPER) is None
    assert detected.revision == revision


@pytest.mark.parametrize("end", [LONG[0], (math.nan, 0.0, 0.0)])
def test_an_axis_without_length_is_refused(detected: Study, end: tuple[float, float, float]) -> None:
    with pytest.raises(LesionError, match="not set"):
        Editor(detected).set_caliper(1, Caliper((LONG[0], end)))
    assert detected.lesions[1].caliper is None
    with pytest.raises(LesionError, match="no lesion 9"):
        Editor(detected).set_caliper(9, CALIPER)


def test_it_stays_through_strokes_and_goes_with_its_lesion(detected: Study) -> None:
    editor = Editor(detected)
    editor.set_caliper(1, CALIPER)
    box = editor.boxes.box(1)
    assert box is not None
    grown = tuple(slice(part.start - 1, part.stop + 1) for part in box)
    editor.paint((grown[0], grown[1], grown[2]), np.ones([p.stop - p.start for p in grown], bool), 1)
    assert detected.lesions[1].status == Status.EDITED
    assert detected.lesions[1].caliper == CALIPER
    editor.delete([1])
    assert 1 not in detected.lesions
    editor.undo()
    assert detected.lesions[1].caliper == CALIPER
    editor.undo()
    assert detected.lesions[1].caliper == CALIPER
    editor.undo()
    assert detected.lesions[1].caliper is None


def test_split_and_merge_leave_it_with_the_number(detected: Study) -> None:
    editor = Editor(detected)
    editor.set_caliper(1, CALIPER)
    editor.set_caliper(2, Caliper(LONG))
    editor.split(1)
    assert detected.lesions[1].caliper == CALIPER
    assert detected.lesions[3].caliper is None
    editor.undo()
    editor.merge([1, 2])
    assert detected.lesions[1].caliper == CALIPER
    editor.undo()
    assert detected.lesions[2].caliper == Caliper(LONG)


def test_a_lesion_measured_by_hand_does_not_follow_the_threshold(detected: Study) -> None:
    Editor(detected).set_caliper(2, CALIPER)
    count = int((detected.labels.array == 2).sum())
    rethreshold(detected, 0.95)
    assert set(detected.lesions) == {2}
    assert detected.lesions[2].caliper == CALIPER
    assert int((detected.labels.array == 2).sum()) == count


def test_rows_hold_it_beside_the_computed_axes_and_export_writes_them(detected: Study, tmp_path: Path) -> None:
    editor = Editor(detected)
    editor.set_caliper(1, Caliper(LONG))
    export_study(ExportRequest(detected, tmp_path))
    table = read_table(tmp_path / "lesions.csv")
    computed = detected.table.rows[1]
    row, other = table.rows[1], table.rows[2]
    for name in ("long_axis_mm", "short_axis_mm", "mean_diameter_mm"):
        assert row[name] == pytest.approx(computed[name], rel=1e-5)
    assert (row["axes_source"], row["manual_long_axis_mm"]) == ("manual", 10)
    assert math.isnan(float(str(row["manual_short_axis_mm"]) or "nan"))
    assert row["manual_mean_diameter_mm"] == pytest.approx((10 + float(str(computed["short_axis_mm"]))) / 2, rel=1e-5)
    assert other["axes_source"] == "computed"
    assert math.isnan(float(str(other["manual_long_axis_mm"])))
    edits = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["edits"]
    assert (edits[-1]["action"], edits[-1]["labels"]) == ("caliper", [1])


def test_end_points_are_optional_columns(detected: Study) -> None:
    Editor(detected).set_caliper(1, CALIPER)
    request = MeasureRequest(detected.lesions, ("size",))
    row = measure_lesions(detected.volume, detected.labels, request).rows[1]
    found = [tuple(row[f"manual_short_axis_p{n}_{letter}_mm"] for letter in "lps") for n in (1, 2)]
    assert tuple(found) == SHORT
    assert row["manual_mean_diameter_mm"] == 7.5


def test_autosave_keeps_it(detected: Study, tmp_path: Path) -> None:
    Editor(detected).set_caliper(2, CALIPER)
    detected.detection = None
    store = AutosaveStore(tmp_path / "autosave")
    store.save(detected)
    saved = store.find(detected.volume)
    assert saved is not None
    other = Study.of(detected.volume, detected.check)
    store.restore(other, saved)
    assert other.lesions[2].caliper == CALIPER
    assert other.lesions[1].caliper is None


def test_an_end_outside_the_image_is_refused_and_not_restored(detected: Study, tmp_path: Path) -> None:
    far = Caliper((LONG[0], (6.0, 38.0, 900.0)))
    with pytest.raises(LesionError, match="outside the image"):
        Editor(detected).set_caliper(1, far)
    write_caliper(detected, 1, far)
    detected.detection = None
    store = AutosaveStore(tmp_path / "autosave")
    store.save(detected)
    saved = store.find(detected.volume)
    assert saved is not None
    other = Study.of(detected.volume, detected.check)
    store.restore(other, saved)
    assert other.lesions[1].caliper is None
    np.testing.assert_array_equal(other.labels.array, detected.labels.array)


def test_a_state_of_before_the_caliper_is_still_read(detected: Study) -> None:
    lesion = {"label": 1, "status": "model", "probability": 0.9, "review": ""}
    state = StudyState.from_plain(
        {"lesions": [lesion], "threshold": 0.5, "min_volume_mm3": 1.0, "dismissed": [], "log": []}
    )
    assert state.lesions[1].caliper is None


@pytest.mark.parametrize("bad", [{"long_ends": [[0, 0, 0]], "short_ends": None}, {"long_ends": None}, [1]])
def test_a_damaged_record_is_refused(bad: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        caliper_from(bad)  # type: ignore[arg-type]
    assert caliper_from(caliper_record(CALIPER)) == CALIPER
    assert caliper_from(caliper_record(None)) is None
