"""Is there a display, and does Qt start on it? Found out in another process: this one stays without Qt."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from napari_lesion.core.errors import LesionError

SCREEN = "-screen 0 1920x1080x24"
START_QT = (
    "import qtpy; from qtpy.QtWidgets import QApplication; application = QApplication([]);"
    "print(qtpy.API_NAME, qtpy.QT_VERSION, 'on', application.platformName())"
)
PATIENCE_S = 60.0


def has_display() -> bool:
    """Whether a window can be opened; systems other than Linux always have a display."""
    return platform.system() != "Linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def on_virtual_display(arguments: Sequence[str]) -> list[str]:
    """The command that runs ``arguments`` on a display of 1920x1080 that nobody sees (Linux).

    Raises
    ------
    LesionError
        When ``xvfb-run`` is not installed.
    """
    if shutil.which("xvfb-run") is None:
        raise LesionError(
            "The viewer cannot open",
            "there is no display, and xvfb-run, which gives a virtual one, is not installed",
            "On Debian or Ubuntu type: sudo apt-get install -y xvfb xauth",
        )
    return ["xvfb-run", "-a", "-s", SCREEN, *arguments]


@dataclass(frozen=True)
class QtStart:
    """What happened when Qt was started: whether it works, and its version or its complaint."""

    works: bool
    words: str


def start_qt() -> QtStart:
    """Start Qt in another process, on a virtual display where there is no other."""
    command = [sys.executable, "-c", START_QT]
    try:
        if not has_display():
            command = on_virtual_display(command)
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except LesionError as error:
        return QtStart(False, error.message)
    except (OSError, subprocess.TimeoutExpired) as error:
        return QtStart(False, f"Qt does not start: {error}")
    if done.returncode == 0:
        return QtStart(True, done.stdout.strip().splitlines()[-1])
    complaint = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    reason = complaint[0] if complaint else f"exit code {done.returncode}"
    return QtStart(False, f"Qt does not start: {reason} (system libraries? type: make system-libraries)")
