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
