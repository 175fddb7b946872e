"""Jobs in napari's thread pool: the only module in which a job meets Qt."""

from __future__ import annotations

import time
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QThreadPool, Signal, Slot
from superqt.utils import WorkerBase

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext, Progress
from napari_lesion.gui.notify import report_bug
from napari_lesion.gui.presenters.jobs import Job, JobBusyError, JobListener

REPORTS_PER_SECOND = 10.0
LEAST_THREADS = 2
"""A detection must not keep another study from being opened, also on a machine of one core."""


class JobSignals(QObject):
    """What a `JobWorker` says beside the signals of every worker."""

    progressed = Signal(object)
    cancelled = Signal()
    failed = Signal(object)


class TitledJob:
    """A job with the words that napari shows when its window is closed while the job runs."""

    def __init__(self, title: str, job: Job) -> None:
        self.title = title
        self._job = job

    def __call__(self, ctx: JobContext) -> Any:
        """Run the job."""
        return self._job(ctx)

    def __str__(self) -> str:
        return self.title


class JobWorker(WorkerBase):
    """Runs one job function in the thread pool.

    ``says.progressed`` carries a `Progress`, at most ten a second and the first of every stage; ``says.cancelled`` is
    emitted when the job stopped because it was asked to, ``says.failed`` with the exception when it failed;
    ``returned`` in neither case, and ``errored`` never (a slot that napari 0.9 connects to it takes no argument).
    `quit` sets the job's token, so that napari's own shutdown cancels too.
    """

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.says = JobSignals()
        self._job = job
        self._token = CancelToken()
        self._last = ("", 0.0)

    def quit(self) -> None:
        """Ask the job to stop at its next step."""
        self._token.cancel()
        super().quit()

    def work(self) -> Any:
        """Run the job; called in the pool's thread."""
        try:
            result = self._job(JobContext(self._token, self._report))
        except JobCancelled:
            self._token.cancel()
        except Exception as error:  # noqa: BLE001 (told to the user on the main thread)
            super().quit()
            self.says.failed.emit(error)
            return None
        if self._token.cancelled:
            super().quit()
            self.says.cancelled.emit()
            return None
        return result

    def _report(self, progress: Progress) -> None:
        stage, when = self._last
        now = time.monotonic()
        finished = progress.total > 0 and progress.done == progress.total
        if progress.stage == stage and now - when < 1 / REPORTS_PER_SECOND and not finished:
            return
        self._last = (progress.stage, now)
        self.says.progressed.emit(progress)


class _Delivery(QObject):
    """Takes what one worker says to its listener, on the main thread, as long as the job is the present one."""

    def __init__(self, number: int, title: str, listener: JobListener, runner: QtJobRunner) -> None:
        super().__init__(runner)
        self.number = number
        self.title = title
        self._listener = listener
        self._runner = runner

    def connect(self, worker: JobWorker) -> None:
        """Listen to a worker."""
        worker.says.progressed.connect(self._on_progressed)
        worker.says.cancelled.connect(self._on_cancelled)
        worker.signals.returned.connect(self._on_returned)
        worker.says.failed.connect(self._on_failed)
        worker.signals.finished.connect(self.deleteLater)

    @Slot(object)
    def _on_progressed(self, progress: Progress) -> None:
        if self._runner.is_current(self.number):
            self._listener.progressed(progress)

    @Slot()
    def _on_cancelled(self) -> None:
        if self._runner.finish(self.number):
            self._listener.cancelled()

    @Slot(object)
    def _on_returned(self, result: object) -> None:
        if self._runner.finish(self.number):
            self._listener.returned(result)

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        wanted = self._runner.finish(self.number)
        if isinstance(error, LesionError):
            if wanted:
                self._listener.failed(error)
            return
        report_bug(error, self.title)
        if wanted:
            self._listener.failed(
                LesionError(f"{self.title} failed", "It is a fault of the program", "See napari's notification")
            )


class QtJobRunner(QObject):
    """`JobRunner` on napari's thread pool.

    Signals
    -------
    busy_changed
        A job started, or the last one ended.
    """

    busy_changed = Signal(bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        pool = QThreadPool.globalInstance()
        pool.setMaxThreadCount(max(pool.maxThreadCount(), LEAST_THREADS))
        self._numbers = 0
        self._current: _Delivery | None = None
        self._worker: JobWorker | None = None

    @property
    def busy(self) -> bool:
        """Whether a job runs that was not abandoned."""
        return self._current is not None

    @property
    def running(self) -> str:
        """Title of the job that runs; empty for none."""
        return self._current.title if self._current is not None else ""

    def is_current(self, number: int) -> bool:
        """Whether the job of this number is the one that is listened to."""
        return self._current is not None and self._current.number == number

    def start(self, title: str, job: Job, listener: JobListener) -> int:
        """Start a job in the thread pool; see `JobRunner`."""
        if self._current is not None:
            raise JobBusyError(self._current.title)
        self._numbers += 1
        self._current = _Delivery(self._numbers, title, listener, self)
        self._worker = create_worker(
            TitledJob(title, job), _worker_class=JobWorker, _start_thread=False, _ignore_errors=True
        )
        self._current.connect(self._worker)
        self._worker.start()
        self.busy_changed.emit(True)
        return self._numbers

    def cancel(self) -> None:
        """Ask the running job to stop."""
        if self._worker is not None:
            self._worker.quit()

    def abandon(self) -> None:
        """Ask the running job to stop, and drop whatever it still says."""
        self.cancel()
        if self._current is not None:
            self.finish(self._current.number)

    def finish(self, number: int) -> bool:
        """Forget the present job when it has this number; whether it had."""
        if not self.is_current(number):
            return False
        self._current = None
        self._worker = None
        self.busy_changed.emit(False)
        return True
