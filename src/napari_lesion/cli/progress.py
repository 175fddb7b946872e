"""Progress bars on standard error, and Ctrl-C as the cancel of a job."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from napari_lesion.cli.console import console
from napari_lesion.core import jobs

COUNTABLE = 10_000
"""Totals from here on are bytes or voxels, and told as a share."""


class JobBars:
    """One bar at a time: what is done, how far it is, and how long it will still take.

    Parameters
    ----------
    token
        Given to every job.
    """

    def __init__(self, token: jobs.CancelToken) -> None:
        self._token = token
        out = console(errors=True)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[stage]}", markup=False),
            BarColumn(),
            _CountColumn(),
            _RemainingColumn(),
            console=out,
            transient=True,
            disable=not out.is_terminal,
            # lines of results belong to standard output, wherever that leads
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def context(self, name: str) -> jobs.JobContext:
        """Context of a job; ``name`` stands before its bar."""
        self._bars.start()

        def show(now: jobs.Progress) -> None:
            stages = [task for task in self._bars.tasks if task.fields["stage"] == now.stage]
            if not stages:
                self._clear()
                self._bars.add_task(name, total=None, stage=now.stage, remaining_s=None)
            self._bars.update(
                self._bars.task_ids[0], completed=now.done, total=now.total or None, remaining_s=now.remaining_s
            )

        return jobs.JobContext(self._token, show)

    def pause(self) -> None:
        """Take the bar away, so that lines can be printed."""
        self._clear()
        self._bars.stop()

    def _clear(self) -> None:
        for bar in self._bars.task_ids:
            self._bars.remove_task(bar)


@contextmanager
def job_bars() -> Iterator[JobBars]:
    """Show the progress of jobs, and let Ctrl-C cancel them.

    The first Ctrl-C asks the running job to stop at its next step; the second one interrupts at once.
    """
    token = jobs.CancelToken()
    bars = JobBars(token)
    with _interrupt_cancels(token):
        try:
            yield bars
        finally:
            bars.pause()


class _CountColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Units done of those planned; the share where they are no things to count."""
        if not task.total:
            return Text("")
        if task.total < COUNTABLE:
            return Text(f"{task.completed:.0f} of {task.total:.0f}")
        return Text(f"{task.percentage:.0f} %")


class _RemainingColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Seconds left, as the job itself reckons from the pace of its stage; nothing while they are unknown."""
        remaining = task.fields["remaining_s"]
        return Text("" if remaining is None else f"{remaining:.0f} s left")


@contextmanager
def _interrupt_cancels(token: jobs.CancelToken) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def cancel(_number: int, _frame: FrameType | None) -> None:
        token.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
