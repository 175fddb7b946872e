"""Jobs in the thread pool: one at a time, cancelled, late, failing."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from napari_lesion.core.errors import InputError, LesionError
from napari_lesion.core.jobs import JobContext, Progress
from napari_lesion.gui import worker as worker_module
from napari_lesion.gui.presenters.jobs import JobBusyError, JobListener
from napari_lesion.gui.worker import QtJobRunner

pytestmark = pytest.mark.gui


class Heard:
    """A listener that writes down what it hears, and in which thread."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.errors: list[LesionError] = []
        self.stages: list[Progress] = []
        self.cancels = 0
        self.threads: set[int] = set()

    def listener(self) -> JobListener:
        return JobListener(self._returned, self._failed, self._progressed, self._cancelled)

    def _returned(self, result: Any) -> None:
        self.threads.add(threading.get_ident())
        self.results.append(result)

    def _failed(self, error: LesionError) -> None:
        self.errors.append(error)

    def _progressed(self, progress: Progress) -> None:
        self.threads.add(threading.get_ident())
        self.stages.append(progress)

    def _cancelled(self) -> None:
        self.cancels += 1


@pytest.fixture
def runner(qtbot: Any) -> Any:
    runner = QtJobRunner()
    yield runner
    runner.abandon()
    from qtpy.QtCore import QThreadPool

    assert QThreadPool.globalInstance().waitForDone(5000)


def wait_for_stop(ctx: JobContext) -> None:
    while True:
        ctx.step("Waiting")
        time.sleep(0.01)


def test_result_and_progress_arrive_on_the_main_thread(runner: QtJobRunner, qtbot: Any) -> None:
    heard = Heard()
    threads: list[int] = []

    def job(ctx: JobContext) -> int:
        threads.append(threading.get_ident())
        ctx.step("Counting", 0, 2)
        ctx.step("Counting", 2, 2)
        return 7

    runner.start("Count", job, heard.listener())
    qtbot.waitUntil(lambda: heard.results == [7])
    assert [p.done for p in heard.stages] == [0, 2]
    assert heard.threads == {threading.get_ident()}
    assert threads[0] != threading.get_ident()
    assert not runner.busy


def test_second_job_is_refused_politely(runner: QtJobRunner, qtbot: Any) -> None:
    heard = Heard()
    runner.start("Detection", wait_for_stop, heard.listener())
    with pytest.raises(JobBusyError, match="Detection is still running"):
        runner.start("Export", wait_for_stop, heard.listener())
    runner.cancel()
    qtbot.waitUntil(lambda: heard.cancels == 1)
    assert not runner.busy
    assert heard.results == []
    assert heard.errors == []


def test_cancel_of_a_job_that_no_longer_looks_is_a_cancel(runner: QtJobRunner, qtbot: Any) -> None:
    heard = Heard()
    started, go_on = threading.Event(), threading.Event()

    def job(_ctx: JobContext) -> int:
        started.set()
        go_on.wait(5)
        return 1

    runner.start("Count", job, heard.listener())
    qtbot.waitUntil(started.is_set)
    runner.cancel()
    go_on.set()
    qtbot.waitUntil(lambda: heard.cancels == 1)
    assert heard.results == []


def test_abandoned_job_is_silent_and_the_next_one_is_heard(runner: QtJobRunner, qtbot: Any) -> None:
    old, new = Heard(), Heard()
    go_on = threading.Event()

    def late(_ctx: JobContext) -> str:
        go_on.wait(5)
        return "late"

    first = runner.start("Old", late, old.listener())
    runner.abandon()
    second = runner.start("New", lambda _ctx: "new", new.listener())
    assert second > first
    qtbot.waitUntil(lambda: new.results == ["new"])
    go_on.set()
    qtbot.wait(100)
    assert old.results == []
    assert old.cancels == 0


def test_user_error_is_one_line_for_the_panel(runner: QtJobRunner, qtbot: Any) -> None:
    heard = Heard()

    def job(_ctx: JobContext) -> None:
        raise InputError("The file is empty", "0 bytes", "Export it again")

    runner.start("Open", job, heard.listener())
    qtbot.waitUntil(lambda: bool(heard.errors))
    assert heard.errors[0].message == "The file is empty. 0 bytes. Export it again."


@pytest.mark.parametrize("kind", [ValueError, RuntimeError])
def test_bug_is_reported_with_its_trace_and_frees_the_runner(
    runner: QtJobRunner, qtbot: Any, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    heard, reported = Heard(), []
    monkeypatch.setattr(worker_module, "report_bug", lambda error, doing: reported.append((error, doing)))

    def job(_ctx: JobContext) -> None:
        raise kind("boom")

    runner.start("Detection", job, heard.listener())
    qtbot.waitUntil(lambda: bool(heard.errors))
    assert "fault of the program" in heard.errors[0].message
    assert isinstance(reported[0][0], kind)
    assert reported[0][1] == "Detection"
    assert not runner.busy


def test_report_can_be_copied(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari.utils.notifications import notification_manager
    from qtpy.QtWidgets import QApplication

    from napari_lesion.gui.notify import report_bug

    received: list[Any] = []
    monkeypatch.setattr(notification_manager, "receive_error", lambda *args: received.append(args))
    try:
        raise ZeroDivisionError("no lesions at all")
    except ZeroDivisionError as error:
        report_bug(error, "Measuring")
    ((words, copy),) = received[0][1].actions
    copy(None)
    text = QApplication.clipboard().text()
    assert words == "Copy report"
    assert "While: Measuring" in text
    assert "no lesions at all" in text
    assert "test_report_can_be_copied" in text
