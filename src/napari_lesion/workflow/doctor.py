"""What this machine has: versions, devices, memory, models and folders, for a report or a bug."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from napari_lesion import __version__
from napari_lesion.core.errors import LesionError
from napari_lesion.core.findings import Level
from napari_lesion.workflow.fit import available_memory_mib
from napari_lesion.workflow.models import list_models

REQUIRED = (
    "torch",
    "monai",
    "SimpleITK",
    "nibabel",
    "pydicom",
    "openvino",
    "scikit-image",
    "connected-components-3d",
    "edt",
)
VIEWER = ("napari", "PySide6", "PyQt6", "PyQt5")
WANTED_MEMORY_MIB = 4096.0


@dataclass(frozen=True)
class Fact:
    """One line of the report: a name, what was found, and how good that is."""

    name: str
    value: str
    level: Level = Level.GREEN


def examine() -> Iterator[Fact]:
    """Look at this machine; each fact is yielded as soon as it is known."""
    yield Fact("napari-lesion", __version__)
    yield Fact("Python", f"{platform.python_version()} on {platform.platform()}")
    yield from _libraries()
    yield from _machine()
    yield from _gpu()
    yield _display()
    yield from _models()
    yield _writable()


def _libraries() -> Iterator[Fact]:
    for name in REQUIRED:
        version = _version(name)
        yield Fact(name, version or "missing", Level.GREEN if version else Level.RED)
    found = [f"{name} {version}" for name in VIEWER if (version := _version(name))]
    hint = 'not installed: the command line works, the viewer needs pip install "napari-lesion[gui]"'
    yield Fact("Viewer", ", ".join(found) or hint, Level.GREEN if len(found) > 1 else Level.YELLOW)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _machine() -> Iterator[Fact]:
    yield Fact("Processors", str(os.cpu_count() or "unknown"))
    free = available_memory_mib()
    if free is not None:
        enough = free >= WANTED_MEMORY_MIB
        yield Fact("Free memory", f"{free / 1024:.1f} GiB", Level.GREEN if enough else Level.YELLOW)


def _gpu() -> Iterator[Fact]:
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    if torch.cuda.is_available():
        yield Fact("GPU", torch.cuda.get_device_name(0))
    else:
        yield Fact("GPU", "none that torch can use; detection runs on the CPU")


def _display() -> Fact:
    if platform.system() != "Linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return Fact("Display", "present")
    if shutil.which("xvfb-run"):
        return Fact("Display", "none; xvfb-run can give a virtual one")
    return Fact("Display", "none, and no xvfb-run for a virtual one: the viewer cannot open", Level.YELLOW)


def _models() -> Iterator[Fact]:
    try:
        models = list_models()
    except LesionError as error:
        yield Fact("Models", error.message, Level.RED)
        return
    for model in models:
        yield Fact("Model", f"{model.name} {model.version}: {model.title}")
    if not models:
        yield Fact("Models", "none is installed", Level.RED)


def _writable() -> Fact:
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free / 2**30
    return Fact("Temporary folder", f"{folder}, {free:.1f} GiB free", Level.GREEN if free > 1 else Level.YELLOW)
