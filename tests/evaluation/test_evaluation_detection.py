"""Known answers of lesion-wise figures and of the FROC curve."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_lesion.evaluation import bootstrap
from napari_lesion.evaluation.detection import (
    CPM_RATES,
    DetectionCounts,
    Matching,
    f1,
    froc,
    match_lesions,
    precision,
    sensitivity,
)
from napari_lesion.evaluation.segmentation import compare_masks
from napari_lesion.evaluation.summary import CaseFigures, summarise


def row(*runs: tuple[int, int, int]) -> np.ndarray:
    """Label map of one line of 60 voxels; a run is (label, first, last)."""
    line = np.zeros((1, 1, 60), dtype=np.uint16)
    for label, first, last in runs:
        line[..., first : last + 1] = label
    return line


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "RESAMPLES", 60)


TRUTH = row((1, 0, 9), (2, 20, 29), (3, 40, 49))
# mark 1 shares 5 voxels with lesion 1: IoU 5/15; mark 2 shares 1 with lesion 2: IoU 1/19 < 0.1; mark 3 is elsewhere
MARKS = row((1, 5, 14), (2, 29, 38), (3, 52, 55))
SCORES = {1: 0.9, 2: 0.8, 3: 0.4}


def case(matching: Matching, patient: str = "a", name: str = "a") -> CaseFigures:
    mask = compare_masks(TRUTH > 0, MARKS > 0, (1.0, 1.0, 1.0))
    return CaseFigures(name, patient, mask, matching, matching)


def test_what_is_found_and_what_is_false() -> None:
    matching = match_lesions(TRUTH, MARKS, SCORES, 1.0)
    assert [lesion.found for lesion in matching.lesions] == [True, False, False]
    assert [lesion.best_iou for lesion in matching.lesions] == pytest.approx([5 / 15, 1 / 19, 0.0])
    assert [lesion.dice for lesion in matching.lesions] == pytest.approx([2 * 5 / 20, 0.0, 0.0])
    assert [mark.verdict for mark in matching.marks] == ["hit", "false", "false"]
    assert matching.counts == DetectionCounts(lesions=3, found=1, hits=1, false=2)


def test_a_second_mark_on_a_found_lesion_is_a_part_of_it() -> None:
    matching = match_lesions(row((1, 0, 19)), row((1, 0, 9), (2, 19, 40)), {1: 0.5, 2: 0.6}, 1.0)
    assert [mark.verdict for mark in matching.marks] == ["hit", "part"]
    assert matching.lesions[0].dice == pytest.approx(2 * 11 / (20 + 10 + 22))
    assert matching.lesions[0].score == 0.5


def test_marks_where_nobody_knows_count_neither_way() -> None:
    ignore = row((1, 52, 53)) > 0
    matching = match_lesions(TRUTH, MARKS, SCORES, 1.0, ignore)
    assert [mark.verdict for mark in matching.marks] == ["hit", "false", "ignored"]


def test_the_bound_of_a_hit() -> None:
    # ten against one inside: IoU exactly 0.1 is no hit
    assert not match_lesions(row((1, 0, 9)), row((1, 3, 3)), {1: 1.0}, 1.0).lesions[0].found
    assert match_lesions(row((1, 0, 8)), row((1, 3, 3)), {1: 1.0}, 1.0).lesions[0].found


def test_diameter_is_that_of_the_sphere_of_equal_volume() -> None:
    matching = match_lesions(row((1, 0, 9)), row(), {}, math.pi * 1000 / 60)
    assert matching.lesions[0].diameter_mm == pytest.approx(10.0)
    assert matching.of_size(10.0, 20.0).counts.lesions == 1
    assert matching.of_size(0.0, 10.0).counts.lesions == 0


def test_shares() -> None:
    assert sensitivity([3, 1], [2, 1]) == 0.75
    assert precision([2, 1], [1, 0]) == 0.75
    assert f1([4], [3], [3], [1]) == 0.75
    assert f1([4], [2], [2], [0]) == pytest.approx(2 * 0.5 * 1.0 / 1.5)
    assert f1([4], [0], [0], [5]) == 0.0
    assert math.isnan(sensitivity([0], [0]))
    assert math.isnan(precision([0], [0]))
    assert math.isnan(f1([0], [0], [0], [3]))


def test_froc_of_two_images() -> None:
    # found 0.9, 0.7, 0.3; false 0.8, 0.5, 0.4, 0.2; three lesions in two images
    curve = froc([0.9, 0.7, 0.3], [0.8, 0.5, 0.4, 0.2], 3, 2)
    points = set(zip(curve.false_per_image, np.round(curve.sensitivity, 6).tolist(), strict=True))
    assert (2.0, 1.0) in points  # everything is marked
    assert {(1.5, 1.0), (0.5, round(2 / 3, 6)), (0.5, round(1 / 3, 6)), (0.0, round(1 / 3, 6)), (0.0, 0.0)} <= points
    assert curve.sensitivity_at[CPM_RATES.index(2.0)] == 1.0
    assert curve.sensitivity_at[CPM_RATES.index(8.0)] == 1.0
    assert curve.cpm == pytest.approx(np.mean(curve.sensitivity_at))


@pytest.mark.parametrize(
    ("found", "false", "lesions", "expected"),
    [([1.0, 1.0], [], 2, 1.0), ([], [0.5], 2, 0.0), ([1.0], [], 2, 0.5)],
)
def test_cpm_at_its_ends(found: list[float], false: list[float], lesions: int, expected: float) -> None:
    assert froc(found, false, lesions, 4).cpm == pytest.approx(expected)


def test_cpm_without_lesions_is_not_defined() -> None:
    assert math.isnan(froc([], [0.5], 0, 3).cpm)


def test_summary_counts_over_all_images() -> None:
    one = match_lesions(TRUTH, MARKS, SCORES, 1.0)
    perfect = match_lesions(TRUTH, TRUTH, {1: 1.0, 2: 1.0, 3: 1.0}, 1.0)
    summary = summarise([case(one), case(perfect, "b", "b")])
    assert summary.counts == DetectionCounts(lesions=6, found=4, hits=4, false=2)
    assert summary.figures["sensitivity"].interval.value == pytest.approx(4 / 6)
    assert summary.figures["precision"].interval.value == pytest.approx(4 / 6)
    assert summary.figures["lesion_dice"].interval.value == pytest.approx(3.5 / 6)
    assert summary.figures["false_marks_per_image"].interval.value == 1.0
    assert (summary.images, summary.patients) == (2, 2)
    # ten voxels of 1 mm³ are 2.7 mm across
    assert [group.counts.lesions for group in summary.sizes] == [6, 0, 0, 0]


def test_the_interval_is_by_patient() -> None:
    one = match_lesions(TRUTH, MARKS, SCORES, 1.0)
    perfect = match_lesions(TRUTH, TRUTH, {1: 1.0, 2: 1.0, 3: 1.0}, 1.0)
    together = summarise([case(one, "a"), case(perfect, "a")]).figures["sensitivity"].interval
    apart = summarise([case(one, "a"), case(perfect, "b")]).figures["sensitivity"].interval
    assert (together.low, together.high) == (together.value, together.value)
    assert apart.low < apart.value < apart.high
