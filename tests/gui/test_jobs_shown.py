"""A job whose panel shows that it runs: whatever ends it, the panel is ready again first."""

from __future__ import annotations

from unittest.mock import MagicMock, call

import pytest

from napari_lesion.core.errors import LesionError
from napari_lesion.gui.presenters.jobs import JobBusyError, JobListener, JobRunner, RunningView, run_shown

ERROR = LesionError("It does not fit")


@pytest.fixture
def heard() -> MagicMock:
    """Everything that view, ``returned`` and ``cancelled`` hear, in order."""
    heard = MagicMock()
    heard.view = MagicMock(spec=RunningView)
    return heard


def started(heard: MagicMock) -> JobListener:
    runner = MagicMock(spec=JobRunner)
    run_shown(runner, heard.view, "Working", lambda _ctx: 7, heard.returned, heard.cancelled)
    title, job, listener = runner.start.call_args.args
    assert (title, job(None)) == ("Working", 7)
    assert heard.mock_calls == [call.view.show_running(True)]
    heard.reset_mock()
    assert isinstance(listener, JobListener)
    return listener


def test_a_result_comes_after_the_panel_is_ready(heard: MagicMock) -> None:
    started(heard).returned(7)
    assert heard.mock_calls == [call.view.show_running(False), call.returned(7)]


def test_an_error_is_shown(heard: MagicMock) -> None:
    started(heard).failed(ERROR)
    assert heard.mock_calls == [call.view.show_running(False), call.view.show_error(ERROR)]


def test_a_job_that_was_stopped_is_told_apart_from_one_that_failed(heard: MagicMock) -> None:
    started(heard).cancelled()
    assert heard.mock_calls == [call.view.show_running(False), call.cancelled()]


def test_progress_is_shown(heard: MagicMock) -> None:
    assert started(heard).progressed is heard.view.show_progress


def test_a_busy_runner_is_told_and_nothing_seems_to_run(heard: MagicMock) -> None:
    runner = MagicMock(spec=JobRunner)
    runner.start.side_effect = JobBusyError("Detecting")
    run_shown(runner, heard.view, "Working", lambda _ctx: 7, heard.returned, heard.cancelled)
    heard.view.show_running.assert_not_called()
    assert "Detecting is still running" in heard.view.show_error.call_args.args[0].message
