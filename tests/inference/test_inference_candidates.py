"""Probability to lesions: against a plain implementation, and in the stated order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Status
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.inference.candidates import find_candidates


def _map(array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> ProbabilityMap:
    z, y, x = array.shape
    return ProbabilityMap.from_dense(array.astype(np.uint8), Grid((x, y, z), spacing))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    sigma=st.sampled_from([1.0, 3.0]),
    threshold=st.sampled_from([0.1, 0.3, 0.5, 0.9]),
    smallest=st.sampled_from([0.0, 5.0, 60.0]),
)
def test_agrees_with_labelling_the_whole_array(seed: int, sigma: float, threshold: float, smallest: float) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((70, 131, 66)), sigma)
    noise[:, 60:70] *= seed % 2
    stored = np.rint(250 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)
    labels, lesions = find_candidates(_map(stored, (0.5, 1.0, 2.0)), threshold, smallest)
    plain, count = ndimage.label(stored >= threshold * 250, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(plain.ravel(), minlength=count + 1)
    kept = [label for label in range(1, count + 1) if sizes[label] * 1.0 >= smallest]
    assert len(lesions) == len(kept)
    np.testing.assert_array_equal(labels.array > 0, np.isin(plain, kept))
    pairs = {(int(a), int(b)) for a, b in zip(labels.array[labels.array > 0], plain[labels.array > 0], strict=True)}
    assert len(pairs) == len(kept)
    order = [(lesions[n].probability, int((labels.array == n).sum())) for n in lesions]
    assert list(lesions) == list(range(1, len(kept) + 1))
    assert order == sorted(order, reverse=True)
    peaks = ndimage.maximum(stored, labels.array, list(lesions)) if lesions else []
    np.testing.assert_allclose([lesion.probability for lesion in lesions.values()], np.asarray(peaks) / 250)


def test_a_lesion_across_block_borders_is_one() -> None:
    stored = np.zeros((130, 130, 130), np.uint8)
    stored[60:70, 60:70, 60:70] = 200
    stored[127:129, 2:4, 2:4] = 240
    labels, lesions = find_candidates(_map(stored), 0.5)
    assert {n: lesion.probability for n, lesion in lesions.items()} == {1: 0.96, 2: 0.8}
    assert np.bincount(labels.array.ravel())[1:].tolist() == [8, 1000]
    assert labels.array.dtype == np.uint16
    assert all(lesion.status is Status.MODEL for lesion in lesions.values())


def test_a_lesion_inside_the_box_of_another_counts_once() -> None:
    stored = np.zeros((200, 200, 200), np.uint8)
    stored[10:12, 10:190, 10:12] = 200
    stored[10:190, 188:190, 10:12] = 200
    stored[150:152, 20:22, 10:12] = 200
    labels, lesions = find_candidates(_map(stored), 0.5)
    assert len(lesions) == 2
    assert np.bincount(labels.array.ravel())[1:].tolist() == [180 * 4 + 178 * 4, 8]


def test_corners_connect() -> None:
    stored = np.zeros((64, 64, 66), np.uint8)
    for i in range(60, 64):
        stored[i, i, i] = 250
    assert len(find_candidates(_map(stored), 1.0)[1]) == 1


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_an_empty_map_has_no_lesions(threshold: float) -> None:
    labels, lesions = find_candidates(_map(np.zeros((9, 9, 9))), threshold)
    assert not lesions
    assert not labels.array.any()


def test_threshold_is_inclusive_and_small_ones_go() -> None:
    stored = np.zeros((20, 20, 20), np.uint8)
    stored[2:5, 2:5, 2:5] = 125
    stored[10, 10, 10] = 125
    probability = _map(stored)
    assert len(find_candidates(probability, 0.5)[1]) == 2
    assert len(find_candidates(probability, 0.504)[1]) == 0
    assert len(find_candidates(probability, 0.5, min_volume_mm3=27.0)[1]) == 1
