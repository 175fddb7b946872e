"""Entry point of ``napari-lesion``."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from napari_lesion import __version__
from napari_lesion.cli.adapt import adapt
from napari_lesion.cli.compare import compare
from napari_lesion.cli.console import say
from napari_lesion.cli.demo import demo
from napari_lesion.cli.detect import detect
from napari_lesion.cli.doctor import doctor
from napari_lesion.cli.evaluate import evaluate
from napari_lesion.cli.info import info
from napari_lesion.cli.measure import measure
from napari_lesion.cli.models import models
from napari_lesion.cli.preprocess import preprocess
from napari_lesion.cli.train import train

app = typer.Typer(
    name="napari-lesion",
    help="Detect and measure lesions in CT and MR studies. Research use only, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for function in (detect, measure, compare, preprocess, evaluate, train, adapt, info, doctor, demo):
    app.command()(function)
app.add_typer(models, name="models")


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"napari-lesion {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no mm³ shows mm?, and no fault
    app()
