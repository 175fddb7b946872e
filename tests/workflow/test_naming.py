"""Names of lesions and the times of edits and decisions: unique, kept, and told in the row."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.errors import LesionError
from napari_lesion.core.lesion import Review
from napari_lesion.workflow import study as study_module
from napari_lesion.workflow.autosave_state import Snapshot, StudyState
from napari_lesion.workflow.edit import Editor
from napari_lesion.workflow.measure import install_measurement, measure_study, request_for
from napari_lesion.workflow.naming import LONGEST_NAME, rename_lesion
from napari_lesion.workflow.study import Study
from napari_lesion.workflow.threshold import rethreshold

UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
CORNER = (slice(0, 3), slice(0, 3), slice(0, 3))
CUBE = np.ones((3, 3, 3), dtype=bool)


@pytest.fixture
def study(detected: Study, tmp_path: Path) -> Study:
    """The two balls as an image of a known patient."""
    source = replace(detected.volume.source, path=tmp_path / "scan", headers={"patient": "2.25.1"})
    detected.volume = replace(detected.volume, source=source)
    return detected


def test_a_name_goes_into_row_uid_and_log(study: Study) -> None:
    before = study.revision
    lesion = rename_lesion(study, 2, "  left  upper ")
    row = study.table.rows[2]
    assert (lesion.lesion_id, row["lesion_id"], study.lesions[2]) == ("left upper", "left upper", lesion)
    assert re.fullmatch(r"2\.25\.\d{1,39}", str(row["lesion_uid"]))
    assert (study.log[-1].action, study.log[-1].labels) == ("rename", (2,))
    assert study.revision > before
    assert rename_lesion(study, 2, "2").lesion_id == ""
    assert study.table.rows[2]["lesion_id"] == "2"


def test_the_same_name_of_the_same_patient_is_the_same_uid(study: Study) -> None:
    rename_lesion(study, 1, "A")
    first = study.table.rows[1]["lesion_uid"]
    rename_lesion(study, 1, "B")
    rename_lesion(study, 2, "A")
    assert study.table.rows[2]["lesion_uid"] == first
    assert study.table.rows[1]["lesion_uid"] != first


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("   ", "name is empty"),
        ("2", "lesion is called 2"),
        ("a,b", "comma"),
        ("a;b", "semicolon"),
        ("x" * (LONGEST_NAME + 1), "65 characters"),
        ("bell\a", "cannot be printed"),
    ],
)
def test_a_name_that_will_not_do_is_refused(study: Study, name: str, why: str) -> None:
    before = study.lesions[1]
    with pytest.raises(LesionError, match=why):
        rename_lesion(study, 1, name)
    assert study.lesions[1] == before


def test_a_lesion_that_is_not_there_cannot_be_renamed(study: Study) -> None:
    with pytest.raises(LesionError, match="no lesion 9"):
        rename_lesion(study, 9, "A")


def test_names_stay_unique_when_numbers_come_back(study: Study) -> None:
    editor = Editor(study)
    editor.delete([1])
    rename_lesion(study, 2, "1")
    editor.undo()
    assert [lesion.tracking_id for lesion in study.lesions.values()] == ["1", "1-2"]
    rename_lesion(study, 2, str(study.next_label))
    editor.paint(CORNER, CUBE, editor.new_label())
    names = [lesion.tracking_id for lesion in study.lesions.values()]
    assert len(set(names)) == 3


def test_a_named_lesion_stays_at_a_higher_threshold(study: Study) -> None:
    rename_lesion(study, 2, "A")
    rethreshold(study, 0.8)
    assert study.lesions[2].lesion_id == "A"
    rename_lesion(study, 2, "2")
    rethreshold(study, 0.8)
    assert 2 not in study.lesions


def test_a_job_that_was_under_way_does_not_bring_back_the_old_name(study: Study) -> None:
    late = measure_study(request_for(study, frozenset({1})))
    rename_lesion(study, 1, "A")
    study.review(1, Review.ACCEPTED)
    uid = study.table.rows[1]["lesion_uid"]
    install_measurement(study, late)
    row = study.table.rows[1]
    assert (row["lesion_id"], row["review"], row["lesion_uid"]) == ("A", "accepted", uid)


def test_times_of_edit_and_decision(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (study.lesions[1].edited_at, study.lesions[1].reviewed_at) == ("", "")
    study.review(1, Review.ACCEPTED)
    editor = Editor(study)
    editor.paint((slice(12, 13), slice(20, 21), slice(15, 16)), np.ones((1, 1, 1), dtype=bool), 0)
    row = study.table.rows[1]
    assert UTC_TIME.fullmatch(str(row["edited_at"]))
    assert UTC_TIME.fullmatch(str(row["reviewed_at"]))
    assert (study.lesions[2].edited_at, study.lesions[2].reviewed_at) == ("", "")
    editor.undo()
    assert study.lesions[1].edited_at == "", "the mask is the model's again"
    monkeypatch.setattr(study_module, "now_utc", lambda: "later")
    assert study.review(1, Review.REJECTED).reviewed_at == "later"
    assert study.review(1, Review.NONE).reviewed_at == ""


def test_an_autosave_keeps_names_and_times(study: Study) -> None:
    rename_lesion(study, 1, "A")
    study.review(1, Review.ACCEPTED)
    study.lesions[2] = replace(study.lesions[2], lesion_uid="2.25.7", edited_at="2026-01-02T03:04:05+00:00")
    state = Snapshot.of(study).state
    assert StudyState.from_plain(state).lesions == study.lesions
