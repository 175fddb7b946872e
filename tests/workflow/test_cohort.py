"""Names of cases, and one bad input among good ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from napari_lesion.core.jobs import JobContext
from napari_lesion.workflow.cohort import CohortRequest, detect_cases, unique_names
from napari_lesion.workflow.models import find_model


def test_collisions_get_a_number() -> None:
    assert unique_names(["ct", "ct", "mr", "CT", "ct"]) == ["ct", "ct-2", "mr", "CT-3", "ct-4"]
    assert unique_names(["a", "a-2", "a"]) == ["a", "a-2", "a-3"]


@given(st.lists(st.sampled_from(["a", "A", "a-2", "b", "a-3"])))
def test_names_are_unique_whatever_comes(names: Sequence[str]) -> None:
    unique = unique_names(names)
    assert len({name.casefold() for name in unique}) == len(names)
    assert all(new.startswith(old) for old, new in zip(names, unique, strict=True))


def test_every_bad_input_is_told_and_none_stops_the_others(tmp_path: Path) -> None:
    (tmp_path / "text.nii").write_text("not an image")
    (tmp_path / "empty").mkdir()
    inputs = [tmp_path / "text.nii", tmp_path / "empty", tmp_path / "missing.nii.gz"]
    request = CohortRequest(inputs, tmp_path / "out", find_model(None))
    results = list(detect_cases(request, lambda *_: JobContext()))
    assert [result.case for result in results] == ["text", "empty", "missing"]
    assert all(result.error is not None and result.error.message.count(".") >= 1 for result in results)
