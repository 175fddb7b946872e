"""Presenters without Qt: views are mocks, jobs run at once or when the test says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from held_runner import HeldRunner

from napari_lesion.core.errors import InputError, SkewedGridError
from napari_lesion.core.findings import Check, Finding, Level
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.table import Column, LesionTable
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.gui.preferences import Preferences
from napari_lesion.gui.presenters import detect as detect_module
from napari_lesion.gui.presenters import export as export_module
from napari_lesion.gui.presenters import study as study_module
from napari_lesion.gui.presenters.axes import AxesPanel, AxesPresenter, AxesView, axis_lines
from napari_lesion.gui.presenters.detect import Beforehand, DetectPresenter, DetectView
from napari_lesion.gui.presenters.export import ExportPresenter, ExportView
from napari_lesion.gui.presenters.jobs import JobListener
from napari_lesion.gui.presenters.lesions import LesionsPresenter, LesionsView
from napari_lesion.gui.presenters.planes import PlanesPresenter, PlanesView, plane_images
from napari_lesion.gui.presenters.queue import DetectionQueue
from napari_lesion.gui.presenters.rows import make_rows, shown_columns
from napari_lesion.gui.presenters.study import Memory, StudyPresenter, StudyView, summarise
from napari_lesion.gui.presenters.viewing import ViewerPresenter, ViewerView, look_at
from napari_lesion.gui.reader_offer import PATTERNS, ReaderOffer
from napari_lesion.gui.recent import RecentStudies
from napari_lesion.gui.session import Session
from napari_lesion.gui.windows import LUNG, SOFT_TISSUE
from napari_lesion.workflow.channels import Images
from napari_lesion.workflow.detect import DetectParameters
from napari_lesion.workflow.export import ExportResult
from napari_lesion.workflow.measure import StudyMeasurement
from napari_lesion.workflow.study import Study

GRID = Grid(size=(12, 10, 8), spacing=(0.5, 0.5, 2.0), origin=(-3.0, 4.0, 100.0))
AT_ONCE = Beforehand(lambda _model, then: then(), lambda *_: Images())
GREEN = Check((Finding(Level.GREEN, "slices", "8 slices"),))


def make_study(labels: Sequence[int] = (1, 2)) -> Study:
    volume = Volume(np.zeros(GRID.shape, np.int16), GRID, Modality.CT, Source(case="case", modality_stated=True))
    study = Study.of(volume, GREEN)
    names = ("label", "status", "probability", "review", "volume_mm3", "long_axis_mm", "short_axis_mm", "flags")
    columns = tuple(Column(name, definition=f"What {name} means.") for name in names)
    for label in labels:
        study.lesions[label] = Lesion(label, probability=1 - label / 10)
        study.table = study.table.updated(LesionTable(columns, {label: {"volume_mm3": 1000.0 * label, "flags": ""}}))
    return study


def opened(study: Study) -> Session:
    session = Session()
    session.open(study)
    return session


# -- session ---------------------------------------------------------------------------------------------------------


def test_session_selects_only_what_is_there() -> None:
    session = opened(make_study())
    heard: list[tuple[int, bool]] = []
    session.selection_changed.connect(lambda label, reveal: heard.append((label, reveal)))
    session.select(2)
    session.select(2, reveal=False)
    session.select(9)
    assert heard == [(2, True), (0, False)]


def test_review_is_taken_back_by_the_same_key() -> None:
    session = opened(make_study())
    session.review(1, Review.ACCEPTED)
    assert session.study is not None
    assert session.study.lesions[1].review == Review.ACCEPTED
    session.review(1, Review.ACCEPTED)
    assert session.study.lesions[1].review == Review.NONE
    session.review(1, Review.REJECTED)
    assert session.study.lesions[1].review == Review.REJECTED


def test_selection_is_lost_with_its_lesion() -> None:
    study = make_study()
    session = opened(study)
    session.select(2)
    del study.lesions[2]
    session.edited([2])
    assert session.selected == 0


def test_baseline_is_the_last_row_before_an_edit() -> None:
    study = make_study()
    session = opened(study)
    study.lesions[1] = replace(study.lesions[1], status=Status.EDITED)
    study.table = study.table.updated(LesionTable(study.table.columns, {1: {"volume_mm3": 1100.0}}))
    session.measured()
    assert session.baseline(1)["volume_mm3"] == 1000.0
    rows = make_rows(study.table, study.lesions.values(), shown_columns(study.table), session.baseline)
    volume = next(cell for cell in rows[0].cells if cell.text.startswith("1,100"))
    assert "+10 % against the model's mask of 1,000 mm³" in volume.tip


# -- study -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def study_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    view, viewer, session, runner = (
        MagicMock(spec=StudyView),
        MagicMock(spec=ViewerPresenter),
        Session(),
        HeldRunner(),
    )
    view.confirm_discard.return_value = False
    offer = MagicMock(spec=ReaderOffer)
    offer.due = False
    presenter = StudyPresenter(session, runner, viewer, view, Memory(RecentStudies(tmp_path), offer))
    return presenter, view, session, runner, offer


def series(selector: str) -> Any:
    made = MagicMock()
    made.selector = selector
    return made


def test_one_series_opens_at_once(study_desk: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    presenter, view, session, runner, offer = study_desk
    asked: list[Any] = []
    monkeypatch.setattr(study_module, "list_series", lambda _path, _ctx: [series("1.2")])
    monkeypatch.setattr(study_module, "open_study", lambda request, _ctx: asked.append(request) or make_study(()))
    offer.due = True
    path = tmp_path / "scan.nrrd"
    path.touch()
    presenter.open_path(path)
    runner.run()
    runner.run()
    view.choose_series.assert_not_called()
    assert asked[0].series_uid == "1.2"
    assert session.study is not None
    view.show_study.assert_called_once()
    assert RecentStudies(tmp_path).paths() == [path]
    assert "Shall files" in view.show_reader_offer.call_args.args[0]
    presenter.answer_reader_offer(True)
    offer.answer.assert_called_once_with(True)


def test_several_series_are_offered(study_desk: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    presenter, view, session, runner, _ = study_desk
    found = [series("a"), series("b")]
    asked: list[Any] = []
    monkeypatch.setattr(study_module, "list_series", lambda _path, _ctx: found)
    monkeypatch.setattr(study_module, "open_study", lambda request, _ctx: asked.append(request) or make_study(()))
    view.choose_series.return_value = None
    presenter.open_path(tmp_path)
    runner.run()
    assert not runner.busy
    assert session.study is None
    view.choose_series.return_value = found[1]
    presenter.open_path(tmp_path)
    runner.run()
    runner.run()
    assert asked[0].series_uid == "b"


def test_a_study_with_work_is_not_left_unasked(study_desk: Any, tmp_path: Path) -> None:
    presenter, view, session, runner, _ = study_desk
    study = make_study()
    session.open(study)
    presenter.open_path(tmp_path)
    view.confirm_discard.assert_called_once()
    assert not runner.busy
    view.confirm_discard.return_value = True
    presenter.open_path(tmp_path)
    assert runner.busy


def test_a_running_export_is_not_cut_short(study_desk: Any, tmp_path: Path) -> None:
    presenter, view, _, runner, _ = study_desk
    runner.start("Export", lambda _ctx: None, JobListener(print, print))
    presenter.open_path(tmp_path)
    assert runner.titles == ["Export"]
    assert "Export is still running" in view.show_error.call_args.args[0].message


@pytest.mark.parametrize("agreed", [True, False])
def test_a_skewed_grid_is_offered_the_resampling(
    study_desk: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, agreed: bool
) -> None:
    presenter, view, session, runner, _ = study_desk
    asked: list[Any] = []

    def open_it(request: Any, _ctx: Any) -> Study:
        asked.append(request.resample_sheared)
        if not request.resample_sheared:
            raise SkewedGridError("The voxels lie on no rectangular grid", "the gantry was tilted")
        return make_study(())

    monkeypatch.setattr(study_module, "list_series", lambda _path, _ctx: [series("1.2")])
    monkeypatch.setattr(study_module, "open_study", open_it)
    view.confirm_resampling.return_value = agreed
    presenter.open_path(tmp_path)
    runner.run()
    runner.run()
    view.confirm_resampling.assert_called_once()
    if agreed:
        runner.run()
    assert asked == [False, True][: 1 + agreed]
    assert (session.study is not None) == agreed


def test_what_cannot_be_opened_leaves_the_study_before(study_desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    presenter, view, session, runner, _ = study_desk
    before = make_study(())
    session.open(before)

    def fail(_path: Path, _ctx: Any) -> list[Any]:
        raise InputError("The folder is empty")

    monkeypatch.setattr(study_module, "list_series", fail)
    presenter.open_path(Path("folder"))
    runner.run()
    assert session.study is before
    assert view.show_error.call_args.args[0].message == "The folder is empty."


def test_summary_names_plane_size_and_spacing() -> None:
    coronal = Grid((5, 6, 7), (1.0, 2.0, 3.0), direction=(1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0))
    volume = Volume(np.zeros(coronal.shape, np.int16), coronal, Modality.MR, Source(case="knee"))
    assert summarise(volume).facts == "MR, coronal, 5 × 6 × 7, 1.00 × 2.00 × 3.00 mm"


# -- detect ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def detect_desk(monkeypatch: pytest.MonkeyPatch) -> Any:
    view, runner, quick = MagicMock(spec=DetectView), HeldRunner(), HeldRunner()
    view.parameters.return_value = DetectParameters()
    model = MagicMock()
    model.organ = "lung"
    monkeypatch.setattr(detect_module, "list_models", lambda: [model])
    session = Session()
    queue = DetectionQueue(runner, detect_module.run_detection)
    presenter = DetectPresenter(session, HeldRunner(), quick, view, queue, AT_ONCE)
    presenter.start()
    return presenter, view, session, runner, quick


def test_detect_without_a_study_says_what_to_do(detect_desk: Any) -> None:
    presenter, view, _, runner, _ = detect_desk
    presenter.detect()
    assert view.show_error.call_args.args[0].message == "No study is open. Open a study first."
    assert not runner.busy


def test_fit_check_follows_study_and_model(detect_desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    presenter, view, session, _, quick = detect_desk
    fits: list[Any] = []
    monkeypatch.setattr(detect_module, "check_fit", lambda volume, *_: fits.append(volume) or "fit")
    session.open(make_study())
    session.open(make_study())
    quick.run()
    assert len(fits) == 1
    view.show_fit.assert_called_with("fit")
    presenter.choose_model(0)
    assert quick.busy


def test_a_result_goes_to_the_study_that_it_was_asked_for(detect_desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    presenter, _, session, runner, _ = detect_desk
    monkeypatch.setattr(detect_module, "request_for", lambda *_: "request")
    monkeypatch.setattr(detect_module, "detect_lesions", lambda *_: "detection")
    installed: list[Any] = []
    monkeypatch.setattr(detect_module, "install_detection", lambda *args: installed.append(args))
    first = make_study()
    session.open(first)
    presenter.detect()
    session.open(make_study())
    runner.run()
    assert installed == [(first, "detection")]


def test_no_model_is_an_error_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    view = MagicMock(spec=DetectView)

    def none() -> list[Any]:
        raise InputError("No model is installed", todo="Install napari-lesion again")

    monkeypatch.setattr(detect_module, "list_models", none)
    queue = DetectionQueue(HeldRunner(), detect_module.run_detection)
    DetectPresenter(Session(), HeldRunner(), HeldRunner(), view, queue, AT_ONCE).start()
    assert "Install" in view.show_error.call_args.args[0].message


# -- lesions ---------------------------------------------------------------------------------------------------------


def lesions_desk(study: Study) -> tuple[LesionsPresenter, Any, Session]:
    view, session = MagicMock(spec=LesionsView), Session()
    view.shown_labels.return_value = [2, 1, 3]
    presenter = LesionsPresenter(session, view)
    session.open(study)
    return presenter, view, session


def test_walk_follows_the_order_on_the_screen_and_goes_round() -> None:
    presenter, _, session = lesions_desk(make_study((1, 2, 3)))
    walked = []
    for direction in (1, 1, 1, 1, -1):
        presenter.step(direction)
        walked.append(session.selected)
    assert walked == [2, 1, 3, 2, 3]


def test_click_beside_a_lesion_keeps_the_selection() -> None:
    presenter, _, session = lesions_desk(make_study())
    presenter.clicked_in_image(2)
    presenter.clicked_in_image(0)
    assert session.selected == 2


def test_counts_in_words() -> None:
    presenter, view, session = lesions_desk(make_study((1, 2, 3)))
    session.review(1, Review.ACCEPTED)
    session.review(2, Review.REJECTED)
    assert view.show_counts.call_args.args == ("3 lesions, 1 accepted, 1 rejected",)
    presenter.copy()
    assert view.copy_text.call_args.args[0].splitlines()[1].split("\t")[0] == "2"
    assert view.show_counts.call_args.args == ("All lesions copied for a spreadsheet",)


def test_flags_mark_the_volume_and_say_why() -> None:
    study = make_study((1,))
    rows = {1: {"volume_mm3": 12345.0, "flags": "touches_border;contrast_unknown"}}
    table = study.table.updated(LesionTable(study.table.columns, rows))
    columns = shown_columns(table)
    cells = make_rows(table, study.lesions.values(), columns, lambda _: {})[0].cells
    by_name = {column.name: cell for column, cell in zip(columns, cells, strict=True)}
    volume, flags = by_name["volume_mm3"], by_name["flags"]
    assert (volume.text, volume.marked, volume.greyed) == ("12,345.0", True, False)
    assert "Touches border: a voxel lies on the border of the image" in volume.tip
    assert (flags.text, flags.lighter) == ("⚑", "touches border, contrast unknown")
    assert "header does not say whether contrast was given" in flags.tip
    assert columns[-1].name == "flags"


def test_undefined_values_are_dashes_and_sort_last() -> None:
    study = make_study((1,))
    study.lesions[1] = Lesion(1, Status.MANUAL)
    table = LesionTable(study.table.columns, {1: {"volume_mm3": float("nan")}})
    cells = make_rows(table, study.lesions.values(), shown_columns(table), lambda _: {})[0].cells
    assert [cell.text for cell in cells[1:4]] == ["–", "–", "–"]
    assert {cell.sort[0] for cell in cells[1:4]} == {1}


# -- viewer ----------------------------------------------------------------------------------------------------------


def row_with_axes() -> dict[str, Any]:
    first, second = GRID.to_physical((3, 2, 2)), GRID.to_physical((3, 2, 8))
    row: dict[str, Any] = {"long_axis_mm": 3.0}
    for name, point in (("p1", first), ("p2", second)):
        row.update({f"long_axis_{name}_{axis}_mm": float(v) for axis, v in zip("lps", point, strict=True)})
    return row


def test_axes_come_back_to_native_indices() -> None:
    (line,) = axis_lines(row_with_axes(), GRID)
    np.testing.assert_allclose(line.ends, [[3, 2, 2], [3, 2, 8]], atol=1e-9)
    assert line.words == "long 3.0 mm"
    assert look_at(row_with_axes(), GRID) == pytest.approx((3, 2, 5))
    assert look_at({"inner_point_k": 1, "inner_point_j": 2, "inner_point_i": 3}, GRID) == (1, 2, 3)
    assert look_at({"centroid_k": float("nan")}, GRID) is None


def test_viewer_follows_the_selection() -> None:
    study = make_study((1,))
    study.table = LesionTable(study.table.columns, {1: row_with_axes()})
    view, session = MagicMock(spec=ViewerView), Session()
    axes, panel, act = MagicMock(spec=AxesView), MagicMock(spec=AxesPanel), MagicMock()
    presenter = ViewerPresenter(session, view, Preferences())
    drawing = AxesPresenter(session, axes, panel, act)
    session.open(study)
    session.select(1)
    view.go_to.assert_called_once()
    view.select.assert_called_with(1)
    assert len(axes.draw_axes.call_args.args[0]) == 1
    panel.show_manual_axes.assert_called_with("")
    session.select(0, reveal=False)
    assert axes.draw_axes.call_args.args[0] == []
    drawing.reset()
    act.assert_not_called()
    presenter.toggle_outline()
    assert view.set_style.call_args.args[0].outline is False


def test_planes_show_the_lesion_around_the_cross(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study((1,))
    study.labels.array[2:6, 3:7, 4:8] = 1
    sagittal, coronal = plane_images(study, 1, (4, 5, 6), LUNG, side_mm=100.0)
    assert sagittal.grey.shape == (8, 10)
    assert coronal.grey.shape == (8, 12)
    assert sagittal.spacing_mm == (2.0, 0.5)
    assert sagittal.cross == (3, 5)  # the display runs from the head down, the array upwards
    assert coronal.cross == (3, 6)
    assert sagittal.outline.sum() == coronal.outline.sum() == 12
    assert sagittal.outline[2:6, 3:7].sum() == 12
    assert set(np.unique(sagittal.grey)) == {229}
    small, _ = plane_images(study, 1, (4, 5, 6), LUNG, side_mm=4.0)
    assert small.grey.shape == (3, 9)
    assert small.cross == (1, 4)


def test_planes_follow_selection_and_window() -> None:
    study = make_study((1,))
    study.table = LesionTable(study.table.columns, {1: row_with_axes()})
    session, view = Session(), MagicMock(spec=PlanesView)
    viewer = ViewerPresenter(session, MagicMock(spec=ViewerView), Preferences())
    presenter = PlanesPresenter(session, viewer, view)
    session.open(study)
    viewer.show(study, LUNG)
    session.select(1)
    assert len(view.show_planes.call_args.args[0]) == 2
    calls = view.show_planes.call_count
    viewer.set_window(SOFT_TISSUE)
    assert view.show_planes.call_count == calls + 1
    session.select(0)
    assert view.show_planes.call_args.args[0] == []
    presenter.show()


# -- export ----------------------------------------------------------------------------------------------------------


def export_desk(study: Study) -> tuple[ExportPresenter, Any, HeldRunner]:
    view, runner, session = MagicMock(spec=ExportView), HeldRunner(), Session()
    presenter = ExportPresenter(session, runner, view)
    session.open(study)
    return presenter, view, runner


def test_export_tells_that_files_were_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    study = make_study()

    def write(request: Any, _ctx: JobContext) -> ExportResult:
        measured = StudyMeasurement(request.study.table, None, request.study.revision)
        return ExportResult(request.folder, (), 2, 2, measured)

    monkeypatch.setattr(export_module, "export_study", write)
    presenter, view, runner = export_desk(study)
    view.choose_folder.return_value = None
    presenter.export()
    assert not runner.busy
    view.choose_folder.return_value = tmp_path
    presenter.export()
    runner.run()
    assert "2 of 2 lesions on their place" in view.show_state.call_args.args[0]
    study.touched()
    presenter.show()
    assert view.show_state.call_args.args[0] == "Changed since the last export"


def test_export_while_something_runs_is_refused(tmp_path: Path) -> None:
    presenter, view, runner = export_desk(make_study())
    runner.start("Detection", lambda _ctx: None, JobListener(print, print))
    presenter.export_to(tmp_path)
    assert "Detection is still running" in view.show_error.call_args.args[0].message


# -- memory ----------------------------------------------------------------------------------------------------------


def test_recent_studies_newest_first_and_only_what_exists(tmp_path: Path) -> None:
    recent = RecentStudies(tmp_path / "state")
    paths = [tmp_path / f"{i}.nrrd" for i in range(10)]
    for path in paths:
        path.touch()
        recent.add(path)
    recent.add(paths[5])
    paths[9].unlink()
    assert recent.paths()[:2] == [paths[5], paths[8]]
    assert len(recent.paths()) <= 8
    (tmp_path / "state" / "recent.json").write_text("{broken")
    assert recent.paths() == []


def test_reader_offer_is_made_once_and_keeps_the_users_preference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari import settings

    kept = MagicMock()
    kept.plugins.extension2reader = {"*.nrrd": "another"}
    monkeypatch.setattr(settings, "get_settings", lambda: kept)
    offer = ReaderOffer(tmp_path)
    assert offer.due
    offer.answer(True)
    assert kept.plugins.extension2reader == {**dict.fromkeys(PATTERNS, "napari-lesion"), "*.nrrd": "another"}
    assert not offer.due
    assert not ReaderOffer(tmp_path).due
