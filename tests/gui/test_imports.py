"""Opening the dock in a fresh process imports nothing heavy: no network library, no reader."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from napari_lesion.workflow.display import has_display, on_virtual_display

NEVER = ("torch", "monai", "SimpleITK", "openvino", "nibabel", "pydicom")
HEAVY = (*NEVER, "sklearn", "skimage", "pandas")
"""napari's own viewer may bring some of these."""
OPEN_DOCK = f"""
import json, sys
import napari
viewer = napari.Viewer(show=False)
before = set(sys.modules) - set({NEVER!r})
dock, widget = viewer.window.add_plugin_dock_widget("napari-lesion")
assert widget.isWidgetType()
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules and name not in before]))
viewer.close()
"""


def imported_by(program: str) -> list[str]:
    command = [sys.executable, "-c", program]
    if not has_display():
        command = on_virtual_display(command)
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    listed: list[str] = json.loads(done.stdout.splitlines()[-1])
    return listed


@pytest.mark.gui
def test_opening_the_dock_imports_nothing_heavy() -> None:
    assert imported_by(OPEN_DOCK) == []


def test_naming_the_contributions_imports_nothing_heavy() -> None:
    program = (
        "import json, sys; import napari_lesion.gui.contributions;"
        f"print(json.dumps([n for n in {(*HEAVY, 'qtpy', 'napari')!r} if n in sys.modules]))"
    )
    assert imported_by(program) == []
