"""The panel of the selected lesion: asked for when there is need, in the worker, and drawn in both themes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_lesion.core.errors import LesionError
from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.gui.presenters import selected as module
from napari_lesion.gui.presenters.jobs import Job, JobListener
from napari_lesion.gui.presenters.selected import SelectedPresenter, SelectedView
from napari_lesion.gui.session import Session
from napari_lesion.gui.widgets.plots import Scale
from napari_lesion.gui.widgets.selected import change_sentence
from napari_lesion.workflow.measure import install_measurement, measure_study, request_for
from napari_lesion.workflow.selected import Change, Selected, describe_selected
from napari_lesion.workflow.study import Study


@dataclass
class HeldRunner:
    """Runs a job when the test says so."""

    job: Job | None = None
    listener: JobListener | None = None
    started: int = 0

    @property
    def busy(self) -> bool:
        return self.job is not None

    @property
    def running(self) -> str:
        return "job" if self.busy else ""

    def start(self, _title: str, job: Job, listener: JobListener) -> int:
        self.job, self.listener = job, listener
        self.started += 1
        return self.started

    def run(self) -> None:
        job, listener = self.job, self.listener
        assert job is not None
        assert listener is not None
        self.job = self.listener = None
        listener.returned(job(JobContext()))

    def cancel(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        self.job = self.listener = None


@dataclass
class Clock:
    """Calls what is due when the test says so."""

    due: list[Callable[[], None]] = field(default_factory=list)

    def later(self, _ms: int, callback: Callable[[], None]) -> None:
        self.due.append(callback)

    def tick(self) -> None:
        due, self.due = self.due, []
        for callback in due:
            callback()


@dataclass
class Panel:
    """A presenter between a session and what takes the place of Qt."""

    presenter: SelectedPresenter
    view: Any
    session: Session
    runner: HeldRunner
    clock: Clock


def measured_study() -> Study:
    grid = Grid((24, 24, 24), (1.0, 1.0, 1.0))
    array = np.full(grid.shape, -850, np.int16)
    study = Study.of(Volume(array, grid, Modality.CT), Check())
    for label, start in ((1, 2), (2, 14)):
        box = (slice(start, start + 6),) * 3
        array[box] = 40
        study.labels.array[box] = label
        study.lesions[label] = Lesion(label, probability=0.9)
    install_measurement(study, measure_study(request_for(study)))
    return study


@pytest.fixture
def panel() -> Panel:
    view, session, runner, clock = MagicMock(spec=SelectedView), Session(), HeldRunner(), Clock()
    presenter = SelectedPresenter(session, runner, view, clock.later)
    session.open(measured_study())
    return Panel(presenter, view, session, runner, clock)


def test_a_folded_panel_computes_nothing(panel: Panel) -> None:
    panel.session.select(1)
    panel.clock.tick()
    assert panel.runner.started == 0
    panel.presenter.set_unfolded(True)
    panel.clock.tick()
    panel.runner.run()
    shown, colour = panel.view.show_selected.call_args.args
    assert shown.label == 1
    assert shown.histogram is not None
    assert colour.startswith("#")


def test_many_changes_make_one_description(panel: Panel) -> None:
    panel.presenter.set_unfolded(True)
    panel.session.select(1)
    for _ in range(5):
        panel.session.painting()
    panel.clock.tick()
    assert panel.runner.started == 1
    panel.session.painting()
    panel.clock.tick()
    assert panel.runner.started == 1
    panel.runner.run()
    assert panel.runner.started == 2
    panel.runner.run()
    assert panel.runner.started == 2


def test_a_description_of_another_lesion_is_dropped(panel: Panel) -> None:
    panel.presenter.set_unfolded(True)
    panel.session.select(1)
    panel.clock.tick()
    panel.session.select(2)
    panel.view.show_selected.reset_mock()
    panel.runner.run()
    panel.view.show_selected.assert_not_called()
    panel.clock.tick()
    panel.runner.run()
    assert panel.view.show_selected.call_args.args[0].label == 2


def test_no_lesion_and_no_study_show_nothing(panel: Panel) -> None:
    panel.presenter.set_unfolded(True)
    panel.session.select(1)
    panel.clock.tick()
    panel.session.select(0)
    assert panel.view.show_selected.call_args.args == (None, "")
    panel.session.open(None)
    assert not panel.runner.busy
    assert panel.view.show_selected.call_args.args == (None, "")


def test_after_the_end_nothing_starts(panel: Panel) -> None:
    panel.presenter.set_unfolded(True)
    panel.session.select(1)
    panel.presenter.close()
    panel.clock.tick()
    panel.session.select(2)
    panel.clock.tick()
    assert panel.runner.started == 0


def test_errors_are_shown_and_the_next_one_is_tried(panel: Panel) -> None:
    panel.presenter.set_unfolded(True)
    panel.session.select(1)
    panel.clock.tick()
    listener = panel.runner.listener
    assert listener is not None
    panel.runner.job = None
    listener.failed(LesionError("It failed"))
    panel.view.show_error.assert_called_once()
    panel.session.select(2)
    panel.clock.tick()
    assert panel.runner.busy


# -- drawing ---------------------------------------------------------------------------------------------------------


def test_scales_hold_values_and_keep_others_at_their_ends() -> None:
    linear, log = Scale(-5, 5, 0, 100), Scale(1, 100, 0, 100, log=True)
    assert [linear.at(value) for value in (-9, -5, 0, 5, 9)] == [0, 0, 50, 100, 100]
    assert [log.at(value) for value in (0, 1, 10, 100)] == pytest.approx([0, 0, 50, 100])
    assert linear.holds(5)
    assert not linear.holds(5.1)


def test_change_in_words() -> None:
    changes = (
        Change("Volume", "mm³", 0, 2408.0, 2412.9),
        Change("Long axis", "mm", 1, 18.4, 17.0),
        Change("Short axis", "mm", 1, 14.52, 14.53),
    )
    assert change_sentence(changes) == (
        "Against the model: volume 2,408 → 2,413 mm³ (+0.2 %), long axis 18.4 → 17.0 mm (−7.6 %); "
        "short axis as before"
    )
    assert change_sentence(()) == ""


@pytest.fixture
def ready(desk: Any, study_file: Path) -> Any:
    """A desk with two found lesions and the panel unfolded by its key."""
    desk.open(study_file)
    desk.detect()
    desk.controller.lesions.step(1)
    return desk


def unfold(desk: Any) -> Any:
    panel = desk.dock.selected
    panel.toggleButton().click()
    desk.until(lambda: panel.isExpanded() and panel.histogram.figure != "")
    return panel


@pytest.mark.gui
def test_panel_follows_the_selected_lesion_in_the_worker(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    on_main: list[bool] = []

    def describe(request: Any, ctx: Any) -> Selected:
        on_main.append(threading.current_thread() is threading.main_thread())
        return describe_selected(request, ctx)

    monkeypatch.setattr(module, "describe_selected", describe)
    panel = unfold(ready)
    row = ready.study.table.rows[1]
    assert panel.histogram.figure == "mean 40 HU"
    assert panel.size.figure.startswith(f"{row['mean_diameter_mm']:.1f} ±")
    assert "1 other" in panel.size.accessibleDescription()
    assert "RECIST" in panel.size.toolTip()
    assert panel.edge.figure.endswith("mm")
    ready.controller.lesions.step(1)
    other = ready.study.table.rows[2]
    ready.until(lambda: panel.size.figure.startswith(f"{other['mean_diameter_mm']:.1f} "))
    assert len(on_main) >= 2
    assert not any(on_main)


@pytest.mark.gui
def test_panel_follows_the_brush(ready: Any) -> None:
    panel = unfold(ready)
    before = ready.study.table.rows[1]["volume_mm3"]
    layer = ready.labels()
    layer.mode, layer.selected_label, layer.brush_size = "paint", 1, 7
    place = np.argwhere(np.asarray(layer.data) == 1).mean(axis=0)
    layer.paint((round(place[0]), place[1] + 8, place[2]), 1)
    ready.until(lambda: "volume" in panel._changes.text())
    assert panel._changes.text().startswith(f"Against the model: volume {before:,.0f} → ")


@pytest.mark.gui
def test_plots_are_drawn_in_both_themes(ready: Any) -> None:
    panel = unfold(ready)
    for theme in ("light", "dark"):
        ready.viewer.theme = theme
        ready.qtbot.wait(50)
        for plot in (panel.histogram, panel.edge, panel.size):
            picture = plot.grab().toImage()
            places = [(x, y) for x in range(0, picture.width(), 2) for y in range(0, picture.height(), 2)]
            colours = {picture.pixelColor(x, y).name() for x, y in places}
            assert plot.ink.name() in colours
            assert (picture.pixelColor(2, picture.height() - 2).lightness() > 127) == (theme == "light")
            assert plot.accessibleName()
            assert plot.accessibleDescription()


@pytest.mark.gui
def test_strips_make_room_and_plots_are_reached_by_the_keyboard(ready: Any) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    dock = ready.dock
    dock.planes.turn()
    assert dock.planes.isExpanded()
    panel = unfold(ready)
    assert not dock.planes.isExpanded()
    ready.viewer.window.activate()
    panel.toggleButton().setFocus()
    QTest.keyClick(panel.toggleButton(), Qt.Key.Key_Tab)
    ready.until(panel.histogram.hasFocus)
    QTest.keyClick(panel.histogram, Qt.Key.Key_Tab)
    assert panel.edge.hasFocus()
    assert panel.edge.grab().width() > 0
    dock.planes.turn()
    assert not panel.isExpanded()
