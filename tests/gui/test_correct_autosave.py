"""When work is kept, and what is offered when a study is opened again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, create_autospec

import numpy as np
import pytest
from qtpy.QtWidgets import QMessageBox

from napari_lesion.core.errors import OutputError
from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.gui.presenters.autosave import AutosavePresenter, RestoreView
from napari_lesion.gui.presenters.jobs import Job, JobListener
from napari_lesion.gui.session import Session
from napari_lesion.gui.widgets.restore import RestoreBar
from napari_lesion.workflow.autosave import AutosaveStore
from napari_lesion.workflow.edit import Editor
from napari_lesion.workflow.study import Study

GRID = Grid(size=(24, 20, 12), spacing=(1.0, 1.0, 2.0))
BALL = np.ones((3, 3, 3), dtype=bool)


class DirectRunner:
    """Runs jobs one after the other when the test says so; `LesionError` goes to the listener."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Job, JobListener]] = []

    @property
    def busy(self) -> bool:
        return bool(self.jobs)

    def start(self, title: str, job: Job, listener: JobListener) -> int:
        assert not self.jobs
        self.jobs.append((job, listener))
        return 1

    def run(self) -> None:
        """Run everything that waits, and what follows from it."""
        while self.jobs:
            job, listener = self.jobs[0]
            try:
                result = job(JobContext())
            except OutputError as error:
                self.jobs.clear()
                listener.failed(error)
            else:
                self.jobs.clear()
                listener.returned(result)

    def cancel(self) -> None:
        self.jobs.clear()

    def abandon(self) -> None:
        self.jobs.clear()


class Desk:
    """One run of the program on a store."""

    def __init__(self, folder: Path) -> None:
        self.store = AutosaveStore(folder)
        self.session = Session()
        self.runner = DirectRunner()
        self.view: MagicMock = create_autospec(RestoreView, instance=True)
        self.quiet = True
        self.editor: Editor | None = None
        self.presenter = AutosavePresenter(
            self.session, self.store, self.runner, self.view, lambda: self.editor, lambda: self.quiet
        )

    @property
    def study(self) -> Study:
        assert self.session.study is not None
        return self.session.study

    def open(self, seed: int = 0) -> None:
        study = make_study(seed)
        self.editor = Editor(study)
        self.session.open(study)
        self.runner.run()

    def tick(self) -> None:
        self.presenter.tick()
        self.runner.run()

    def edit(self, z: int = 5) -> None:
        assert self.editor is not None
        self.editor.paint((slice(z, z + 3), slice(2, 5), slice(2, 5)), BALL, self.editor.new_label())

    @property
    def offered(self) -> str:
        return str(self.view.show_offer.call_args.args[0])


def make_study(seed: int = 0) -> Study:
    rng = np.random.default_rng(seed)
    volume = Volume(rng.normal(0, 50, GRID.shape).astype(np.int16), GRID, Modality.CT)
    study = Study.of(volume, Check())
    study.labels.array[3:6, 12:16, 12:16] = 1
    study.model_labels.array[...] = study.labels.array
    study.lesions = {1: Lesion(1, Status.MODEL, 0.9)}
    return study


@pytest.fixture
def start(tmp_path: Path) -> Callable[[], Desk]:
    return lambda: Desk(tmp_path / "kept")


def test_only_changes_are_kept(start: Callable[[], Desk]) -> None:
    desk = start()
    desk.open()
    desk.tick()
    assert desk.store.nbytes == 0, "nothing changed"
    desk.edit()
    desk.quiet = False
    desk.tick()
    assert desk.store.nbytes == 0, "not in the middle of a stroke"
    desk.quiet = True
    desk.tick()
    size = desk.store.nbytes
    assert size > 0
    desk.store.clear()
    desk.tick()
    assert desk.store.nbytes == 0, "nothing changed since"


def test_kept_work_is_offered_restored_and_measured(start: Callable[[], Desk]) -> None:
    first = start()
    first.open()
    first.edit()
    first.study.review(1, Review.ACCEPTED)
    first.tick()

    second = start()
    second.open()
    assert "2 lesions, 1 edited, 1 reviewed" in second.offered
    second.view.confirm_replace.return_value = False
    second.presenter.restore()
    assert len(second.study.lesions) == 1, "the user thought better of it"
    second.view.confirm_replace.return_value = True
    told: list[str] = []
    second.session.detection_changed.connect(lambda: told.append("marks"))
    second.session.table_changed.connect(lambda: told.append("table"))
    second.presenter.restore()
    second.runner.run()
    np.testing.assert_array_equal(second.study.labels.array, first.study.labels.array)
    assert second.study.lesions[1].review == Review.ACCEPTED
    assert second.study.table.rows[2]["n_voxels"] == 27
    assert told == ["marks", "table", "table"]
    assert second.offered == ""
    assert second.editor is not None
    assert second.editor.next_undo == ""


def test_an_offer_survives_new_work_on_the_same_study(start: Callable[[], Desk]) -> None:
    first = start()
    first.open()
    first.edit()
    first.tick()
    second = start()
    second.open()
    second.edit(z=8)
    second.tick()
    second.view.confirm_replace.return_value = True
    second.presenter.restore()
    np.testing.assert_array_equal(second.study.labels.array, first.study.labels.array)


def test_forgetting_deletes_the_kept_work_but_not_newer_work(start: Callable[[], Desk]) -> None:
    first = start()
    first.open()
    first.edit()
    first.tick()
    second = start()
    second.open()
    second.presenter.discard()
    assert second.store.nbytes == 0
    assert second.offered == ""

    first.edit(z=8)
    first.tick()
    third = start()
    third.open()
    third.edit()
    third.tick()
    third.presenter.discard()
    assert third.store.find(third.study.volume) is not None


def test_a_study_that_is_left_or_a_window_that_closes_is_kept(start: Callable[[], Desk]) -> None:
    desk = start()
    desk.open(seed=0)
    desk.edit()
    desk.open(seed=1)
    assert desk.store.find(make_study(0).volume) is not None
    assert desk.offered == "", "another study has nothing kept"
    desk.edit()
    desk.presenter.keep_now()
    assert desk.store.find(make_study(1).volume) is not None
    desk.open(seed=0)
    assert "2 lesions" in desk.offered


def test_a_detection_is_kept_at_once(start: Callable[[], Desk]) -> None:
    desk = start()
    desk.open()
    desk.study.touched()
    desk.session.detected()
    desk.runner.run()
    assert desk.store.nbytes > 0


def test_a_full_disk_is_told_once(start: Callable[[], Desk]) -> None:
    desk = start()
    desk.open()
    desk.store.folder.write_text("a file where the folder should be")
    for z in (5, 6, 7):
        desk.edit(z)
        desk.tick()
    desk.view.show_error.assert_called_once()
    assert "not autosaved" in desk.view.show_error.call_args.args[0].message


def test_all_kept_work_can_be_forgotten(start: Callable[[], Desk]) -> None:
    desk = start()
    for seed in (0, 1):
        desk.open(seed)
        desk.edit()
        desk.tick()
    desk.view.confirm_forget.return_value = False
    assert desk.presenter.clear() == 0
    desk.view.confirm_forget.assert_called_with(2, desk.store.nbytes)
    desk.view.confirm_forget.return_value = True
    assert desk.presenter.clear() == 2
    assert desk.store.nbytes == 0


def test_the_bar_asks_before_anything_is_lost(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bar = RestoreBar()
    qtbot.addWidget(bar)
    asked: list[str] = []
    yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
    answers = [yes, no, yes]

    def answer(_parent: object, _title: str, words: str) -> QMessageBox.StandardButton:
        asked.append(words)
        return answers.pop(0)

    monkeypatch.setattr(QMessageBox, "question", answer)
    monkeypatch.setattr(QMessageBox, "information", lambda *words: asked.append(words[-1]))
    assert bar.confirm_replace(3)
    assert not bar.confirm_forget(2, 5 * 2**20)
    assert bar.confirm_forget(1, 10)
    assert not bar.confirm_forget(0, 0)
    assert "3 lesions" in asked[0]
    assert "2 studies (5 MB)" in asked[1]
    assert "1 study (1 MB)" in asked[2]
    assert asked[3] == "No work is kept on this computer."


def test_the_bar_shows_an_offer_and_an_error(qtbot: Any) -> None:
    bar = RestoreBar()
    qtbot.addWidget(bar)
    assert bar.isHidden()
    bar.show_offer("Work on this study was kept")
    assert not bar.isHidden()
    assert not bar.restore.isHidden()
    with qtbot.waitSignal(bar.restore_clicked):
        bar.restore.click()
    with qtbot.waitSignal(bar.forget_clicked):
        bar.forget.click()
    bar.show_offer("")
    assert bar.isHidden()
    bar.show_error(OutputError("Your work is not autosaved", "the disk is full"))
    assert "disk is full" in bar.error.text()
    assert not bar.isHidden()
    assert bar.restore.isHidden()
