"""The failure gallery of a detector: which cases, by which model, and outlines where they belong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from napari_lesion.core.errors import InputError
from napari_lesion.models.bundle import MARK_FEATURES, MarkScore
from napari_lesion.training.cases import Case, list_cases
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.config import CropConfig, build_crop_network, write_record
from napari_lesion.training.detector.gallery import (
    CHART,
    LARGEST_BYTES,
    PICTURE,
    collect,
    worst_nodules,
    write_gallery,
)
from napari_lesion.training.detector.gallery_cases import scene_picture, show_nodule, show_other_marks
from napari_lesion.training.detector.look import FoldModel, fold_models
from napari_lesion.training.detector.searcher import Searcher
from napari_lesion.training.folds import load_folds
from napari_lesion.training.scenes import LESION, Scene, load_scene

pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")

RULE = MarkScore(0.3, 30, -500.0, 0.0, dict.fromkeys(MARK_FEATURES, 0.0))
"""Every mark has a probability of one half."""


class Bright(torch.nn.Module):
    """Marks what is brighter than -400 HU, 0.43 of the window."""

    def __init__(self) -> None:
        super().__init__()
        self.steepness = torch.nn.Parameter(torch.tensor(40.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.steepness * (image - 0.43)


def row(case: Case, dice: float, fold: int, **more: Any) -> dict[str, Any]:
    about = {"kind": case.kind, "n_readers": case.n_readers, "diameter_mm": 12.0, "probability": 0.5}
    return {"name": case.name, "patient_id": case.patient_id, "fold": fold, "dice": dice, **about, **more}


def figures(cases: list[dict[str, Any]], threshold: float = 0.4) -> dict[str, Any]:
    sizes = [{"from_mm": 0.0, "to_mm": None, "sensitivity": 0.5, "sensitivity_interval": {"low": 0.2, "high": 0.8}}]
    return {
        "threshold": threshold,
        "folds": [0],
        "cases": cases,
        "by_size": sizes,
        "mark_scores": {"0": asdict(RULE)},
    }


@pytest.fixture
def model() -> FoldModel:
    return FoldModel(Searcher(Bright(), 48, Intensity(), 0), 0, RULE)


@pytest.fixture
def held(tiny_data: Path) -> list[Case]:
    """The two nodules of the fold that is held out."""
    folds = load_folds()
    return [case for case in list_cases(tiny_data) if case.kind == "cube" and folds.held_out(case.patient_id, 0)]


def test_the_worst_of_three_readers_come_first_and_only_what_may_be_shown() -> None:
    def made(name: str, dice: float, **more: Any) -> dict[str, Any]:
        about = {"patient_id": "LIDC-IDRI-0001", "kind": "cube", "n_readers": 3}
        return {"name": name, "dice": dice, **about, **more}

    cases = [
        made("good", 0.9), made("missed", 0.0), made("poor", 0.3), made("two readers", 0.0, n_readers=2),
        made("scan", 0.0, kind="scan"), made("unclear licence", 0.1, patient_id="QIN-LSC-0014"),
    ]  # fmt: skip
    assert [case["name"] for case in worst_nodules({"cases": cases}, 3)] == ["missed", "poor"]
    assert [case["name"] for case in worst_nodules({"cases": cases}, 4)] == ["missed", "poor", "good"]


def test_outlines_of_a_scene_are_where_the_patient_has_them() -> None:
    """Axes to right, anterior and superior: a mark to the right and the front is at the upper left."""
    shape = (60, 60, 20)
    truth, found = np.zeros(shape, bool), np.zeros(shape, bool)
    truth[40:44, 42:48, 9:12] = True
    found[41:45, 42:48, 9:12] = True
    image = np.where(truth, 1.0, 0.0).astype(np.float16)
    case = Case("a", "LIDC-IDRI-0001", "cube", Path("a"), None)
    nothing = np.zeros((0, 3), np.int64)
    scene = Scene(case, image, truth.astype(np.uint8), np.ones(shape, bool), nothing, nothing)
    picture = scene_picture(scene, Intensity(), truth, found)
    points = np.concatenate(picture.truth_lines)
    # Of 60 mm the 40 at the left and at the top are shown; 4 mm wide, 6 mm high.
    assert [*points.min(axis=0), *points.max(axis=0)] == [16, 12, 20, 18]
    assert np.concatenate(picture.found_lines).min(axis=0).tolist() == [15, 12]
    rows, columns = np.nonzero(picture.grey == 255)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (16, 19, 12, 17)


def test_a_nodule_is_shown_with_what_the_model_draws(model: FoldModel, held: list[Case]) -> None:
    shown = show_nodule(model, held[0], row(held[0], 1.0, 0), 0.4)
    truth, found = (np.concatenate(lines) for lines in (shown.picture.truth_lines, shown.picture.found_lines))
    assert shown.picture.grey.shape == (40, 40)
    np.testing.assert_allclose(found.min(axis=0), truth.min(axis=0), atol=1)
    np.testing.assert_allclose(found.max(axis=0), truth.max(axis=0), atol=1)
    assert shown.words == "12.0 mm, Dice 1.00, p 0.50"


def test_a_missed_nodule_keeps_the_outline_below_the_threshold(model: FoldModel, held: list[Case]) -> None:
    shown = show_nodule(model, held[0], row(held[0], 0.0, 0), 0.6)
    assert shown.words == "12.0 mm, missed, p 0.50"
    assert shown.picture.found_lines


def test_figures_of_other_runs_are_refused(model: FoldModel, held: list[Case]) -> None:
    with pytest.raises(InputError, match="not what the figures say"):
        show_nodule(model, held[0], row(held[0], 0.3, 0), 0.4)


def test_a_run_shows_nobody_it_was_trained_on(tiny_data: Path, model: FoldModel) -> None:
    folds = load_folds()
    seen = next(case for case in list_cases(tiny_data) if case.kind == "cube" and folds.fold_of[case.patient_id] == 1)
    with pytest.raises(InputError, match="trained on its patient"):
        model.look(seen)


def test_other_marks_are_those_off_every_lesion(tiny_data: Path) -> None:
    scan = next(case for case in list_cases(tiny_data) if case.kind == "scan")
    fold = load_folds().fold_of[scan.patient_id]
    model = FoldModel(Searcher(Bright(), 48, Intensity(), fold), fold, RULE)
    look = model.look(scan)
    others = [mark for mark in look.marks if not mark.seen.doubtful and not mark.seen.overlap]
    assert len(show_other_marks(model, scan, 0.4, 6)) == min(6, len(others))
    assert show_other_marks(model, scan, 0.6, 6) == []
    assert not (load_scene(scan, Intensity()).label == LESION).any()


def test_the_runs_must_be_those_of_the_figures(tmp_path: Path, tiny_crops: CropConfig) -> None:
    for fold in (0, 1):
        folder = tmp_path / f"run{fold}"
        write_record(folder, tiny_crops, fold)
        (folder / "cubes").mkdir()
        torch.save(build_crop_network(tiny_crops, 3).state_dict(), folder / "cubes" / "weights.pt")
    assert fold_models([tmp_path / "run0"], figures([])).keys() == {0}
    with pytest.raises(InputError, match="not part of the figures"):
        fold_models([tmp_path / "run0", tmp_path / "run1"], figures([]))
    with pytest.raises(InputError, match="No run of fold 0"):
        fold_models([], figures([]))
    with pytest.raises(InputError, match="comes twice"):
        fold_models([tmp_path / "run0"] * 2, figures([]))


def test_everything_is_written_beside_the_card(
    tmp_path: Path, model: FoldModel, held: list[Case], tiny_data: Path
) -> None:
    scan = next(case for case in list_cases(tiny_data) if case.kind == "scan")
    rows = [row(held[1], 1.0, 0), row(held[0], 1.0, 0, probability=None), row(scan, 0.0, 0)]
    content: Mapping[str, Any] = figures(rows)
    shown = collect({0: model}, tiny_data, content)
    assert [one.case for one in shown] == [held[1].name, held[0].name]
    write_gallery(tmp_path, shown, content)
    said = json.loads((tmp_path / "gallery.json").read_text(encoding="utf-8"))
    assert [(tile["number"], tile["case"]) for tile in said["tiles"]] == [(1, held[1].name), (2, held[0].name)]
    assert [one["title"] for one in said["collections"]] == ["LIDC-IDRI"]
    assert said["not_shown"] == [scan.name]
    sizes = [Image.open(tmp_path / name).size for name in (PICTURE, CHART)]
    assert all(width <= 712 for width, _ in sizes)
    assert sum((tmp_path / name).stat().st_size for name in (PICTURE, CHART)) < LARGEST_BYTES
