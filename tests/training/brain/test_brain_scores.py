"""Known answers of the figures, and of the baseline's choice of a threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_lesion.training.brain.anatomy import Anatomy
from napari_lesion.training.brain.baseline import robust_z, sweep_baseline
from napari_lesion.training.brain.cases import list_visits
from napari_lesion.training.brain.scores import VisitScore, best_threshold, merit, nested, score_visit, summary


def _case() -> tuple[np.ndarray, np.ndarray]:
    """Truth: 27, 27 and 8 voxels. Marks: one on the first (18 of 27), one false (12), one tiny false (1)."""
    lesion = np.zeros((20, 20, 20), dtype=bool)
    lesion[2:5, 2:5, 2:5] = lesion[10:13, 10:13, 10:13] = lesion[16:18, 16:18, 16:18] = True
    marked = np.zeros_like(lesion)
    marked[2:4, 2:5, 2:5] = True
    marked[2:5, 15:17, 2:4] = True
    marked[19, 0, 0] = True
    return marked, lesion


def test_known_answers() -> None:
    marked, lesion = _case()
    score = score_visit(("v", "p"), 0.5, marked, lesion, 1.0, 10.0)
    assert (score.lesions, score.found, score.marks, score.false_marks) == (2, 1, 2, 1)
    assert score.dice == pytest.approx(2 * 18 / (30 + 62))
    assert score.sensitivity == score.precision == score.f1 == 0.5
    assert (score.true_ml, score.marked_ml) == pytest.approx((0.062, 0.030))


def test_a_mark_on_a_tiny_lesion_is_not_false() -> None:
    _, lesion = _case()
    marked = np.zeros_like(lesion)
    marked[15:18, 16:18, 16:18] = True
    score = score_visit(("v", "p"), 0.5, marked, lesion, 1.0, 10.0)
    assert (score.found, score.marks, score.false_marks) == (0, 1, 0)


def test_voxels_count_by_their_volume() -> None:
    marked, lesion = _case()
    score = score_visit(("v", "p"), 0.5, marked, lesion, 8.0, 10.0)
    assert (score.lesions, score.marks) == (3, 2)


def _score(patient: str, threshold: float, dice: float) -> VisitScore:
    return VisitScore(patient, patient, threshold, dice, 1, 1, 1, 0, 1.0, 1.0)


def test_the_mean_is_over_patients() -> None:
    rows = summary([_score("a", 1, 0.2), _score("a", 1, 0.4), _score("b", 1, 0.9)])
    assert rows["dice"] == {"mean": 0.6, "low": 0.3, "high": 0.9}
    assert (rows["patients"], rows["visits"]) == (2, 3)


def test_the_threshold_is_that_of_the_others() -> None:
    table = {
        1.0: [_score("a", 1.0, 0.9), _score("b", 1.0, 0.1), _score("c", 1.0, 0.2)],
        2.0: [_score("a", 2.0, 0.3), _score("b", 2.0, 0.5), _score("c", 2.0, 0.6)],
    }
    assert merit(table[1.0]) == pytest.approx((0.4 + 1) / 2)
    assert best_threshold(table) == 2.0
    chosen = {score.patient: score.threshold for score in nested(table)}
    assert chosen == {"a": 2.0, "b": 1.0, "c": 1.0}


def test_plaques_stand_out_by_their_robust_z(brain_data: Path, template: Anatomy) -> None:
    visit = list_visits(brain_data)[0]
    z, lesion = robust_z(visit, template)
    assert np.median(z[lesion > 0]) > 5
    table = sweep_baseline([visit], template, 10.0)
    assert table[4.0][0].dice > 0.7
