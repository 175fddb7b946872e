"""One mark follows a threshold of its own, and nothing else moves."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_lesion.core.errors import LesionError
from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Status
from napari_lesion.core.probability import ProbabilityMap, to_bytes
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.inference.augment import with_members
from napari_lesion.workflow.autosave_state import Snapshot, StudyState
from napari_lesion.workflow.edit import Editor
from napari_lesion.workflow.lesion_threshold import mark_lesion, rethreshold_lesion, threshold_of
from napari_lesion.workflow.study import Study
from napari_lesion.workflow.threshold import ReaderState, install_marks, mark_lesions, rethreshold

SHAPE = (24, 40, 140)
GRID = Grid(SHAPE[::-1], (1.0, 1.0, 1.0))


def _cone(array: np.ndarray, centre: tuple[int, int, int], height: float, radius: float) -> None:
    index = np.indices(array.shape)
    distance = np.sqrt(sum((index[a] - centre[a]) ** 2 for a in range(3)))
    np.maximum(array, np.clip(height * (1 - distance / radius), 0, 1), out=array)


def _values() -> np.ndarray:
    """Two cones that meet at 0.3, and a rod of 0.4 that ends in a third one."""
    values = np.zeros(SHAPE)
    _cone(values, (12, 20, 15), 0.96, 12)
    _cone(values, (12, 20, 31), 0.8, 12)
    values[12, 20, 70:130] = 0.4
    _cone(values, (12, 20, 72), 0.7, 6)
    return values


@pytest.fixture
def study() -> Study:
    made = Study.of(Volume(np.zeros(SHAPE, np.int16), GRID, Modality.CT), Check())
    probability = ProbabilityMap.from_dense(to_bytes(_values()), GRID)
    made.detection = SimpleNamespace(probability=probability)  # type: ignore[assignment]
    install_marks(made, mark_lesions(probability, 0.5, 0.0))
    assert list(made.lesions) == [1, 2, 3]
    return made


@pytest.mark.parametrize("threshold", [0.6, 0.9])
def test_only_the_chosen_mark_moves(study: Study, threshold: float) -> None:
    before = study.labels.array.copy()
    rethreshold_lesion(study, 1, threshold)
    expected = np.where(before == 1, 0, before)
    expected[(_values() >= threshold - 0.002) & (before == 1)] = 1
    np.testing.assert_array_equal(study.labels.array, expected)
    np.testing.assert_array_equal(study.model_labels.array, study.labels.array)
    assert study.lesions[1].status is Status.MODEL
    assert study.lesions[1].threshold == threshold
    assert study.threshold == 0.5
    assert threshold_of(study, 2) == 0.5


def test_it_grows_up_to_its_neighbour_and_not_into_it(study: Study) -> None:
    other = study.labels.array == 2
    rethreshold_lesion(study, 1, 0.1)
    np.testing.assert_array_equal(study.labels.array == 2, other)
    grown = study.labels.array == 1
    assert grown.sum() > 2000
    assert (_values()[grown] >= 0.098).all()


def test_it_is_followed_as_far_as_it_goes(study: Study) -> None:
    rethreshold_lesion(study, 3, 0.4)
    assert (study.labels.array[12, 20, 72:130] == 3).all(), "the rod leaves every box that was looked at first"


def test_back_at_the_threshold_of_the_study_everything_is_as_before(study: Study) -> None:
    labels, lesions = study.labels.array.copy(), dict(study.lesions)
    for threshold in (0.2, 0.9, 0.5):
        rethreshold_lesion(study, 1, threshold)
    np.testing.assert_array_equal(study.labels.array, labels)
    assert math.isnan(study.lesions[1].threshold)
    assert {label: lesion.probability for label, lesion in study.lesions.items()} == {
        label: lesion.probability for label, lesion in lesions.items()
    }


def test_the_threshold_of_the_study_moves_the_others_only(study: Study) -> None:
    rethreshold_lesion(study, 1, 0.8)
    own = study.labels.array == 1
    rethreshold(study, 0.6)
    np.testing.assert_array_equal(study.labels.array == 1, own)
    assert threshold_of(study, 1) == 0.8
    assert threshold_of(study, 2) == 0.6


def test_what_cannot_be_moved_is_told(study: Study) -> None:
    reader = ReaderState.of(study)
    with pytest.raises(LesionError, match=r"highest probability is 0\.80"):
        mark_lesion(study, reader, 2, 0.9)
    with pytest.raises(LesionError, match="no untouched mark"):
        mark_lesion(study, reader, 9, 0.5)
    study.lesions[2] = replace(study.lesions[2], status=Status.EDITED)
    with pytest.raises(LesionError, match="no untouched mark"):
        mark_lesion(study, ReaderState.of(study), 2, 0.4)


def test_it_is_logged_survives_an_autosave_and_starts_a_new_history(study: Study) -> None:
    editor = Editor(study)
    editor.delete([3])
    rethreshold_lesion(study, 1, 0.8)
    assert (study.log[-1].action, study.log[-1].labels) == ("threshold", (1,))
    assert editor.next_undo == ""
    again = Study.of(study.volume, Check())
    StudyState.from_plain(Snapshot.of(study).state).install(again)
    assert again.lesions[1].threshold == 0.8
    assert again.lesions.keys() == study.lesions.keys()


def test_the_agreement_follows(study: Study) -> None:
    assert study.detection is not None
    whole, low = _values(), _values()
    low[:, :, :25] *= 0.75
    maps = [ProbabilityMap.from_dense(to_bytes(part), GRID) for part in (whole, low)]
    mean = ProbabilityMap.from_dense(to_bytes((whole + low) / 2), GRID)
    study.detection = SimpleNamespace(probability=with_members(mean, maps))  # type: ignore[assignment]
    rethreshold(study, 0.5)
    before = study.lesions[1]
    assert 0 < before.agreement < 1
    rethreshold_lesion(study, 1, 0.8)
    after = study.lesions[1]
    assert after.agreement == 0.0, "the second pass stays below 0.8 there"
    assert after.volume_range_mm3[0] == 0.0
    assert study.lesions[2].agreement == 1.0
