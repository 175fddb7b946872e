"""Progress bars on standard error, and Ctrl-C as the cancel of a job."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from napari_lesion.cli.console import console
from napari_lesion.core import jobs


class RemainingColumn(ProgressColumn):
    """The remaining time that the job itself reports, from the pace of its stage."""

    def render(self, task: Task) -> Text:
        """Seconds left, or nothing while they are unknown."""
        remaining = task.fields.get("remaining_s")
        return Text("" if remaining is None else f"{remaining:.0f} s left")


@contextmanager
def jobs_on_console() -> Iterator[Callable[[str], jobs.JobContext]]:
    """Show the progress of jobs on standard error, and let Ctrl-C cancel them.

    The first Ctrl-C asks the running job to stop at its next step; the second one interrupts at once.

    Yields
    ------
    Callable
        Gives the `JobContext` of a job from the words that stand before its bar.
    """
    token = jobs.CancelToken()
    with _interrupt_cancels(token), _progress() as bars:

        def context_of(name: str) -> jobs.JobContext:
            for old in bars.task_ids:
                bars.remove_task(old)
            bar = bars.add_task(name, total=None, remaining_s=None, stage="")

            def show(now: jobs.Progress) -> None:
                bars.update(
                    bar, completed=now.done, total=now.total or None, stage=now.stage, remaining_s=now.remaining_s
                )

            return jobs.JobContext(token, show)

        yield context_of


def _progress() -> Progress:
    out = console(errors=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[stage]}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total}", markup=False),
        RemainingColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )


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
