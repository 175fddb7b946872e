"""A second study is opened and read while the first is computed; every result goes to its own study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from held_runner import HeldRunner

from napari_lesion.core.errors import ModelError
from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import Progress
from napari_lesion.core.lesion import Lesion
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.gui.presenters import detect as detect_module
from napari_lesion.gui.presenters.background import BackgroundPresenter, BackgroundStudy, BackgroundView
from napari_lesion.gui.presenters.detect import Beforehand, DetectPresenter, DetectView
from napari_lesion.gui.presenters.export import ExportPresenter, ExportView
from napari_lesion.gui.presenters.queue import DetectionQueue
from napari_lesion.gui.presenters.study import Memory, StudyPresenter, StudyView
from napari_lesion.gui.presenters.viewing import ViewerPresenter
from napari_lesion.gui.reader_offer import ReaderOffer
from napari_lesion.gui.recent import RecentStudies
from napari_lesion.gui.session import Session
from napari_lesion.workflow.channels import Images
from napari_lesion.workflow.detect import DetectParameters
from napari_lesion.workflow.study import Study

GRID = Grid((6, 5, 4), (1.0, 1.0, 1.0))


class Runner(HeldRunner):
    """Ends a job also as the test says, and may be asked to cancel with nothing held."""

    def report(self, progress: Progress) -> None:
        assert self.held is not None
        self.held[1].progressed(progress)

    def cancel(self) -> None:
        if self.held is not None:
            super().cancel()


@dataclass
class Desk:
    """The presenters that take part, and what they were shown."""

    session: Session
    detections: Runner
    opening: Runner
    queue: DetectionQueue
    detect: DetectPresenter
    study: StudyPresenter
    background: BackgroundPresenter
    panel: Any
    study_panel: Any
    bar: Any

    def detect_in(self, study: Study) -> None:
        self.session.open(study)
        self.detect.detect()

    @property
    def lines(self) -> list[BackgroundStudy]:
        shown: list[BackgroundStudy] = self.bar.show_studies.call_args.args[0]
        return shown


def _study(case: str) -> Study:
    return Study.of(Volume(np.zeros(GRID.shape, np.int16), GRID, Modality.CT, Source(case=case)), Check())


def _install(study: Study, _detection: Any) -> None:
    study.lesions[1] = Lesion(1)
    study.touched()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    session, detections, opening = Session(), Runner(), Runner()
    panel, study_panel, bar = MagicMock(spec=DetectView), MagicMock(spec=StudyView), MagicMock(spec=BackgroundView)
    panel.parameters.return_value = DetectParameters()
    study_panel.confirm_discard.return_value = False
    monkeypatch.setattr(detect_module, "list_models", lambda: [MagicMock(foreign=False)])
    monkeypatch.setattr(
        detect_module, "detect_lesions", lambda request, _ctx: f"detection in {request.volume.source.case}"
    )
    monkeypatch.setattr(detect_module, "install_detection", _install)
    for words in ("_sentence", "_memory"):
        monkeypatch.setattr(detect_module, words, str)
    queue = DetectionQueue(detections, detect_module.run_detection)
    beforehand = Beforehand(lambda _model, then: then(), lambda *_: Images())
    detect = DetectPresenter(session, opening, Runner(), panel, queue, beforehand)
    memory = Memory(RecentStudies(tmp_path), MagicMock(spec=ReaderOffer))
    viewer = MagicMock(spec=ViewerPresenter)
    study = StudyPresenter(session, opening, viewer, study_panel, memory, queue.holds)
    background = BackgroundPresenter(session, queue, bar, study.go_back)
    detect.start()
    return Desk(session, detections, opening, queue, detect, study, background, panel, study_panel, bar)


def test_a_second_study_is_opened_while_the_first_is_computed(desk: Desk) -> None:
    first, second = _study("first"), _study("second")
    first.lesions[9] = Lesion(9)  # work that was not exported
    first.touched()
    desk.detect_in(first)
    desk.study.open_volume(second.volume)
    desk.study_panel.confirm_discard.assert_not_called()
    desk.opening.run()
    assert desk.session.study is not None
    assert desk.session.study is not first
    assert desk.detections.busy, "the first goes on"
    desk.panel.show_running.assert_called_with(False)
    desk.detections.report(Progress("Searching", 3, 8))
    assert [(line.title, line.words, line.done) for line in desk.lines] == [("first", "Searching 3 of 8", False)]
    desk.panel.show_progress.reset_mock()
    desk.detections.run()
    desk.panel.show_progress.assert_not_called()
    assert 1 in first.lesions
    assert not desk.session.study.lesions
    assert [(line.words, line.done) for line in desk.lines] == [("2 lesions found", True)]


def test_going_back_shows_the_result(desk: Desk) -> None:
    first = _study("first")
    desk.detect_in(first)
    desk.session.open(_study("second"))
    desk.detections.run()
    desk.background.open(0)
    assert desk.session.study is first
    assert desk.lines == []


def test_going_back_before_the_end_shows_how_far_it_is(desk: Desk) -> None:
    first = _study("first")
    desk.detect_in(first)
    desk.session.open(_study("second"))
    desk.detections.report(Progress("Searching", 5, 8))
    desk.background.open(0)
    desk.panel.show_running.assert_called_with(True)
    desk.panel.show_progress.assert_called_with(Progress("Searching", 5, 8))
    assert desk.lines == []
    desk.detections.run()
    assert desk.panel.show_running.call_args.args == (False,)
    assert 1 in first.lesions


def test_detections_wait_for_each_other(desk: Desk) -> None:
    first, second = _study("first"), _study("second")
    desk.detect_in(first)
    desk.detect_in(second)
    assert desk.queue.studies == (first, second)
    assert "Waiting" in desk.panel.show_progress.call_args.args[0].stage
    desk.detections.run()
    assert desk.queue.studies == (second,)
    desk.detections.run()
    assert desk.queue.studies == ()
    assert (list(first.lesions), list(second.lesions)) == ([1], [1])


def test_one_study_is_not_computed_twice_at_once(desk: Desk) -> None:
    desk.detect_in(_study("first"))
    desk.detect.detect()
    assert "still running" in desk.panel.show_error.call_args.args[0].message


@pytest.mark.parametrize("which", [0, 1])
def test_cancel_stops_the_detection_of_the_open_study_only(desk: Desk, which: int) -> None:
    studies = [_study("first"), _study("second")]
    for study in studies:
        desk.detect_in(study)
    desk.session.open(studies[which])
    desk.detect.cancel()
    assert desk.queue.studies == (studies[1 - which],)
    assert desk.detections.busy
    desk.panel.show_done.assert_called_with("Cancelled; nothing was changed")
    desk.detections.run()
    assert [bool(study.lesions) for study in studies] == [which == 1, which == 0]


def test_a_study_in_the_background_can_be_forgotten(desk: Desk) -> None:
    first = _study("first")
    desk.detect_in(first)
    desk.session.open(_study("second"))
    desk.background.drop(0)
    assert not desk.detections.busy
    assert desk.lines == []
    assert not first.lesions


def test_a_failure_in_the_background_is_told_there(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ModelError("The model is damaged")

    monkeypatch.setattr(detect_module, "detect_lesions", fail)
    desk.detect_in(_study("first"))
    desk.session.open(_study("second"))
    desk.detections.run()
    desk.panel.show_error.assert_not_called()
    assert [line.words for line in desk.lines] == ["The model is damaged."]


def test_a_study_that_is_computed_is_not_exported_meanwhile(desk: Desk) -> None:
    view = MagicMock(spec=ExportView)
    export = ExportPresenter(desk.session, Runner(), view, desk.queue.holds)
    desk.detect_in(_study("first"))
    export.export()
    assert "Detection is still running" in view.show_error.call_args.args[0].message
    view.choose_folder.assert_not_called()


def test_work_is_still_asked_for_when_nothing_is_computed(desk: Desk) -> None:
    study = _study("first")
    study.lesions[1] = Lesion(1)
    study.touched()
    desk.session.open(study)
    desk.study.open_volume(_study("second").volume)
    desk.study_panel.confirm_discard.assert_called_once()
    assert not desk.opening.busy
