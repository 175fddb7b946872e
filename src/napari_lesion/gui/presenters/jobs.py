"""What a presenter knows of the thread that runs its jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext, Progress

Job = Callable[[JobContext], Any]


class JobBusyError(LesionError):
    """A job was asked for while another one runs."""

    def __init__(self, title: str) -> None:
        super().__init__(f"{title} is still running", todo="Wait for it, or cancel it first")


def ignore(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class JobListener:
    """Who hears of a job; everything is called on the main thread.

    Exactly one of ``returned``, ``failed`` and ``cancelled`` is called, after the last ``progressed``; none
    of them when the job was abandoned.

    Parameters
    ----------
    returned
        Called with the result.
    failed
        Called with an error that the user can mend; any other exception is reported by the runner
        itself, and ``failed`` hears of it as a `LesionError` that says so.
    progressed
        Called with each `Progress`, at most about ten times a second.
    cancelled
        Called when the job stopped because it was asked to.
    """

    returned: Callable[[Any], None]
    failed: Callable[[LesionError], None]
    progressed: Callable[[Progress], None] = ignore
    cancelled: Callable[[], None] = ignore


class JobRunner(Protocol):
    """Runs one job at a time.

    Contract: every job has a number; whatever a job reports after `abandon`, or after a job with a higher number
    was started, is dropped. The job itself never runs on the main thread, the listener always does.
    """

    @property
    def busy(self) -> bool:
        """Whether a job runs that was not abandoned."""
        ...

    @property
    def running(self) -> str:
        """Title of the job that runs; empty for none."""
        ...

    def start(self, title: str, job: Job, listener: JobListener) -> int:
        """Start a job and return its number; `JobBusyError` when one is running."""
        ...

    def cancel(self) -> None:
        """Ask the running job to stop; its listener hears ``cancelled``."""
        ...

    def abandon(self) -> None:
        """Ask the running job to stop, and drop whatever it still says."""
        ...


class RunningView(Protocol):
    """A panel with a job of its own, as `run_shown` knows it."""

    def show_running(self, running: bool) -> None:
        """Show that it runs, or no longer does."""

    def show_progress(self, progress: Progress) -> None:
        """Show how far it is."""

    def show_error(self, error: LesionError) -> None:
        """Show why it did not run."""


def run_shown(
    runner: JobRunner,
    view: RunningView,
    title: str,
    job: Job,
    returned: Callable[[Any], None],
    cancelled: Callable[[], None],
) -> None:
    """Start a job whose panel shows that it runs, how far it is and why it failed.

    Parameters
    ----------
    runner
        Runs it; when it is busy, the panel says so.
    view
        The panel; it is told that nothing runs any more before anything else that the end of the job brings.
    title, job
        What is run.
    returned, cancelled
        Called when the job came back, and when it was stopped.
    """

    def done(result: Any) -> None:
        view.show_running(False)
        returned(result)

    def failed(error: LesionError) -> None:
        view.show_running(False)
        view.show_error(error)

    def stopped() -> None:
        view.show_running(False)
        cancelled()

    try:
        runner.start(title, job, JobListener(done, failed, view.show_progress, stopped))
    except LesionError as error:
        view.show_error(error)
        return
    view.show_running(True)
