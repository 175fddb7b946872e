"""What this machine has: versions, devices, memory, models and folders, for a report or a bug."""

from __future__ import annotations

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
from napari_lesion.inference.backends.choose import chosen
from napari_lesion.inference.cache import cache_folder
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.io.records import state_folder
from napari_lesion.models.catalogue import scan_bundles, user_folder
from napari_lesion.workflow.display import has_display, start_qt
from napari_lesion.workflow.fit import available_memory_mib

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
    yield from _devices()
    yield from _viewer()
    yield from _models()
    yield from _folders()


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


def _devices() -> Iterator[Fact]:
    try:
        device, backend = chosen(EngineSettings())
    except LesionError as error:
        yield Fact("Detection runs on", error.message, Level.RED)
        return
    yield Fact("Detection runs on", f"{device}, with {backend}")
    if device == "cpu":
        yield Fact("GPU", "none that torch can use")


def _viewer() -> Iterator[Fact]:
    yield Fact("Display", "present" if has_display() else "none; a virtual one is used")
    if _version("napari"):
        started = start_qt()
        yield Fact("Qt", started.words, Level.GREEN if started.works else Level.YELLOW)


def _models() -> Iterator[Fact]:
    catalogue = scan_bundles()
    for model in catalogue.bundles:
        yield Fact("Model", f"{model.name} {model.version}: {model.title}")
    for path, error in catalogue.problems:
        yield Fact("Model", f"{path}: {error.message}", Level.YELLOW)
    if not catalogue.bundles:
        yield Fact("Models", "none is installed", Level.RED)


def _folders() -> Iterator[Fact]:
    for name, folder in (
        ("Autosaves and keys", state_folder()),
        ("Cache", cache_folder()),
        ("Temporary files", Path(tempfile.gettempdir())),
    ):
        yield _folder(name, folder)
    yield Fact("Your own models", str(user_folder()))


def _folder(name: str, folder: Path) -> Fact:
    """Whether files can be written to a folder, or to the one above it that is already there."""
    present = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=present):
            free = shutil.disk_usage(present).free / 2**30
    except OSError as error:
        return Fact(name, f"{folder} cannot be written: {error.strerror}", Level.RED)
    return Fact(name, f"{folder}, {free:.1f} GiB free", Level.GREEN if free > 1 else Level.YELLOW)
