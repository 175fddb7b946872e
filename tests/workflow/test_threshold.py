"""The threshold moves the model's marks and nothing that the reader did."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.probability import ProbabilityMap, to_bytes
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.workflow.study import Study
from napari_lesion.workflow.threshold import (
    ReaderState,
    highest_probability,
    install_marks,
    mark_lesions,
    rethreshold,
)

SHAPE = (20, 30, 90)
GRID = Grid(SHAPE[::-1], (1.0, 1.0, 1.0))


def cone(array: np.ndarray, centre: tuple[int, int, int], height: float, radius: float = 7.0) -> None:
    """Add a probability that falls linearly from its peak."""
    index = np.indices(array.shape)
    distance = np.sqrt(sum((index[a] - centre[a]) ** 2 for a in range(3)))
    np.maximum(array, np.clip(height * (1 - distance / radius), 0, 1), out=array)


@pytest.fixture
def study() -> Study:
    """Three lesions with peaks 0.95, 0.7 and 0.4."""
    values = np.zeros(SHAPE)
    cone(values, (10, 15, 12), 0.95)
    cone(values, (10, 15, 40), 0.7)
    cone(values, (10, 15, 75), 0.4)
    volume = Volume(np.zeros(SHAPE, dtype=np.int16), GRID, Modality.CT)
    made = Study.of(volume, Check())
    probability = ProbabilityMap.from_dense(to_bytes(values), GRID)
    made.detection = SimpleNamespace(probability=probability)  # type: ignore[assignment]
    install_marks(made, mark_lesions(probability, 0.5, 0.0))
    return made


def voxels(study: Study, label: int) -> int:
    return int((study.labels.array == label).sum())


def test_marks_come_and_go_with_the_threshold_and_keep_their_numbers(study: Study) -> None:
    assert list(study.lesions) == [1, 2]
    marks = rethreshold(study, 0.3)
    assert len(study.lesions) == 3
    assert marks.gained == (3,)
    assert {1, 2} <= set(study.lesions)
    marks = rethreshold(study, 0.8)
    assert marks.lost == (2, 3)
    assert list(study.lesions) == [1]
    marks = rethreshold(study, 0.5)
    assert study.lesions[1].probability == pytest.approx(0.95, abs=0.005)


def test_a_lower_threshold_grows_an_untouched_mark(study: Study) -> None:
    before = voxels(study, 1)
    rethreshold(study, 0.2)
    assert voxels(study, 1) > before
    assert np.array_equal(study.labels.array > 0, study.detection.probability.dense() >= 50)  # type: ignore[union-attr]


def test_an_edited_lesion_keeps_its_voxels_and_its_number(study: Study) -> None:
    study.labels.array[10, 15, 40:60] = 2
    study.lesions[2] = replace(study.lesions[2], status=Status.EDITED)
    mine = study.labels.array == 2
    for threshold in (0.9, 0.3, 0.1, 0.5):
        rethreshold(study, threshold)
        assert study.lesions[2].status == Status.EDITED
        assert np.array_equal(study.labels.array == 2, mine)


def test_a_reviewed_lesion_survives_a_threshold_above_its_peak(study: Study) -> None:
    study.review(2, Review.ACCEPTED)
    rethreshold(study, 0.9)
    assert study.lesions[2].review == Review.ACCEPTED
    assert voxels(study, 2) > 0


def test_a_manual_lesion_survives(study: Study) -> None:
    study.labels.array[2:4, 2:4, 2:4] = 9
    study.lesions[9] = Lesion(9, Status.MANUAL)
    rethreshold(study, 0.3)
    assert voxels(study, 9) == 8
    assert len(study.lesions) == 4


def test_a_deleted_lesion_is_not_marked_again(study: Study) -> None:
    study.labels.array[study.labels.array == 2] = 0
    del study.lesions[2]
    for threshold in (0.9, 0.3, 0.6):
        rethreshold(study, threshold)
        assert (study.labels.array[10, 15, 40]) == 0
    assert len(study.dismissed) == 1


@settings(max_examples=25, deadline=None)
@given(thresholds=st.lists(st.floats(0.05, 0.99), min_size=1, max_size=5))
def test_labels_and_lesions_always_agree(thresholds: list[float]) -> None:
    values = np.zeros(SHAPE)
    for x, height in ((10, 0.9), (30, 0.8), (41, 0.7), (70, 0.5)):
        cone(values, (10, 15, x), height)
    made = Study.of(Volume(np.zeros(SHAPE, dtype=np.int16), GRID, Modality.CT), Check())
    probability = ProbabilityMap.from_dense(to_bytes(values), GRID)
    made.detection = SimpleNamespace(probability=probability)  # type: ignore[assignment]
    for threshold in thresholds:
        rethreshold(made, threshold, 0.0)
        assert set(np.unique(made.labels.array)) - {0} == set(made.lesions)
        assert np.array_equal(made.labels.array, made.model_labels.array)
        reference = mark_lesions(probability, threshold, 0.0)
        assert len(reference.lesions) == len(made.lesions)


def test_a_second_detection_respects_the_reader(study: Study) -> None:
    study.review(1, Review.REJECTED)
    assert study.detection is not None
    marks = mark_lesions(study.detection.probability, 0.3, 0.0, ReaderState.of(study))
    assert marks.lesions[1].review == Review.REJECTED
    assert len(marks.lesions) == 3


def test_the_highest_probability_tells_where_something_would_be(study: Study) -> None:
    assert study.detection is not None
    assert highest_probability(study.detection.probability) == pytest.approx(0.95, abs=0.005)
    assert highest_probability(ProbabilityMap(GRID)) == 0.0
