"""A mark as a whole: what it is judged by, and what its probability does to the map."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_lesion.core.probability import SCALE
from napari_lesion.inference.marks import features_of, find_marks, probability_of_mark, scored
from napari_lesion.models.bundle import MARK_FEATURES, Intensity, MarkScore

SPACING = (1.0, 1.0, 1.0)
HU = Intensity(-1000, 400)
ROUND = MarkScore(0.5, 10, -720.0, 0.0, dict(zip(MARK_FEATURES, (0.0, 0.0, -4.0, 3.0, 0.0), strict=True)))


def ball(radius: float, edge: int = 25) -> np.ndarray:
    places = np.indices((edge,) * 3) - edge // 2
    inside: np.ndarray = (places**2).sum(0) <= radius**2
    return inside


def test_features_of_a_ball_in_air() -> None:
    mask = ball(4)
    dense = np.where(mask, 0.8, 0.0).astype(np.float32)
    mean, volume, ratio, air, bright = features_of(mask, dense, np.where(mask, 0.7, 0.0), 0.3, SPACING)
    assert mean == pytest.approx(math.log(0.8 / 0.2), rel=1e-5)
    assert volume == pytest.approx(math.log(mask.sum()))
    assert ratio == pytest.approx(0, abs=1e-9)
    assert air == 1
    assert bright == pytest.approx(0.7)


def test_features_do_not_depend_on_the_spacing_of_the_same_body() -> None:
    mask = ball(6, 31)
    fine = features_of(mask, mask.astype(np.float32), mask, 0.5, (0.5, 0.5, 0.5))
    coarse_mask = ball(3)
    coarse = features_of(coarse_mask, coarse_mask.astype(np.float32), coarse_mask, 0.5, SPACING)
    np.testing.assert_allclose(fine, coarse, atol=0.1)


def test_a_rod_is_longer_than_wide() -> None:
    mask = np.zeros((9, 9, 41), dtype=bool)
    mask[3:6, 3:6, 3:38] = True
    assert features_of(mask, mask.astype(np.float32), mask, 0.5, SPACING)[2] == pytest.approx(math.log(35 / 3))


def test_a_threshold_chooses_marks_and_keeps_their_outline() -> None:
    dense = np.zeros((30, 30, 60), dtype=np.float32)
    dense[2:27, 2:27, 2:27] = np.where(ball(4), 0.95, np.where(ball(5), 0.3, 0.0))
    dense[13:16, 13:16, 30:58] = 0.95
    marks = find_marks(dense, dense, 0.2, SPACING, 0.5, 10)
    chance = [probability_of_mark(mark.features, ROUND) for mark in marks]
    assert chance[0] > 0.9 > 0.2 > chance[1]
    result = scored(dense, dense, HU, SPACING, ROUND)
    nodule = np.zeros(dense.shape, dtype=bool)
    nodule[2:27, 2:27, 2:27] = ball(4)
    np.testing.assert_array_equal(result >= 0.5, nodule)
    assert result.max() == pytest.approx(chance[0] * 0.99, rel=1e-5)
    around = result[(dense > 0) & (dense < 0.5)]
    assert (around > 0).all()
    assert (around < 0.15 * chance[0]).all()


def test_the_order_of_voxels_inside_a_mark_stays() -> None:
    rng = np.random.default_rng(1)
    dense = np.where(ball(6), 0.5 + 0.5 * rng.random((25, 25, 25)), 0).astype(np.float32)
    result = scored(dense, dense, HU, SPACING, ROUND)
    inside = ball(6)
    order = np.argsort(dense[inside])
    assert (np.diff(result[inside][order]) >= 0).all()
    assert np.unique(np.rint(result[inside] * SCALE)).size > 10


def test_small_marks_are_dropped() -> None:
    dense = np.zeros((12, 12, 12), dtype=np.float32)
    dense[5:7, 5:7, 5:7] = 0.9
    assert not scored(dense, dense, HU, SPACING, ROUND).any()
