"""A real viewer with the dock in it, small studies, and a network that takes no time."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_lesion.core.jobs import JobContext
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.volume import Volume

WAIT_MS = 20_000
SPACING = (0.8, 0.8, 1.25)
SIZE = (64, 56, 40)
BALLS = ((20, 28, 40), (12, 16, 18))
"""Centres (z, y, x) of the two lesions of the small study; the first one is the larger."""
RADII = (6.0, 3.5)
PROBABILITIES = (0.9, 0.6)


@pytest.fixture(scope="session", autouse=True)
def _private_preferences(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what the tests prefer out of the user's preferences."""
    from napari.settings import get_plugin_settings

    get_plugin_settings(path_dir=tmp_path_factory.mktemp("preferences"))


@pytest.fixture(scope="module", autouse=True)
def _garbage_of_this_thread() -> Iterator[None]:
    """Collect here what viewers leave behind; Python might do it in a worker, where no Qt object may end."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture(autouse=True)
def _no_preferences_left(_private_preferences: None) -> Iterator[None]:
    """Every test begins with the defaults."""
    from napari.settings import get_plugin_settings

    yield
    get_plugin_settings("napari-lesion").reset()


def ball(shape: tuple[int, int, int], centre: tuple[int, int, int], radius: float) -> np.ndarray:
    """Voxels within a radius (mm) of a centre."""
    z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
    dz, dy, dx = ((a - c) * s for a, c, s in zip((z, y, x), centre, SPACING[::-1], strict=True))
    return dz**2 + dy**2 + dx**2 <= radius**2


def chest_array() -> np.ndarray:
    """HU of the small study: lung with two solid balls."""
    rng = np.random.default_rng(4)
    array = rng.normal(-850, 20, SIZE[::-1]).astype(np.int16)
    for centre, radius in zip(BALLS, RADII, strict=True):
        array[ball(array.shape, centre, radius)] = 40
    return array


def _write_image(path: Path, array: np.ndarray, spacing: tuple[float, float, float] = SPACING) -> Path:
    """Write an axial image with identity direction."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="session")
def write_image() -> Callable[..., Path]:
    """``write_image(path, array, spacing=...)``: an axial image file; gives its path."""
    return _write_image


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    """A small CT with two balls, as NRRD."""
    return _write_image(tmp_path / "two_balls.nrrd", chest_array())


@dataclass
class FakeNetwork:
    """Takes the place of `inference.engine.predict`: finds the balls, and can be made to wait."""

    gate: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    scale: float = 1.0
    calls: int = 0
    failure: Exception | None = None

    def __call__(self, volume: Volume, _bundle: Any, _settings: Any, ctx: JobContext) -> Any:
        from napari_lesion.inference.engine import Prediction
        from napari_lesion.inference.ports import OrganMask

        self.calls += 1
        self.started.set()
        done = 0
        while not self.gate.wait(0.01):
            done += 1
            ctx.step("Searching", min(done, 100), 100)
        if self.failure is not None:
            raise self.failure
        dense = np.zeros(volume.grid.shape, dtype=np.uint8)
        for centre, radius, probability in zip(BALLS, RADII, PROBABILITIES, strict=True):
            dense[ball(dense.shape, centre, radius)] = round(250 * probability * self.scale)
        organ = OrganMask("lung", volume.grid, None, False, "The whole volume was searched")
        return Prediction(ProbabilityMap.from_dense(dense, volume.grid), organ, 1, {"windows": 0.1}, "cpu", "fake")


@pytest.fixture(scope="session")
def bundle(write_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A bundle for CT of the lung with a threshold of 0.5."""
    from napari_lesion.workflow.models import find_model

    points = [{"name": "balanced", "threshold": 0.5, "sensitivity": 0.9, "false_marks_per_scan": 1.5}]
    own = {
        "title": "Two balls, CT",
        "organ": "lung",
        "modality": "CT",
        "default_threshold": 0.5,
        "min_volume_mm3": 10.0,
        "operating_points": points,
    }
    return find_model(write_bundle(tmp_path_factory.mktemp("bundles") / "two_balls", own=own))


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, bundle: Any) -> Iterator[FakeNetwork]:
    """The fake network, open at first; its bundle is the only one that the dock offers."""
    from napari_lesion.gui.presenters import detect as presenter
    from napari_lesion.workflow import detect

    fake = FakeNetwork()
    fake.gate.set()
    monkeypatch.setattr(detect, "predict", fake)
    monkeypatch.setattr(presenter, "list_models", lambda: [bundle])
    yield fake
    fake.gate.set()


@dataclass
class Desk:
    """A viewer with the dock, and what a user does there."""

    viewer: Any
    dock: Any
    qtbot: Any

    @property
    def controller(self) -> Any:
        return self.dock.controller

    @property
    def study(self) -> Any:
        return self.controller.session.study

    def until(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    def idle(self) -> None:
        self.until(lambda: not self.controller.busy)

    def open(self, path: Path) -> None:
        self.controller.study.open_path(path)
        self.until(lambda: not self.controller.runner.busy)

    def detect(self) -> None:
        self.dock.detect.press_detect()
        self.idle()

    def labels(self) -> Any:
        return self.controller.bridge.labels_layer

    def texts(self) -> list[list[str]]:
        """Cells of the table as they stand on the screen."""
        return [[cell.text for cell in row] for row in self._cells()]

    def below(self) -> list[list[str]]:
        """What stands below the texts in the cells: status, error bars."""
        return [[cell.lighter for cell in row] for row in self._cells()]

    def _cells(self) -> list[list[Any]]:
        from napari_lesion.gui.widgets.lesion_table import CELL_ROLE

        model = self.dock.lesions.table.sorted
        return [
            [model.index(i, j).data(CELL_ROLE) for j in range(model.columnCount())] for i in range(model.rowCount())
        ]


@pytest.fixture
def desk(make_napari_viewer: Any, qtbot: Any, network: FakeNetwork) -> Iterator[Desk]:
    """A real viewer with the dock in it, as napari's menu opens it."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    _, dock = viewer.window.add_plugin_dock_widget("napari-lesion")
    made = Desk(viewer, dock, qtbot)
    yield made
    dock.controller.shutdown()
    del viewer, dock
    from qtpy.QtCore import QThreadPool

    assert QThreadPool.globalInstance().waitForDone(WAIT_MS)
    made.viewer = made.dock = None
    qtbot.wait(50)
