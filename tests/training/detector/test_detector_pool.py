"""Marks of held-out cases: what is listed of them, their probability, and the figures of all folds."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.errors import InputError
from napari_lesion.training.cases import list_cases
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.mark_score import fit_mark_score, score_of
from napari_lesion.training.detector.measure import SeenCase, SeenMark, read_report, see_case
from napari_lesion.training.detector.pool import final_score, merit, pool, read_folds, score_folds
from napari_lesion.training.scenes import LESION, Scene, load_scenes

SURE = (4.0, 5.0, 0.1, 0.9, 0.7)
VESSEL = (1.0, 4.0, 1.6, 0.4, 0.8)


def mark(features: tuple[float, ...], voxels: int, overlap: int, lesion: int, seed: int = 0) -> SeenMark:
    noise = np.random.default_rng(seed).normal(0, 0.15, 5)
    shown = tuple(float(value + extra) for value, extra in zip(features, noise, strict=True))
    return SeenMark(shown, voxels, overlap, overlap / (voxels + lesion - overlap), False)


def fold(number: int, *, missed: bool = False) -> list[SeenCase]:
    """Three cubes with a nodule of 100 voxels that is outlined to 80 of 90, and a scan with two vessels."""
    nodules = [[] if missed and k == 0 else [mark(SURE, 90, 80, 100, 10 * number + k)] for k in range(3)]
    cubes = [
        SeenCase(f"c{number}{k}", f"p{number}{k}", "cube", 4, 0.75, 100, {"0.5": marks})
        for k, marks in enumerate(nodules)
    ]
    vessels = [mark(VESSEL, 60, 0, 0, 10 * number + k) for k in (5, 6)]
    return [*cubes, SeenCase(f"s{number}", f"q{number}", "scan", 0, None, 0, {"0.5": vessels})]


@pytest.fixture
def scene(tiny_data: Path) -> Scene:
    case = next(case for case in list_cases(tiny_data) if case.kind == "cube" and case.n_readers == 4)
    return load_scenes([case], Intensity())[0]


def test_a_mark_on_the_outline_is_listed_with_its_overlap(scene: Scene) -> None:
    lesion = scene.label == LESION
    seen = see_case(scene, np.where(lesion, 0.9, 0.0).astype(np.float32), Intensity(), 0.8)
    (found,) = seen.marks["0.5"]
    assert found.voxels == found.overlap == seen.lesion_voxels == lesion.sum()
    assert found.iou == 1
    assert not found.doubtful
    assert found.features[3] == pytest.approx(1, abs=0.05)


def test_the_level_decides_what_belongs_to_a_mark(scene: Scene) -> None:
    lesion = scene.label == LESION
    seen = see_case(scene, np.where(lesion, 0.4, 0.0).astype(np.float32), Intensity(), None)
    assert len(seen.marks["0.3"]) == 1
    assert seen.marks["0.5"] == []


def test_nodules_and_vessels_are_told_apart() -> None:
    rule = fit_mark_score([*fold(0), *fold(1)], 0.5)
    assert score_of(mark(SURE, 90, 80, 100), rule) > 0.8
    assert score_of(mark(VESSEL, 60, 0, 0), rule) < 0.2


def test_a_case_is_scored_by_the_other_folds() -> None:
    reports = {0: fold(0), 1: fold(1), 2: fold(2)}
    before = {case.case.name: case.scores for case in score_folds(reports, 0.5)}
    strange = [
        replace(case, marks={"0.5": [replace(m, features=VESSEL) for m in case.marks["0.5"]]}) for case in fold(0)
    ]
    after = {case.case.name: case.scores for case in score_folds({**reports, 0: strange}, 0.5)}
    rule = fit_mark_score([*fold(1), *fold(2)], 0.5)
    assert before["c00"] == tuple(score_of(m, rule) for m in fold(0)[0].marks["0.5"])
    assert after["c10"] != before["c10"]
    assert after["c00"] == tuple(score_of(m, rule) for m in strange[0].marks["0.5"])


def test_known_figures() -> None:
    figures = pool({0: fold(0), 1: fold(1, missed=True)}, 0.5, 0.5)
    assert figures["nodules"] == 6
    assert figures["dice"]["value"] == pytest.approx(5 / 6 * 160 / 190)
    assert figures["sensitivity"]["value"] == pytest.approx(5 / 6)
    assert figures["readers_dice"]["value"] == pytest.approx(0.75)
    row = next(row for row in figures["thresholds"] if row["threshold"] == 0.5)
    assert row["marks_by_scan"] == {"s0": 0, "s1": 0}
    assert figures["froc_cubes"]["cpm"] == pytest.approx(5 / 6)
    assert figures["marks"] == {"nodules": 5, "others": 4}
    assert figures["by_fold"][1]["sensitivity"] == pytest.approx(2 / 3)
    assert [row["nodules"] for row in figures["by_size"]] == [6, 0, 0, 0]
    json.dumps(figures, allow_nan=False)


def test_reports_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "fold.json"
    path.write_text(json.dumps({"fold": 3, "cases": [asdict(case) for case in fold(3)]}), encoding="utf-8")
    assert read_report(path) == (3, fold(3))
    with pytest.raises(InputError, match="twice"):
        read_folds([path, path])


def test_something_else_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "fold.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="no report"):
        read_report(path)


def test_without_other_marks_nothing_can_be_told_apart() -> None:
    with pytest.raises(InputError, match="cannot be told apart"):
        final_score({0: fold(0)[:3]}, 0.5)


def test_marks_cost_something() -> None:
    rows = [
        {"threshold": at, "dice": dice, "marks_by_scan": {"s": marks}, "marks_per_cube": 0.0}
        for at, dice, marks in ((0.2, 0.74, 20), (0.5, 0.73, 5), (0.8, 0.60, 0))
    ]
    assert merit(rows[1]) == pytest.approx(0.705)
    assert max(rows, key=merit)["threshold"] == 0.5
