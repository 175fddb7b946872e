"""What every command shares: where text goes, how progress is shown, and how errors and Ctrl-C end a command."""

from __future__ import annotations

import functools
import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import ParamSpec

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from napari_lesion.core import jobs
from napari_lesion.core.errors import LesionError

P = ParamSpec("P")

EXIT_CANCELLED = 130
"""Shell convention: 128 plus the number of SIGINT."""


def out() -> Console:
    """Console for results (standard output)."""
    return Console()


def err() -> Console:
    """Console for progress, warnings and errors (standard error)."""
    return Console(stderr=True)


def say(text: str) -> None:
    """Print one line of results; never wrapped, brackets in file names are no markup."""
    out().print(text, markup=False, highlight=False, soft_wrap=True)


def say_json(value: object) -> None:
    """Print JSON to standard output."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def lesions(count: int) -> str:
    """A number of lesions in words."""
    return f"{count} lesion" if count == 1 else f"{count} lesions"


def show_table(columns: list[str], rows: list[list[str]]) -> None:
    """Print a table of plain text; folded to the width of a terminal, as wide as it needs to be in a pipe."""
    console = out()
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if not console.is_terminal:
        console.width = max(console.width, console.measure(table).maximum)
    console.print(table)


def warn(text: str) -> None:
    """Print one line to standard error."""
    err().print(text, markup=False, highlight=False, soft_wrap=True)


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Make a function a command: a `LesionError` is one sentence and exit code 2, a cancel is exit code 130."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except LesionError as error:
            warn(f"Error: {error.message}")
            raise typer.Exit(error.exit_code) from None
        except (jobs.JobCancelled, KeyboardInterrupt):
            warn("Cancelled.")
            raise typer.Exit(EXIT_CANCELLED) from None

    return run


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
    return Progress(
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[stage]}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total}", markup=False),
        RemainingColumn(),
        console=err(),
        transient=True,
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
