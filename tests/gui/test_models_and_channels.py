"""Models from elsewhere in the dock: consent, adding one, and which image is which channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import zoo_shapes as zoo

from napari_lesion.core.errors import InputError, LesionError
from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.gui.presenters.channels import ChannelsPresenter, ChannelsView, Choice, OpenImages
from napari_lesion.gui.presenters.jobs import Job, JobListener
from napari_lesion.gui.presenters.models import ModelsPresenter, ModelsView
from napari_lesion.gui.session import Session
from napari_lesion.models.trusted import is_trusted
from napari_lesion.workflow.models import BundleInfo, find_model
from napari_lesion.workflow.study import Study

GRID = Grid((6, 5, 4), (1.0, 1.0, 1.0))
OTHER = Grid((3, 3, 2), (2.0, 2.0, 2.0))


class AtOnce:
    """Runs every job at once."""

    busy = False
    running = ""

    def start(self, _title: str, job: Job, listener: JobListener) -> int:
        try:
            result = job(JobContext(report=listener.progressed))
        except LesionError as error:
            listener.failed(error)
        else:
            listener.returned(result)
        return 1

    def cancel(self) -> None: ...

    def abandon(self) -> None: ...


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of models."""
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path / "installed"))
    return tmp_path / "installed"


def _brats(folder: Path) -> BundleInfo:
    return find_model(zoo.write(folder / "brats", zoo.brats(), zoo.metadata(4, 3)))


@pytest.mark.usefixtures("installed")
def test_code_is_asked_for_once_and_again_when_it_changed(tmp_path: Path) -> None:
    model, view, ran = _brats(tmp_path), MagicMock(spec=ModelsView), []
    presenter = ModelsPresenter(AtOnce(), view)
    view.confirm_code.return_value = False
    presenter.ask(model, lambda: ran.append("no"))
    consent = view.confirm_code.call_args.args[0]
    assert any("lambda" in line and "postprocessing" in line for line in consent.runs)
    assert (ran, is_trusted(model.path)) == ([], False)
    view.confirm_code.return_value = True
    presenter.ask(model, lambda: ran.append("yes"))
    presenter.ask(model, lambda: ran.append("again"))
    assert ran == ["yes", "again"]
    assert view.confirm_code.call_count == 2
    (model.path / "scripts").mkdir()
    (model.path / "scripts" / "new.py").write_text("x = 1")
    view.confirm_code.return_value = False
    presenter.ask(model, lambda: ran.append("changed"))
    assert view.confirm_code.call_args.args[0].changed == ("scripts/new.py",)
    assert ran == ["yes", "again"]


@pytest.mark.usefixtures("installed")
def test_safe_models_and_our_own_are_not_asked_for(tmp_path: Path) -> None:
    view, ran = MagicMock(spec=ModelsView), []
    presenter = ModelsPresenter(AtOnce(), view)
    safe = find_model(zoo.write(tmp_path / "spleen", zoo.spleen()))
    presenter.ask(safe, lambda: ran.append("safe"))
    presenter.ask(MagicMock(foreign=False), lambda: ran.append("own"))
    assert ran == ["safe", "own"]
    view.confirm_code.assert_not_called()


@pytest.mark.usefixtures("installed")
def test_a_refused_model_does_not_run(tmp_path: Path) -> None:
    view, ran = MagicMock(spec=ModelsView), []
    config = {**zoo.spleen(), "inferer": "$__import__('os').system('true')"}
    ModelsPresenter(AtOnce(), view).ask(find_model(zoo.write(tmp_path / "evil", config)), lambda: ran.append("evil"))
    assert ran == []
    assert "refused" in view.show_error.call_args.args[0].message


def test_a_model_is_added_after_its_sentence(tmp_path: Path, installed: Path) -> None:
    view, added = MagicMock(spec=ModelsView), []
    presenter = ModelsPresenter(AtOnce(), view)
    presenter.added.connect(added.append)
    source = zoo.write(tmp_path / "brats", zoo.brats(), zoo.metadata(4, 3))
    view.confirm_install.return_value = False
    presenter.add(source)
    report = view.confirm_install.call_args.args[0]
    assert "Class: needs trust" in report.sentences
    assert report.verdict.startswith("Can run here: no; models/model.pt is missing")
    assert (added, installed.exists()) == ([], False)
    view.confirm_install.return_value = True
    presenter.add(source)
    assert added == ["brats"]
    assert is_trusted(installed / "brats")
    assert view.confirm_install.call_args.kwargs == {"replaces": False}
    presenter.add(source)
    assert view.confirm_install.call_args.kwargs == {"replaces": True}
    assert added == ["brats", "brats"]


@pytest.mark.usefixtures("installed")
def test_nothing_is_added_from_what_is_no_bundle(tmp_path: Path) -> None:
    view = MagicMock(spec=ModelsView)
    ModelsPresenter(AtOnce(), view).add(tmp_path)
    view.confirm_install.assert_not_called()
    assert view.show_error.called


def _volume(case: str, grid: Grid = GRID) -> Volume:
    return Volume(np.zeros(grid.shape, np.int16), grid, Modality.MR, Source(case=case))


def _desk(others: list[Volume]) -> tuple[ChannelsPresenter, Any, Study]:
    view, layers, session = MagicMock(spec=ChannelsView), MagicMock(spec=OpenImages), Session()
    layers.images.return_value = [(volume.source.case, volume) for volume in others]
    view.chosen.return_value = ()
    view.resample.return_value = False
    presenter = ChannelsPresenter(session, layers, view)
    study = Study.of(_volume("p07_flair"), Check())
    session.open(study)
    return presenter, view, study


def _model(*names: str) -> Any:
    return MagicMock(channels=len(names), channel_names=names)


def test_open_images_are_offered_and_guessed() -> None:
    presenter, view, _ = _desk([_volume("p07_t1"), _volume("p07_t2", OTHER)])
    presenter.set_model(_model("T1c", "T1", "T2", "FLAIR"))
    names, choices, chosen = view.show_channels.call_args.args
    assert names == ("T1c", "T1", "T2", "FLAIR")
    assert choices == [Choice("p07_flair"), Choice("p07_t1"), Choice("p07_t2", fits=False)]
    assert chosen == [None, 1, 2, 0]


def test_images_come_in_the_order_of_the_channels() -> None:
    others = [_volume("p07_t1"), _volume("p07_t2")]
    presenter, view, study = _desk(others)
    model = _model("T1", "FLAIR", "T2")
    presenter.set_model(model)
    view.chosen.return_value = (1, 0, 2)
    assert presenter.images(study, model).volumes == (others[0], study.volume, others[1])
    assert presenter.images(study, _model("CT")).volumes == ()


def test_a_missing_image_is_named() -> None:
    presenter, view, study = _desk([])
    model = _model("T1", "FLAIR")
    presenter.set_model(model)
    view.chosen.return_value = (None, 0)
    with pytest.raises(InputError, match=r"2 images of one study.*None is chosen for T1"):
        presenter.images(study, model)


def test_another_grid_is_an_error_until_resampling_is_allowed() -> None:
    other = _volume("p07_t1", OTHER)
    presenter, view, study = _desk([other])
    model = _model("T1", "FLAIR")
    presenter.set_model(model)
    view.chosen.return_value = (1, 0)
    with pytest.raises(InputError, match="p07_t1 lies on another grid"):
        presenter.images(study, model)
    view.resample.return_value = True
    images = presenter.images(study, model)
    assert images.resample
    assert images.beside(study.volume)[0].grid == GRID


def test_a_choice_stays_when_a_layer_comes() -> None:
    others = [_volume("a"), _volume("b")]
    presenter, view, _ = _desk(others)
    presenter.set_model(_model("x", "y"))
    view.chosen.return_value = (2, 0)
    presenter.show()
    assert view.show_channels.call_args.args[2] == [2, 0]


def test_models_of_one_image_ask_nothing() -> None:
    presenter, view, _ = _desk([_volume("a")])
    presenter.set_model(_model("CT"))
    view.show_channels.assert_called_with((), (), ())
