from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_tiny import ball

from napari_lesion.training.cases import Case
from napari_lesion.training.scenes import IGNORE, LESION, Scene
from napari_lesion.training.scoring import marks_of, score_scene, summarise

SHAPE = (40, 40, 40)


def scene_of(label: np.ndarray, kind: str = "cube", n_readers: int = 4) -> Scene:
    case = Case(kind, "LIDC-IDRI-0002", kind, Path("image"), n_readers=n_readers)
    points = np.zeros((0, 3), dtype=np.int64)
    return Scene(case, np.zeros(SHAPE, np.float16), label, np.ones(SHAPE, dtype=bool), points, points)


@pytest.fixture
def label() -> np.ndarray:
    return np.where(ball(SHAPE, (10, 10, 10), 5), LESION, 0).astype(np.uint8)


def test_a_perfect_mark(label: np.ndarray) -> None:
    score = score_scene(scene_of(label), (label == LESION).astype(np.float32), 0.5)
    assert (score.dice, score.found, score.other_marks) == (1.0, True, 0)


def test_dice_of_a_half_is_two_thirds(label: np.ndarray) -> None:
    probability = (label == LESION).astype(np.float32)
    voxels = np.argwhere(label == LESION)
    probability[tuple(voxels[: len(voxels) // 2].T)] = 0
    kept = len(voxels) - len(voxels) // 2
    score = score_scene(scene_of(label), probability, 0.5)
    assert score.dice == pytest.approx(2 * kept / (kept + len(voxels)))


def test_a_missed_nodule_counts_zero(label: np.ndarray) -> None:
    score = score_scene(scene_of(label), np.zeros(SHAPE, np.float32), 0.5)
    assert (score.dice, score.found) == (0.0, False)


def test_a_mark_that_barely_touches_is_no_hit(label: np.ndarray) -> None:
    probability = ball(SHAPE, (10, 10, 20), 6).astype(np.float32)
    score = score_scene(scene_of(label), probability, 0.5)
    assert (score.dice, score.found, score.other_marks) == (0.0, False, 0)


def test_other_marks_are_those_off_lesion_and_doubt(label: np.ndarray) -> None:
    label[ball(SHAPE, (30, 30, 30), 2)] = IGNORE
    probability = np.zeros(SHAPE, np.float32)
    for center in ((30, 30, 30), (30, 10, 10), (10, 30, 30)):
        probability[ball(SHAPE, center, 3)] = 0.8
    probability[30, 30, 5] = 0.9  # too small to count
    assert score_scene(scene_of(label), probability, 0.5).other_marks == 2
    assert score_scene(scene_of(label), probability, 0.85).other_marks == 0


def test_marks_that_meet_at_a_corner_are_one() -> None:
    probability = np.zeros((4, 4, 4), np.float32)
    probability[:2, :2, :2] = probability[2:, 2:, 2:] = 1
    assert marks_of(probability, 0.5, 1).max() == 1


def test_summary_counts_nodules_of_three_readers_only(label: np.ndarray) -> None:
    perfect, nothing = (label == LESION).astype(np.float32), np.zeros(SHAPE, np.float32)
    scenes = [
        scene_of(label),
        scene_of(label, n_readers=3),
        scene_of(label, n_readers=2),
        scene_of(0 * label, "scan"),
    ]
    maps = [perfect, nothing, nothing, perfect]
    summary = summarise(scenes, [score_scene(s, p, 0.5) for s, p in zip(scenes, maps, strict=True)])
    assert (summary.n_nodules, summary.dice, summary.sensitivity) == (2, 0.5, 0.5)
    assert (summary.marks_per_cube, summary.marks_per_scan) == (0.0, 1.0)
