"""The demonstration: a study, one press on Detect, the first lesion, and, without a display, files and pictures.

``python -m napari_lesion.demo [--headless] [--sample NAME] [--input PATH] [--out DIR]``

It presses the same buttons as a user. It stands beside the layers: the one script that drives viewer and command line
together.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIZES = ((1920, 1080), (1280, 800))
FOLDER = "demo-output"
PATIENCE_S = 900.0
SETTLE_S = 1.0
STATE_VARIABLE = "NAPARI_LESION_STATE_DIR"


@dataclass(frozen=True)
class DemoOptions:
    """What the demonstration shows.

    Parameters
    ----------
    sample
        Name of a sample study; the first one when empty.
    input
        A study to open instead of a sample.
    out
        Folder for files and pictures of a headless run.
    headless
        Whether to leave files and end, instead of leaving the window to the user.
    """

    sample: str = ""
    input: Path | None = None
    out: Path = Path(FOLDER)
    headless: bool = False


class DemoError(Exception):
    """The demonstration came to a halt; the message is what the dock says."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; 0 when everything went as it should."""
    options = parse(arguments)
    if options.headless:
        with tempfile.TemporaryDirectory() as state:
            os.environ.setdefault(STATE_VARIABLE, state)
            return run(options)
    return run(options)


def run(options: DemoOptions) -> int:
    """Run with these options; a headless run keeps no state for later sessions."""
    import napari

    viewer = napari.Viewer(title="napari-lesion")
    try:
        dock = open_dock(viewer)
        show(dock, options)
        if not options.headless:
            napari.run()
            return 0
        files = leave_files(viewer, dock, options.out)
    except DemoError as error:
        sys.stderr.write(f"{error}\n")
        viewer.close()
        return 2
    viewer.close()
    sys.stdout.write(f"Results of the demonstration are in {options.out.resolve()}:\n")
    sys.stdout.writelines(f"  {path.name}\n" for path in files)
    return 0


def parse(arguments: Sequence[str] | None) -> DemoOptions:
    """Options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m napari_lesion.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--headless", action="store_true", help="leave table, mask and pictures in a folder, and end")
    parser.add_argument("--sample", default="", help="name of a sample study")
    parser.add_argument("--input", type=Path, help="image file or DICOM folder to open instead of a sample")
    parser.add_argument("--out", type=Path, default=Path(FOLDER), help="folder for the results")
    found = parser.parse_args(arguments)
    return DemoOptions(found.sample, found.input, found.out, found.headless)


def open_dock(viewer: Any) -> Any:
    """The dock, opened as napari's menu does."""
    from napari_lesion.gui.preferences import PLUGIN

    viewer.window.resize(*SIZES[0])
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN)
    return dock


def open_input(dock: Any, options: DemoOptions) -> None:
    """Open the study."""
    controller = dock.controller
    if options.input is not None:
        controller.study.open_path(options.input)
    else:
        controller.study.open_sample(options.sample)
    wait(lambda: not controller.busy)
    if controller.session.study is None:
        raise DemoError(dock.study.said or "No study was opened")


def show(dock: Any, options: DemoOptions) -> None:
    """Open the study, detect, and select the first lesion."""
    open_input(dock, options)
    controller = dock.controller
    dock.detect.press_detect()
    wait(lambda: not controller.busy)
    if controller.session.study.detection is None:
        raise DemoError(dock.detect.said or "The detection did not run")
    controller.lesions.step(1)
    settle()


def leave_files(viewer: Any, dock: Any, folder: Path) -> list[Path]:
    """Export the study, and save a picture of the window in both sizes."""
    controller = dock.controller
    controller.export.export_to(folder)
    wait(lambda: not controller.busy)
    if controller.session.study.unsaved:
        raise DemoError(dock.export.said or "Nothing was exported")
    pictures = []
    for width, height in reversed(SIZES):
        viewer.window.resize(width, height)
        settle()
        controller.session.select(controller.session.selected)
        settle()
        name = "screenshot.png" if (width, height) == SIZES[0] else f"screenshot-{width}x{height}.png"
        viewer.window.screenshot(str(folder / name), flash=False)
        pictures.append(folder / name)
    return [*sorted(folder.glob("*.csv")), *sorted(folder.glob("mask.*")), *sorted(folder.glob("*.json")), *pictures]


def wait(done: Callable[[], bool]) -> None:
    """Let the window live until something has happened."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > end:
            raise DemoError(f"Nothing happened for {PATIENCE_S:.0f} s")
        QApplication.processEvents()
        time.sleep(0.01)


def settle() -> None:
    """Let the window draw."""
    end = time.monotonic() + SETTLE_S
    wait(lambda: time.monotonic() > end)


if __name__ == "__main__":
    sys.exit(main())
