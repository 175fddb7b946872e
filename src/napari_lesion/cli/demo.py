"""``napari-lesion demo``: the viewer on a sample study, in a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.cli.console import command
from napari_lesion.core.errors import LesionError
from napari_lesion.workflow.display import has_display, on_virtual_display


@command
def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="Open no window: leave table, mask and screenshot in a folder.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for table, mask and screenshot.", show_default=False)
    ] = None,
    sample: Annotated[
        str | None, typer.Option(metavar="NAME", help="Sample study to open.", show_default=False)
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option("--input", metavar="PATH", help="Study of your own to open instead.", show_default=False),
    ] = None,
) -> None:
    """Open the viewer on a sample study and detect.

    Without a display, or with --headless, it does the same on a virtual one, and leaves lesions.csv, the mask and a
    screenshot in a folder that it names.
    """
    _require_viewer()
    virtual = not has_display() or (headless and platform.system() == "Linux")
    arguments = [sys.executable, "-m", "napari_lesion.demo"]
    if headless or virtual:
        arguments.append("--headless")
    for option, value in (("--out", out), ("--sample", sample), ("--input", study)):
        if value is not None:
            arguments += [option, str(value)]
    code = subprocess.call(on_virtual_display(arguments) if virtual else arguments)
    if code:
        raise typer.Exit(code)


def _require_viewer() -> None:
    for name in ("napari", "qtpy"):
        if find_spec(name) is None:
            raise LesionError(
                "The demonstration cannot start", f"{name} is not installed", 'Type: pip install "napari-lesion[gui]"'
            )
