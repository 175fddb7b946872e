"""Strokes, new, deleted, split and merged lesions, and their history."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import find_objects

from napari_lesion.core.errors import LesionError
from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.table import Column, LesionTable
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.workflow.edit import Editor
from napari_lesion.workflow.edit_change import Change, EditKind, History, Patch
from napari_lesion.workflow.edit_status import ModelComparison
from napari_lesion.workflow.study import EditRecord, Study

SHAPE = (12, 14, 16)
GRID = Grid(size=(16, 14, 12), spacing=(0.7, 0.8, 2.0))
BALL = np.ones((3, 3, 3), dtype=bool)


class FakeDetection:
    """The one thing that an editor wants of a detection."""

    def __init__(self, probability: ProbabilityMap) -> None:
        self.probability = probability


def box(z: int, y: int, x: int, size: int = 3) -> tuple[slice, slice, slice]:
    return slice(z, z + size), slice(y, y + size), slice(x, x + size)


def timeless(lesion: Lesion) -> Lesion:
    """The lesion without the times of edit and decision."""
    return replace(lesion, edited_at="", reviewed_at="")


def make_study(model: np.ndarray, probability: np.ndarray | None = None) -> Study:
    """A study as it stands after a detection."""
    volume = Volume(np.zeros(SHAPE, dtype=np.int16), GRID)
    study = Study.of(volume, Check())
    study.labels.array[...] = model
    study.model_labels.array[...] = model
    labels = [int(label) for label in np.unique(model) if label]
    study.lesions = {label: Lesion(label, Status.MODEL, 0.9) for label in labels}
    study.table = LesionTable(
        (Column("status"), Column("volume_mm3")), {label: {"volume_mm3": 1.0} for label in labels}
    )
    if probability is not None:
        detection: Any = FakeDetection(ProbabilityMap.from_dense(probability, GRID))
        study.detection = detection
    return study


@pytest.fixture
def study() -> Study:
    """Lesion 1 is a 3-voxel cube of probability 0.8 (0.96 in its corner), lesion 2 two cubes a voxel apart."""
    model = np.zeros(SHAPE, dtype=np.uint16)
    probability = np.zeros(SHAPE, dtype=np.uint8)
    model[box(1, 1, 1)] = 1
    probability[box(1, 1, 1)] = 200
    probability[1, 1, 1] = 240
    model[box(6, 2, 2)] = 2
    model[box(6, 2, 6, 2)] = 2
    probability[model == 2] = 150
    return make_study(model, probability)


def test_stroke_changes_voxels_status_and_log(study: Study) -> None:
    editor = Editor(study)
    result = editor.paint(box(3, 3, 3), BALL, 1)
    assert result is not None
    assert result.action == "stroke"
    assert result.touched == (1,)
    assert result.created == result.removed == ()
    assert result.voxels == 26
    assert study.lesions[1].status == Status.EDITED
    assert study.lesions[1].probability == pytest.approx(0.96)
    assert study.table.rows[1]["status"] == "edited"
    assert study.log[-1] == EditRecord("stroke", (1,), 26, study.log[-1].time)
    assert editor.boxes.box(1) == (slice(1, 6), slice(1, 6), slice(1, 6))
    assert study.revision == 1


def test_stroke_that_changes_nothing_is_no_stroke(study: Study) -> None:
    editor = Editor(study)
    assert editor.paint(box(1, 1, 1), BALL, 1) is None
    assert editor.next_undo == ""
    assert not study.log


def test_undo_gives_back_the_status_of_the_model(study: Study) -> None:
    editor = Editor(study)
    before = study.labels.array.copy()
    editor.paint(box(1, 1, 1, 1), BALL[:1, :1, :1], 0)
    assert timeless(study.lesions[1]) == Lesion(1, Status.EDITED, 0.8)
    result = editor.undo()
    assert result is not None
    assert result.action == "undo"
    np.testing.assert_array_equal(study.labels.array, before)
    assert study.lesions[1] == Lesion(1, Status.MODEL, 0.96)
    assert editor.redo() is not None
    assert study.lesions[1].status == Status.EDITED
    assert [record.action for record in study.log] == ["stroke", "undo", "redo"]


def test_lesion_drawn_where_the_model_saw_nothing_is_manual(study: Study) -> None:
    editor = Editor(study)
    label = editor.new_label()
    assert label == 3
    result = editor.paint(box(9, 9, 9), BALL, label)
    assert result is not None
    assert result.action == "new"
    assert result.created == (3,)
    assert study.lesions[3].status == Status.MANUAL
    assert math.isnan(study.lesions[3].probability)
    editor.undo()
    assert 3 not in study.lesions
    assert editor.new_label() == 4, "a number is not given twice"
    editor.redo()
    assert study.lesions[3].status == Status.MANUAL


def test_lesion_drawn_over_a_mark_is_edited_with_its_probability(study: Study) -> None:
    editor = Editor(study)
    editor.paint(box(1, 1, 1), BALL, 3)
    assert timeless(study.lesions[3]) == Lesion(3, Status.EDITED, 0.96)
    assert 1 not in study.lesions


def test_delete_and_undo_keep_the_review(study: Study) -> None:
    editor = Editor(study)
    study.review(1, Review.ACCEPTED)
    result = editor.delete([1, 2, 7])
    assert result is not None
    assert result.removed == (1, 2)
    assert not study.lesions
    assert not study.labels.array.any()
    assert not study.table.rows
    editor.undo()
    assert [timeless(lesion) for lesion in study.lesions.values()] == [
        Lesion(1, Status.MODEL, 0.96, Review.ACCEPTED),
        Lesion(2, Status.MODEL, 0.6),
    ]


def test_undo_does_not_take_back_a_later_review(study: Study) -> None:
    editor = Editor(study)
    editor.paint(box(3, 3, 3), BALL, 1)
    study.review(1, Review.REJECTED)
    editor.undo()
    assert study.lesions[1].review == Review.REJECTED


def test_split_gives_each_component_a_number(study: Study) -> None:
    editor = Editor(study)
    result = editor.split(2)
    assert result.touched == (2, 3)
    assert result.created == (3,)
    assert (study.labels.array[box(6, 2, 2)] == 2).all(), "the larger part keeps the number"
    assert (study.labels.array[box(6, 2, 6, 2)] == 3).all()
    assert study.lesions[3].status == Status.EDITED
    merged = editor.merge([3, 2])
    assert merged.removed == (3,)
    assert study.lesions[2].status == Status.MODEL, "the mask is that of the model again"
    editor.undo()
    editor.undo()
    np.testing.assert_array_equal(study.labels.array, study.model_labels.array)


def test_split_by_seeds_cuts_one_component(study: Study) -> None:
    editor = Editor(study)
    editor.split(1, seeds=[(1, 2, 2), (3, 2, 2)])
    assert study.labels.array[1, 2, 2] != study.labels.array[3, 2, 2]
    assert set(np.unique(study.labels.array[box(1, 1, 1)])) == {1, 3}


def test_actions_that_make_no_sense_say_why(study: Study) -> None:
    editor = Editor(study)
    with pytest.raises(LesionError, match="Fewer than two"):
        editor.merge([1])
    with pytest.raises(LesionError, match="no lesion 9"):
        editor.split(9)
    editor.paint(box(10, 10, 10, 1), BALL[:1, :1, :1], 5)
    with pytest.raises(LesionError, match="a single voxel"):
        editor.split(5)
    assert editor.delete([9]) is None
    assert editor.redo() is None


def test_there_is_an_end_of_numbers(study: Study) -> None:
    study.log.append(EditRecord("delete", (65534,)))
    editor = Editor(study)
    assert editor.new_label() == 65535
    study.log.append(EditRecord("delete", (65535,)))
    with pytest.raises(LesionError, match="no number left"):
        editor.new_label()
    before = study.labels.array.copy()
    with pytest.raises(LesionError):
        editor.split(2)
    np.testing.assert_array_equal(study.labels.array, before)


def test_threshold_or_detection_empties_the_history(study: Study) -> None:
    editor = Editor(study)
    editor.paint(box(3, 3, 3), BALL, 1)
    study.labels.array[...] = 0
    study.labels.array[box(8, 8, 8)] = 4
    study.model_labels.array[...] = study.labels.array
    study.lesions = {4: Lesion(4)}
    study.log.append(EditRecord("threshold", (4,)))
    assert editor.next_undo == ""
    assert editor.undo() is None
    editor.paint(box(8, 8, 8, 1), BALL[:1, :1, :1], 0)
    assert list(study.lesions) == [4]
    assert timeless(study.lesions[4]) == Lesion(4, Status.EDITED, study.lesions[4].probability)
    assert editor.compare(4).removed_mm3 == pytest.approx(GRID.voxel_volume_mm3)


def test_open_stroke_names_the_lesions_it_may_touch(study: Study) -> None:
    editor = Editor(study)
    region = box(3, 3, 3)
    before = study.labels.array[region].copy()
    study.labels.array[region] = 3
    assert editor.touching(region, 3) == {1, 3}
    assert study.lesions[3].status == Status.MANUAL
    assert editor.compare(3).voxels == 27
    assert editor.boxes.box(3) == region
    result = editor.record(region, before)
    assert result is not None
    assert result.created == (3,)
    assert study.lesions[3].status == Status.EDITED, "it took a voxel of the model's mark"
    assert editor.compare(3).voxels == 27
    assert editor.compare(1).voxels == 26


def test_stroke_that_came_to_nothing_leaves_no_lesion(study: Study) -> None:
    editor = Editor(study)
    region = box(9, 9, 9)
    study.labels.array[region] = 3
    editor.touching(region, 3)
    study.labels.array[region] = 0
    editor.settle()
    assert set(study.lesions) == {1, 2}
    assert editor.boxes.labels == [1, 2]


def test_adopting_an_array_is_one_stroke(study: Study) -> None:
    editor = Editor(study)
    other = study.labels.array.astype(np.int64)
    other[other == 2] = 0
    other[11, 13, 15] = 7
    result = editor.adopt(other)
    assert result is not None
    assert result.created == (7,)
    assert result.removed == (2,)
    assert editor.adopt(other) is None
    editor.undo()
    np.testing.assert_array_equal(study.labels.array, study.model_labels.array)
    with pytest.raises(LesionError, match="shape"):
        editor.adopt(np.zeros((2, 2, 2), dtype=int))
    with pytest.raises(LesionError, match="outside"):
        editor.adopt(np.full(SHAPE, -1))


def test_comparison_with_the_model_in_numbers() -> None:
    change = ModelComparison(voxels=120, model_voxels=100, common=90, over_model=95, voxel_volume_mm3=0.5)
    assert change.volume_mm3 == 60
    assert change.difference_mm3 == 10
    assert change.difference_percent == pytest.approx(20)
    assert change.added_mm3 == 15
    assert change.removed_mm3 == 5
    assert change.dice == pytest.approx(180 / 220)
    nothing = ModelComparison(0, 0, 0, 0, 0.5)
    assert math.isnan(nothing.dice)
    assert math.isnan(nothing.difference_percent)


def test_history_forgets_the_oldest_when_it_is_full() -> None:
    rng = np.random.default_rng(1)
    history = History(limit_bytes=10_000, limit_changes=50)
    whole = (slice(0, 20), slice(0, 20), slice(0, 20))
    for _ in range(30):
        before, after = rng.integers(0, 5, (2, 20, 20, 20)).astype(np.uint16)
        patch = Patch.between(whole, before, after)
        assert patch is not None
        history.add(Change(EditKind.STROKE, (patch,)))
    assert history.nbytes <= 10_000 or len(history) == 1
    assert history.back() is not None


def test_large_uniform_change_is_kept_small() -> None:
    after = np.zeros((100, 200, 200), dtype=np.uint16)
    before = after.copy()
    before[10:90, 20:180, 20:180] = 3
    patch = Patch.between((slice(0, 100), slice(0, 200), slice(0, 200)), before, after)
    assert patch is not None
    assert patch.voxels == 80 * 160 * 160
    assert patch.nbytes < 50_000


# Any sequence of actions

actions = st.lists(
    st.one_of(
        st.tuples(
            st.just("paint"),
            st.integers(0, SHAPE[0] - 1),
            st.integers(0, SHAPE[1] - 1),
            st.integers(0, SHAPE[2] - 1),
            st.integers(1, 5),
            st.integers(0, 6),
        ),
        st.tuples(st.just("new"), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(1, 4)),
        st.tuples(st.just("delete"), st.integers(1, 6)),
        st.tuples(st.just("merge"), st.integers(1, 6), st.integers(1, 6)),
        st.tuples(st.just("split"), st.integers(1, 6)),
        st.just(("undo",)),
        st.just(("redo",)),
    ),
    max_size=14,
)
models = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 11), st.integers(0, 13), st.integers(1, 4), st.integers(1, 3)),
    max_size=4,
)


def act(editor: Editor, action: tuple[Any, ...]) -> None:
    name, *values = action
    try:
        if name in ("paint", "new"):
            z, y, x, size, *label = values
            editor.paint(box(z, y, x, size), _fitting(z, y, x, size), label[0] if label else editor.new_label())
        elif name == "merge":
            editor.merge(values)
        elif name == "delete":
            editor.delete(values)
        elif name == "split":
            editor.split(values[0])
        elif name == "undo":
            editor.undo()
        else:
            editor.redo()
    except LesionError:
        pass


def _fitting(z: int, y: int, x: int, size: int) -> np.ndarray:
    shape = [min(size, n - start) for start, n in zip((z, y, x), SHAPE, strict=True)]
    return np.ones(shape, dtype=bool)


def expected_status(study: Study, label: int) -> Status:
    mask, model = study.labels.array == label, study.model_labels.array == label
    if model.any() and np.array_equal(mask, model):
        return Status.MODEL
    return Status.EDITED if (study.model_labels.array[mask] > 0).any() else Status.MANUAL


def assert_consistent(editor: Editor, probability: np.ndarray) -> None:
    study = editor.study
    array = study.labels.array
    found = {n: found for n, found in enumerate(find_objects(array), start=1) if found is not None}
    assert set(study.lesions) == set(found)
    assert editor.boxes.boxes(found) == found
    assert editor.boxes.labels == sorted(found)
    assert set(study.table.rows) <= set(found)
    for label, lesion in study.lesions.items():
        mask = array == label
        assert lesion.label == label
        assert lesion.status == expected_status(study, label)
        if lesion.status == Status.MANUAL:
            assert math.isnan(lesion.probability)
        else:
            assert lesion.probability == pytest.approx(probability[mask].max() / 250)
        model = study.model_labels.array == label
        change = editor.compare(label)
        assert (change.voxels, change.model_voxels, change.common) == (mask.sum(), model.sum(), (mask & model).sum())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(models, actions)
def test_any_sequence_of_actions_is_undone_and_redone_bit_for_bit(
    marks: list[tuple[int, ...]], sequence: list[tuple[Any, ...]]
) -> None:
    model = np.zeros(SHAPE, dtype=np.uint16)
    for z, y, x, size, label in marks:
        model[box(z, y, x, size)] = label
    probability = np.where(model > 0, np.random.default_rng(0).integers(1, 251, SHAPE), 0).astype(np.uint8)
    study = make_study(model, probability)
    for label in study.lesions:
        value = probability[model == label].max() / 250
        study.lesions[label] = Lesion(label, Status.MODEL, float(value))
    start = dict(study.lesions)
    editor = Editor(study)
    for action in sequence:
        act(editor, action)
        assert_consistent(editor, probability)
    final, lesions = study.labels.array.copy(), dict(study.lesions)
    redoable = 0
    while editor.redo():
        redoable += 1
    for _ in range(redoable):
        editor.undo()
    np.testing.assert_array_equal(study.labels.array, final)
    while editor.undo():
        assert_consistent(editor, probability)
    np.testing.assert_array_equal(study.labels.array, model)
    assert study.lesions == start
    np.testing.assert_array_equal(study.model_labels.array, model)
    while editor.redo():
        pass
    for _ in range(redoable):
        editor.undo()
    np.testing.assert_array_equal(study.labels.array, final)
    assert {label: lesion.status for label, lesion in study.lesions.items()} == {
        label: lesion.status for label, lesion in lesions.items()
    }


def test_editing_needs_no_copy_of_the_label_map(study: Study) -> None:
    array = study.labels.array
    editor = Editor(study)
    editor.paint(box(3, 3, 3), BALL, 1)
    editor.split(2)
    editor.undo()
    assert study.labels.array is array
    assert isinstance(study.labels, LabelMap)
