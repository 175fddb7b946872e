"""What the correct panel does, without Qt or napari."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock, create_autospec

import numpy as np
import pytest

from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.gui.brush import Brush
from napari_lesion.gui.presenters.correct import CORRECT_ACTIONS, CorrectPresenter, CorrectView
from napari_lesion.gui.presenters.jobs import Job, JobListener
from napari_lesion.gui.session import Session
from napari_lesion.workflow.measure import install_measurement, measure_study, request_for
from napari_lesion.workflow.study import EditRecord, Study

GRID = Grid(size=(24, 20, 12), spacing=(1.0, 1.0, 2.0))


class FakeRunner:
    """Runs a job when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Job, JobListener]] = []
        self.started: list[str] = []

    @property
    def busy(self) -> bool:
        return bool(self.jobs)

    def start(self, title: str, job: Job, listener: JobListener) -> int:
        assert not self.jobs
        self.started.append(title)
        self.jobs.append((job, listener))
        return len(self.started)

    def finish(self) -> None:
        """Run the job and hand over its result."""
        job, listener = self.jobs[0]
        result = job(JobContext())
        self.jobs.clear()
        listener.returned(result)

    def cancel(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        self.jobs.clear()


class FakeCanvas:
    """A lesion layer without a layer."""

    def __init__(self) -> None:
        self.stroking = False
        self.label = 0
        self.mode = "pan_zoom"
        self.refreshed = 0
        self.brush: tuple[float, bool] | None = None

    def set_mode(self, mode: str) -> None:
        self.mode = mode

    def set_label(self, label: int) -> None:
        self.label = label

    def set_brush(self, diameter_mm: float, ball: bool = False) -> None:
        self.brush = diameter_mm, ball

    def refresh(self) -> None:
        self.refreshed += 1


class Clock:
    """Calls back when the test says that time has passed."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def later(self, milliseconds: int, function: Callable[[], None]) -> None:
        assert milliseconds == 100
        self.waiting.append(function)

    def pass_time(self) -> None:
        waiting, self.waiting = self.waiting, []
        for function in waiting:
            function()


class Bench:
    def __init__(self) -> None:
        self.session = Session()
        self.canvas = FakeCanvas()
        self.runner = FakeRunner()
        self.view: MagicMock = create_autospec(CorrectView, instance=True)
        self.clock = Clock()
        self.presenter = CorrectPresenter(self.session, self.canvas, self.runner, self.view, self.clock.later)
        self.presenter.start()
        self.session.open(make_study())

    @property
    def study(self) -> Study:
        assert self.session.study is not None
        return self.session.study

    @property
    def sentence(self) -> str:
        return str(self.view.show_change.call_args.args[0])

    def paint(self, label: int, box: tuple[slice, ...] = (slice(2, 6), slice(2, 9), slice(2, 9))) -> None:
        """A whole stroke, as the layer tells it."""
        z, y, x = box
        before = self.study.labels.array[z, y, x].copy()
        self.study.labels.array[z, y, x] = label
        self.presenter.on_painted((z, y, x), before)
        self.presenter.on_stroke_ended()

    def settle(self) -> None:
        while self.runner.jobs or self.clock.waiting:
            if self.runner.jobs:
                self.runner.finish()
            self.clock.pass_time()


def make_study() -> Study:
    study = Study.of(Volume(np.zeros(GRID.shape, dtype=np.int16), GRID, Modality.CT), Check())
    study.labels.array[3:6, 3:8, 3:8] = 1
    study.labels.array[3:6, 12:16, 12:16] = 2
    study.model_labels.array[...] = study.labels.array
    study.lesions = {label: Lesion(label, Status.MODEL, 0.9) for label in (1, 2)}
    install_measurement(study, measure_study(request_for(study)))
    return study


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_only_touched_rows_are_measured(bench: Bench) -> None:
    rows = dict(bench.study.table.rows)
    bench.paint(1)
    assert bench.runner.started == ["Measurement"]
    bench.settle()
    assert bench.study.table.rows[1]["n_voxels"] == 4 * 7 * 7
    assert bench.study.table.rows[2] is rows[2]


def test_a_long_stroke_is_measured_at_most_every_100_ms(bench: Bench) -> None:
    bench.canvas.stroking = True
    told: list[str] = []
    bench.session.rows_changed.connect(lambda: told.append("rows"))
    bench.session.table_changed.connect(lambda: told.append("table"))
    for x in range(3, 20):
        box = slice(3, 4), slice(3, 5), slice(x, x + 2)
        bench.study.labels.array[box] = 1
        bench.presenter.on_stroke_going(box, 1)
    assert len(bench.runner.started) == 1
    bench.runner.finish()
    assert len(bench.runner.started) == 1, "the next one waits until 100 ms have passed"
    bench.clock.pass_time()
    assert len(bench.runner.started) == 2
    bench.runner.finish()
    assert told == ["rows", "rows"], "under the brush only the rows follow"
    assert bench.study.table.rows[1]["n_voxels"] == int((bench.study.labels.array == 1).sum())
    assert not bench.study.log


def test_a_result_that_is_out_of_date_is_not_shown_as_the_models(bench: Bench) -> None:
    """A row measured before an undo must not become the row that changes are compared with."""
    model_row = bench.study.table.rows[1]
    bench.paint(1)
    bench.presenter.undo()
    assert bench.study.lesions[1].status == Status.MODEL
    bench.runner.jobs[0] = (lambda _: _measured_wrong(bench), bench.runner.jobs[0][1])
    bench.runner.finish()
    assert bench.session.baseline(1)["n_voxels"] == model_row["n_voxels"]
    bench.settle()
    assert bench.study.table.rows[1]["n_voxels"] == model_row["n_voxels"]


def _measured_wrong(bench: Bench) -> Any:
    measurement = measure_study(request_for(bench.study, frozenset({1})))
    measurement.table.rows[1]["n_voxels"] = 196
    return measurement


def test_a_measurement_of_another_study_is_dropped(bench: Bench) -> None:
    bench.paint(1)
    job, listener = bench.runner.jobs[0]
    result = job(JobContext())
    bench.session.open(make_study())
    listener.returned(result)
    assert bench.study.table.rows[1]["n_voxels"] == 75


def test_the_line_says_how_the_lesion_stands_to_the_model(bench: Bench) -> None:
    bench.session.select(1, reveal=False)
    assert bench.sentence == "Lesion 1: as the model drew it"
    bench.paint(1)
    assert bench.sentence == "Lesion 1: +242 mm³ (+161 %) against the model"
    assert "242 mm³ added to the model's mask, 0.0 mm³ taken away" in bench.view.show_change.call_args.args[1]
    bench.paint(0, (slice(0, 5), slice(0, 20), slice(0, 24)))
    assert "−" in bench.sentence
    bench.presenter.new()
    assert bench.sentence == "The next stroke makes lesion 3"
    bench.paint(bench.canvas.label, (slice(9, 10), slice(9, 10), slice(9, 12)))
    assert bench.session.selected == 3
    assert bench.sentence == "Lesion 3: drawn by hand, 6.0 mm³"
    bench.presenter.undo()
    bench.presenter.undo()
    bench.paint(4, (slice(3, 4), slice(12, 14), slice(12, 14)))
    assert bench.sentence == "Lesion 4: made by hand on a mark of the model, 8.0 mm³"


def test_paint_and_erase_are_taken_up_and_put_down(bench: Bench) -> None:
    bench.session.select(2, reveal=False)
    bench.presenter.trigger("paint")
    assert (bench.canvas.mode, bench.canvas.label) == ("paint", 2)
    bench.presenter.trigger("erase")
    assert bench.canvas.mode == "erase"
    bench.presenter.trigger("erase")
    assert bench.canvas.mode == "pan_zoom"
    bench.session.select(0, reveal=False)
    bench.presenter.trigger("paint")
    assert (bench.canvas.mode, bench.canvas.label) == ("paint", 3), "without a selected lesion it is a new one"
    bench.presenter.set_brush(5.0, True)
    assert bench.canvas.brush == (5.0, True)
    bench.presenter.on_brush(Brush(5, (1.0, 1.0)))
    bench.view.show_brush.assert_called_with(Brush(5, (1.0, 1.0)))


def test_merge_waits_for_the_second_lesion(bench: Bench) -> None:
    bench.presenter.merge()
    assert bench.sentence == ""
    bench.session.select(2, reveal=False)
    bench.presenter.merge()
    assert "Click the lesion to merge with lesion 2" in bench.sentence
    bench.presenter.merge()
    bench.session.select(1, reveal=False)
    assert set(bench.study.lesions) == {1, 2}, "Merge again stops it"
    bench.presenter.merge()
    bench.session.select(2, reveal=False)
    assert set(bench.study.lesions) == {1}
    assert bench.session.selected == 1
    assert bench.canvas.refreshed == 1
    bench.presenter.undo()
    bench.presenter.merge([1, 2])
    assert set(bench.study.lesions) == {1}


def test_split_is_a_job_that_respects_what_happens_meanwhile(bench: Bench) -> None:
    bench.session.select(1, reveal=False)
    bench.paint(1, (slice(9, 11), slice(3, 6), slice(3, 6)))
    assert bench.runner.started == ["Measurement"]
    bench.presenter.split()
    assert bench.runner.started == ["Measurement", "Split"]
    assert set(bench.study.lesions) == {1, 2}
    bench.paint(0, (slice(9, 10), slice(3, 4), slice(3, 4)))
    bench.runner.finish()
    assert "changed meanwhile" in bench.view.show_error.call_args.args[0].message
    bench.presenter.split()
    bench.settle()
    assert {label: row["n_voxels"] for label, row in bench.study.table.rows.items()} == {1: 75, 2: 48, 3: 17}
    bench.presenter.split()
    bench.session.open(make_study())
    assert not bench.runner.jobs


def test_errors_are_shown_and_change_nothing(bench: Bench) -> None:
    bench.presenter.split()
    assert "Nothing was split" in bench.view.show_error.call_args.args[0].message
    assert not bench.study.log
    bench.session.select(1, reveal=False)
    bench.presenter.delete()
    bench.view.show_history.assert_called_with("delete", "")
    assert bench.session.selected == 0


def test_a_detection_empties_the_history_and_drops_what_was_measured(bench: Bench) -> None:
    bench.paint(1)
    bench.study.log.append(EditRecord("threshold", (1, 2)))
    bench.session.detected()
    assert not bench.runner.jobs
    bench.view.show_history.assert_called_with("", "")


def test_no_study_no_edit() -> None:
    bench = Bench()
    bench.session.open(None)
    bench.view.show_ready.assert_called_with(False)
    for action in CORRECT_ACTIONS:
        bench.presenter.trigger(action.id)
    bench.presenter.on_stroke_going((slice(0, 1), slice(0, 1), slice(0, 1)), 1)
    bench.presenter.on_stroke_ended()
    assert not bench.runner.started


def test_keys_are_different_from_each_other_and_from_those_of_the_dock() -> None:
    from napari_lesion.gui.actions import DOCK_ACTIONS
    from napari_lesion.gui.widgets.restore import FORGET, RESTORE

    keys = [action.key.lower() for action in (*DOCK_ACTIONS, *CORRECT_ACTIONS, RESTORE, FORGET)]
    assert len(keys) == len(set(keys))
    assert all(action.key in action.tool_tip for action in CORRECT_ACTIONS)


def test_keys_are_none_of_naparis() -> None:
    from app_model.types import KeyBinding
    from napari.utils.shortcuts import default_shortcuts

    from napari_lesion.gui.presenters.correct import REDO, UNDO
    from napari_lesion.gui.widgets.restore import FORGET, RESTORE

    taken = {binding for bindings in default_shortcuts.values() for binding in bindings}
    ours = {KeyBinding.from_str(a.key) for a in (*CORRECT_ACTIONS, RESTORE, FORGET) if a not in (UNDO, REDO)}
    assert not taken & ours
