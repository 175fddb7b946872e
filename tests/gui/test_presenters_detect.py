"""The detect panel's presenter: one lesion's own threshold, the spread of the passes, and results that are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from held_runner import HeldRunner

from napari_lesion.core.errors import ModelError
from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.probability import ProbabilityMap, to_bytes
from napari_lesion.core.table import LesionTable
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.gui.presenters import detect as detect_module
from napari_lesion.gui.presenters.detect import Beforehand, DetectPresenter, DetectView, ThresholdState
from napari_lesion.gui.presenters.queue import DetectionQueue
from napari_lesion.gui.session import Session
from napari_lesion.inference.augment import with_members
from napari_lesion.workflow.channels import Images
from napari_lesion.workflow.detect import Detection, DetectParameters, install_detection
from napari_lesion.workflow.study import Study
from napari_lesion.workflow.threshold import mark_lesions

AT_ONCE = Beforehand(lambda _model, then: then(), lambda *_: Images())
SHAPE = (16, 24, 60)
GRID = Grid(SHAPE[::-1], (1.0, 1.0, 1.0))


@dataclass
class Desk:
    """A presenter with a study in which two lesions were found."""

    presenter: DetectPresenter
    view: Any
    session: Session
    runner: HeldRunner
    study: Study
    detections: HeldRunner
    queue: DetectionQueue

    @property
    def shown(self) -> ThresholdState:
        state: ThresholdState = self.view.show_threshold.call_args.args[0]
        return state

    def size(self, label: int) -> int:
        return int((self.study.labels.array == label).sum())


def _values() -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    cones = [
        height * (1 - np.sqrt((z - 8) ** 2 + (y - 12) ** 2 + (x - at) ** 2) / 9)
        for at, height in ((15, 0.96), (45, 0.8))
    ]
    return np.clip(np.max(cones, axis=0), 0, 1)


def _detection(model: Any, passes: int) -> Detection:
    values = _values()
    parts = [to_bytes(values * (1 - 0.1 * number)) for number in range(max(1, passes))]
    mean = ProbabilityMap.from_dense(np.mean(parts, axis=0).astype(np.uint8), GRID)
    if passes:
        mean = with_members(mean, [ProbabilityMap.from_dense(part, GRID) for part in parts])
    return Detection(
        model=model,
        parameters=DetectParameters(),
        probability=mean,
        marks=mark_lesions(mean, 0.5, 0.0),
        table=LesionTable(),
        device="cpu",
        backend="openvino",
        windows=1,
        seconds={"windows": 1.0},
        organ="",
    )


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Desk:
    view, runner, session = MagicMock(spec=DetectView), HeldRunner(), Session()
    view.parameters.return_value = DetectParameters()
    model = MagicMock(organ="lung")
    monkeypatch.setattr(detect_module, "list_models", lambda: [model])
    detections = HeldRunner()
    queue = DetectionQueue(detections, detect_module.run_detection)
    presenter = DetectPresenter(session, runner, HeldRunner(), view, queue, AT_ONCE)
    presenter.start()
    study = Study.of(Volume(np.zeros(SHAPE, np.int16), GRID, Modality.CT), Check())
    install_detection(study, _detection(model, getattr(request, "param", 0)))
    session.open(study)
    assert list(study.lesions) == [1, 2]
    return Desk(presenter, view, session, runner, study, detections, queue)


def test_the_slider_moves_the_selected_lesion_alone_when_it_shall(desk: Desk) -> None:
    desk.session.select(2)
    assert (desk.shown.can_alone, desk.shown.alone) == (True, 0)
    desk.presenter.set_alone(True)
    assert (desk.shown.alone, desk.shown.value) == (2, 0.5)
    sizes = desk.size(1), desk.size(2)
    desk.presenter.set_threshold(0.3)
    desk.runner.run()
    assert (desk.shown.alone, desk.shown.value) == (2, 0.3)
    assert desk.size(1) == sizes[0]
    assert desk.size(2) > sizes[1]
    assert desk.study.threshold == 0.5
    assert desk.study.table.rows[2]["n_voxels"] == desk.size(2), "measured again"


def test_the_slider_follows_the_selection_and_what_waited_is_forgotten(desk: Desk) -> None:
    desk.session.select(2)
    desk.presenter.set_alone(True)
    desk.presenter.set_threshold(0.3)
    desk.presenter.set_threshold(0.2)
    desk.session.select(1)
    desk.runner.run()
    assert not desk.runner.busy, "the waiting move was meant for the other lesion"
    assert (desk.shown.alone, desk.shown.value) == (1, 0.5)
    desk.session.select(2)
    assert desk.shown.value == 0.3
    desk.presenter.nudge(1)
    desk.runner.run()
    assert desk.study.lesions[2].threshold == pytest.approx(0.32)
    desk.presenter.set_alone(False)
    assert (desk.shown.alone, desk.shown.value) == (0, 0.5)


def test_a_threshold_above_the_peak_of_the_lesion_is_told(desk: Desk) -> None:
    desk.session.select(2)
    desk.presenter.set_alone(True)
    before = desk.study.labels.array.copy()
    desk.presenter.set_threshold(0.9)
    desk.runner.run()
    assert "highest probability is 0.80" in desk.view.show_error.call_args.args[0].message
    np.testing.assert_array_equal(desk.study.labels.array, before)
    assert desk.shown.value == 0.5


def test_without_a_selection_all_lesions_move(desk: Desk) -> None:
    desk.presenter.set_alone(True)
    assert (desk.shown.can_alone, desk.shown.alone) == (False, 0)
    desk.presenter.set_threshold(0.9)
    desk.runner.run()
    assert desk.study.threshold == 0.9
    assert desk.shown.lost == 1


@pytest.mark.parametrize("desk", [0, 4], indirect=True)
def test_the_spread_is_shown_where_there_are_passes(desk: Desk) -> None:
    heard: list[Any] = []
    desk.presenter.spread_changed.connect(heard.append)
    assert desk.study.detection is not None
    passes = len(desk.study.detection.probability.members)
    assert desk.shown.passes == passes
    desk.presenter.show_spread(True)
    desk.runner.run()
    assert bool(heard[0].dense().any()) == bool(passes)
    desk.presenter.show_spread(False)
    assert heard[1] is None


def test_a_spread_that_is_late_is_dropped(desk: Desk) -> None:
    heard: list[Any] = []
    desk.presenter.spread_changed.connect(heard.append)
    desk.presenter.show_spread(True)
    desk.session.open(None)
    desk.runner.run()
    assert heard == []


@pytest.mark.parametrize("end", ["fails", "is cancelled"])
def test_a_run_that_does_not_end_well_leaves_the_former_result(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    study = desk.study
    before = study.labels.array.copy(), study.lesions, study.table, study.detection, study.threshold, study.revision

    def fail(*_: object) -> None:
        raise ModelError("The model is damaged")

    monkeypatch.setattr(detect_module, "detect_lesions", fail)
    desk.presenter.detect()
    if end == "fails":
        desk.detections.run()
        desk.view.show_error.assert_called_once()
    else:
        desk.presenter.cancel()
        desk.view.show_done.assert_called_with("Cancelled; nothing was changed")
    after = study.lesions, study.table, study.detection, study.threshold, study.revision
    np.testing.assert_array_equal(study.labels.array, before[0])
    assert after == before[1:]
    desk.view.show_running.assert_called_with(False)


def test_what_is_held_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    detection = desk.study.detection
    monkeypatch.setattr(detect_module, "detect_lesions", lambda *_: detection)
    heard: list[Any] = []
    desk.presenter.spread_changed.connect(heard.append)
    desk.presenter.detect()
    desk.detections.run()
    sentence, memory = desk.view.show_done.call_args.args
    assert sentence.startswith("Done in 1.0 s")
    assert "MiB of probability" in memory
    assert "unloaded" in memory
    assert heard == [None], "the spread of the former detection goes"
