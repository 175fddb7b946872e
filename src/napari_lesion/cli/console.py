"""What every command shares: where text goes, and how errors and Ctrl-C end a command."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec

import typer

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobCancelled

if TYPE_CHECKING:
    from rich.console import Console

P = ParamSpec("P")

EXIT_CANCELLED = 130
"""Shell convention: 128 plus the number of SIGINT."""


def console(*, errors: bool = False) -> Console:
    """Console of standard output (results), or of standard error (progress, warnings, errors)."""
    from rich.console import Console

    return Console(stderr=errors)


def say(text: str) -> None:
    """Print one line of results; never wrapped, brackets in file names are no markup."""
    console().print(text, markup=False, highlight=False, soft_wrap=True)


def say_json(value: object) -> None:
    """Print JSON to standard output."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def lesions(count: int) -> str:
    """A number of lesions in words."""
    return f"{count} lesion" if count == 1 else f"{count} lesions"


def show_table(columns: list[str], rows: list[list[str]]) -> None:
    """Print a table of plain text; folded to the width of a terminal, as wide as it needs to be in a pipe."""
    from rich.table import Table
    from rich.text import Text

    out = console()
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if not out.is_terminal:
        out.width = max(out.width, out.measure(table).maximum)
    out.print(table)


def warn(text: str) -> None:
    """Print one line to standard error."""
    console(errors=True).print(text, markup=False, highlight=False, soft_wrap=True)


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Make a function a command: a `LesionError` is one sentence and exit code 2, a cancel is exit code 130."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except LesionError as error:
            warn(f"Error: {error.message}")
            raise typer.Exit(error.exit_code) from None
        except (JobCancelled, KeyboardInterrupt):
            warn("Cancelled.")
            raise typer.Exit(EXIT_CANCELLED) from None

    return run
