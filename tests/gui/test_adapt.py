"""The panel that adapts the model: a presenter without Qt, and a panel that shows what it is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import Progress
from napari_lesion.gui.presenters.adapt import OPEN_STUDY, TITLE, AdaptPresenter, AdaptView
from napari_lesion.gui.presenters.jobs import JobBusyError, JobListener
from napari_lesion.gui.session import Session
from napari_lesion.workflow.adapt import Adapted, Standing
from napari_lesion.workflow.parameters import AdaptParameters

BETTER = Adapted(Standing(0.5, 0.5, 2.0), Standing(0.6, 0.75, 1.0), ("a", "b"), ("c",), Path("models/mine"))
WORSE = Adapted(Standing(0.5, 0.5, 2.0), Standing(0.4, 0.75, 1.0), ("a", "b"), ("c",), None)


class Runner:
    """Keeps the job and its listener instead of running them."""

    def __init__(self) -> None:
        self.listener: JobListener | None = None
        self.busy, self.running, self.cancelled = False, "", False

    def start(self, title: str, job: Any, listener: JobListener) -> int:
        if self.busy:
            raise JobBusyError("Detection")
        self.running, self.listener = title, listener
        return 1

    def cancel(self) -> None:
        self.cancelled = True

    def abandon(self) -> None:
        self.listener = None


@pytest.fixture
def view() -> Any:
    made = MagicMock(spec=AdaptView)
    made.parameters.return_value, made.name.return_value = AdaptParameters(steps=3), "mine"
    return made


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def presenter(view: Any, runner: Runner) -> AdaptPresenter:
    model = SimpleNamespace(name="lung_nodule_ct")
    return AdaptPresenter(Session(), runner, view, lambda: model)  # type: ignore[arg-type,return-value]


def test_exports_are_collected_once(presenter: AdaptPresenter, view: Any) -> None:
    presenter.show()
    view.show_ready.assert_called_with(False)
    view.choose_export.side_effect = [Path("a"), Path("a"), None]
    for _ in range(3):
        presenter.add_export()
    view.show_studies.assert_called_with(["a"])
    view.show_ready.assert_called_with(True)
    presenter.clear()
    view.show_studies.assert_called_with([])


def test_a_better_model_is_told_and_listed(presenter: AdaptPresenter, view: Any, runner: Runner) -> None:
    kept: list[str] = []
    presenter.kept.connect(kept.append)
    presenter.adapt()
    assert runner.running == TITLE
    assert runner.listener is not None
    runner.listener.returned(BETTER)
    sentence = view.show_result.call_args.args[0]
    assert "before, Dice 0.500, sensitivity 0.50, 2.0 false marks" in sentence
    assert "after, Dice 0.600" in sentence
    assert kept == ["mine"]


def test_a_worse_model_is_told_and_not_listed(presenter: AdaptPresenter, view: Any, runner: Runner) -> None:
    kept: list[str] = []
    presenter.kept.connect(kept.append)
    presenter.adapt()
    assert runner.listener is not None
    runner.listener.returned(WORSE)
    assert view.show_result.call_args.kwargs == {"kept": False}
    assert "was not kept, because it is worse" in view.show_result.call_args.args[0]
    assert kept == []


def test_errors_busy_and_cancel(presenter: AdaptPresenter, view: Any, runner: Runner) -> None:
    runner.busy = True
    presenter.adapt()
    assert "still running" in view.show_error.call_args.args[0].message
    view.show_running.assert_not_called()
    runner.busy = False
    presenter.adapt()
    view.show_running.assert_called_with(True)
    assert runner.listener is not None
    runner.listener.failed(LesionError("no"))
    view.show_running.assert_called_with(False)
    presenter.cancel()
    assert runner.cancelled


@pytest.mark.gui
def test_the_panel_shows_what_it_is_told(qtbot: Any) -> None:
    from napari_lesion.gui.widgets.adapt import AdaptPanel

    panel = AdaptPanel()
    qtbot.addWidget(panel)
    panel.show()
    panel.unfold()
    panel.suggest_name("lung_nodule_ct_adapted")
    assert panel.name() == "lung_nodule_ct_adapted"
    assert panel.parameters() == AdaptParameters()
    panel.show_studies([OPEN_STUDY, "/x"])
    panel.show_ready(True)
    panel.show_running(True)
    panel.show_progress(Progress("Training", 3, 10))
    assert panel.said == "Training 3 of 10"
    assert not panel._adapt.isEnabled()
    panel.show_running(False)
    panel.show_result(BETTER.sentence, kept=True)
    assert "mine was kept" in panel.said
    assert panel._adapt.isEnabled()
    panel.show_error(LesionError("Nothing to learn from"))
    assert panel.said == "Nothing to learn from."
