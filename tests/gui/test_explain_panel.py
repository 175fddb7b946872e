"""The panel that explains a rating: on demand, for the right lesion, with its map over the right slice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_lesion.core.errors import LesionError
from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion
from napari_lesion.core.table import LesionTable
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.gui.layers import LayerBridge
from napari_lesion.gui.presenters import explain as module
from napari_lesion.gui.presenters.explain import ExplainPresenter, ExplainView
from napari_lesion.gui.presenters.jobs import Job, JobListener
from napari_lesion.gui.session import Session
from napari_lesion.gui.windows import LUNG
from napari_lesion.workflow.explain import GRAD_CAM, Driver, Explanation, HeatMap, Neighbour
from napari_lesion.workflow.study import Study

BOX = {f"bbox_{axis}{end}": value for axis in "kji" for end, value in ((0, 2), (1, 5))}


@dataclass
class HeldRunner:
    """Runs a job when the test says so."""

    job: Job | None = None
    listener: JobListener | None = None
    abandoned: int = 0
    titles: list[str] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        return self.job is not None

    @property
    def running(self) -> str:
        return "job" if self.busy else ""

    def start(self, title: str, job: Job, listener: JobListener) -> int:
        self.job, self.listener = job, listener
        self.titles.append(title)
        return len(self.titles)

    def run(self) -> None:
        job, listener = self.job, self.listener
        assert job is not None
        assert listener is not None
        self.job = self.listener = None
        try:
            result = job(JobContext())
        except LesionError as error:
            listener.failed(error)
        else:
            listener.returned(result)

    def cancel(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        self.abandoned += 1
        self.job = self.listener = None


def study_of(*labels: int) -> Study:
    volume = Volume(np.full((8, 8, 8), -850, np.int16), Grid((8, 8, 8), (1.0, 1.0, 2.0)), Modality.CT)
    study = Study.of(volume, Check(()))
    for label in labels:
        study.labels.array[3, 3, label + 1] = label
        study.lesions[label] = Lesion(label)
    rows = {
        label: {**BOX, "malignancy_suspicious_probability": 0.7 if label < 3 else float("nan")} for label in labels
    }
    study.table = LesionTable((), rows)
    return study


def explanation(label: int) -> Explanation:
    heat = HeatMap(
        GRAD_CAM, (slice(3, 4), slice(2, 6), slice(1, 5)), np.linspace(0, 1, 16, dtype="f4").reshape(1, 4, 4)
    )
    drivers = (
        Driver("long_axis_mm", "Long axis", 12.3, "mm", 0.8),
        Driver("cnr", "Contrast", float("nan"), "", -0.25),
    )
    alike = Neighbour(np.full((48, 48), 90, np.uint8), "LIDC-IDRI-0001", (5, 4, 4), (5, 5, 3))
    return Explanation(
        label, ("A rating.",), {GRAD_CAM: heat}, 3.7, 3.0, drivers, (("size", 0.8), ("density", -0.1)), (alike,) * 5
    )


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> tuple[Session, HeldRunner, MagicMock, MagicMock, ExplainPresenter]:
    monkeypatch.setattr(module, "explain_lesion", lambda request, ctx=None: explanation(request.label))
    session, runner = Session(), HeldRunner()
    view, canvas = MagicMock(spec=ExplainView), MagicMock()
    presenter = ExplainPresenter(session, runner, view, canvas)
    presenter.start()
    return session, runner, view, canvas, presenter


def test_only_a_rated_lesion_can_be_explained(desk: Any) -> None:
    session, runner, view, _, presenter = desk
    session.open(study_of(1, 3))
    session.select(3)
    assert view.show_possible.call_args.args == (False,)
    session.select(1)
    assert view.show_possible.call_args.args == (True,)
    assert not runner.titles
    presenter.explain()
    assert runner.titles == ["Explanation of the rating"]
    presenter.explain()
    assert len(runner.titles) == 1


def test_the_map_that_is_chosen_is_shown_and_goes_with_the_selection(desk: Any) -> None:
    session, runner, view, canvas, presenter = desk
    session.open(study_of(1, 2))
    session.select(1)
    presenter.choose_map(GRAD_CAM)
    assert canvas.show_heat.call_args.args == (None,)
    presenter.explain()
    runner.run()
    assert view.show_explanation.call_args.args[0].label == 1
    assert canvas.show_heat.call_args.args[0].name == GRAD_CAM
    presenter.choose_map("")
    assert canvas.show_heat.call_args.args == (None,)
    presenter.choose_map(GRAD_CAM)
    session.select(2)
    assert canvas.show_heat.call_args.args == (None,)
    assert view.show_explanation.call_args.args == (None,)


def test_what_was_said_of_another_mask_is_taken_back(desk: Any) -> None:
    session, runner, view, _, presenter = desk
    session.open(study_of(1, 2))
    session.select(1)
    presenter.explain()
    runner.run()
    session.edited([2])
    assert view.show_explanation.call_args.args[0] is not None
    session.edited([1])
    assert view.show_explanation.call_args.args == (None,)


def test_a_late_explanation_of_another_lesion_is_dropped(desk: Any) -> None:
    session, runner, view, _, presenter = desk
    session.open(study_of(1, 2))
    session.select(1)
    presenter.explain()
    job, listener = runner.job, runner.listener
    session.select(2)
    assert runner.abandoned
    assert job is not None
    assert listener is not None
    listener.returned(job(JobContext()))
    assert view.show_explanation.call_args.args == (None,)


def test_an_error_is_shown(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session, runner, view, _, presenter = desk

    def fail(_request: Any, _ctx: Any = None) -> Explanation:
        raise LesionError("It cannot be explained", "for a reason")

    monkeypatch.setattr(module, "explain_lesion", fail)
    session.open(study_of(1))
    session.select(1)
    presenter.explain()
    runner.run()
    assert "for a reason" in str(view.show_error.call_args.args[0]).lower()
    assert view.show_running.call_args.args == ("",)


@pytest.mark.gui
def test_the_panel_says_what_it_was_told(qtbot: Any) -> None:
    from napari_lesion.gui.widgets.explain import ExplainPanel

    panel = ExplainPanel()
    qtbot.addWidget(panel)
    panel.expand(animate=False)
    panel.show()
    assert not panel.button.isEnabled()
    panel.show_possible(True)
    with qtbot.waitSignal(panel.explain_clicked):
        panel.button.click()
    panel.show_explanation(explanation(1))
    text = panel._drivers.text()
    assert text.splitlines() == [
        "Measurements alone: mean rating 3.70 of 5; typical 3.00",
        "size +0.80, density −0.10",
        "+0.80  Long axis, 12.3 mm",
        "−0.25  Contrast, undefined",
    ]
    assert panel._grid.count() == 10
    with qtbot.waitSignal(panel.map_chosen) as chosen:
        panel.maps.setCurrentIndex(1)
    assert chosen.args == [GRAD_CAM]
    panel.show_error(LesionError("It cannot be explained"))
    assert "cannot" in panel._message.text()
    panel.show_explanation(None)
    assert panel._drivers.text() == ""
    assert panel._grid.count() == 0


@pytest.mark.gui
def test_an_explanation_that_comes_later_is_not_cut_off(qtbot: Any) -> None:
    """Unfolded first, filled then, as a user does; the width is that of the dock."""
    from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

    from napari_lesion.gui.widgets.explain import ExplainPanel
    from napari_lesion.gui.widgets.scroll import DownwardScrollArea

    inside, panel = QWidget(), ExplainPanel()
    QVBoxLayout(inside).addWidget(panel)
    area = DownwardScrollArea(inside)
    qtbot.addWidget(area)
    area.resize(400, 300)
    area.show()
    panel.expand(animate=False)
    found = explanation(1)
    long = "Readers would rate it suspicious with a probability above 0.99, and it is solid. "
    panel.show_explanation(replace(found, sentences=(long,) * 3, drivers=found.drivers * 6))

    def whole() -> bool:
        labels = [label for label in panel.findChildren(QLabel) if label.isVisible() and label.wordWrap()]
        return len(labels) >= 2 and all(label.height() >= label.heightForWidth(label.width()) for label in labels)

    qtbot.waitUntil(whole)


@pytest.mark.gui
def test_a_map_lies_over_its_slice_and_goes_with_the_study(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    bridge = LayerBridge(viewer)
    study = study_of(1)
    bridge.show(study, LUNG)
    heat = explanation(1).maps[GRAD_CAM]
    bridge.show_heat(heat)
    layer = next(layer for layer in viewer.layers if layer.name.startswith(GRAD_CAM))
    assert bridge.view is not None
    for z, y, x in np.argwhere(np.ones((1, 4, 4), bool)):
        native = (z + 3, y + 2, x + 1)
        world = bridge.view.to_display(native) * np.asarray(bridge.view.spacing)
        index = tuple(np.round(layer.world_to_data(world)).astype(int))
        assert layer.data[index] == heat.array[z, y, x]
    bridge.show_heat(heat)
    assert sum(layer.name.startswith(GRAD_CAM) for layer in viewer.layers) == 1
    low, high = layer.colormap.map(np.array([0.0, 1.0]))
    assert (low[3], high[3]) == (0, 1)
    assert layer.blending == "translucent_no_depth"
    # Over white, the highest value still has a colour of its own.
    assert min(layer.opacity * high[:3] + 1 - layer.opacity) < 0.5
    bridge.clear()
    assert not len(viewer.layers)
    bridge.disconnect()
