"""``napari-lesion demo``: the viewer on a sample study, in a process of its own."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.cli.console import command
from napari_lesion.core.errors import LesionError

SCREEN = "-screen 0 1920x1080x24"


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
) -> None:
    """Open the viewer on a sample study, detect, and show overlay and table.

    Without a display, or with --headless, it does the same on a virtual one.
    """
    _require_viewer()
    virtual = platform.system() == "Linux" and (headless or not has_display())
    arguments = [sys.executable, "-m", "napari_lesion.demo"]
    if headless or virtual:
        arguments.append("--headless")
    if out is not None:
        arguments += ["--out", str(out)]
    if sample is not None:
        arguments += ["--sample", sample]
    code = subprocess.call(_on_virtual_display(arguments) if virtual else arguments)
    if code:
        raise typer.Exit(code)


def has_display() -> bool:
    """Whether Linux has a display to open a window on."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _require_viewer() -> None:
    for name in ("napari", "qtpy"):
        if find_spec(name) is None:
            raise LesionError(
                "The demonstration cannot start", f"{name} is not installed", 'Type: pip install "napari-lesion[gui]"'
            )


def _on_virtual_display(arguments: list[str]) -> list[str]:
    if shutil.which("xvfb-run") is None:
        raise LesionError(
            "The viewer cannot open",
            "there is no display, and xvfb-run, which gives a virtual one, is not installed",
            "On Debian or Ubuntu type: sudo apt-get install -y xvfb xauth",
        )
    return ["xvfb-run", "-a", "-s", SCREEN, *arguments]
