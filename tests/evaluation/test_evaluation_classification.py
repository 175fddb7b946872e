"""Figures of a classifier against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lesion.core.errors import InputError
from napari_lesion.evaluation.bootstrap import bootstrap
from napari_lesion.evaluation.classification import (
    adaptive_calibration_error,
    auc_gain,
    balanced_accuracy,
    binary_figures,
    confusion,
    expected_calibration_error,
    reliability,
    roc_auc,
)

TRUTH = [1, 1, 1, 0, 0, 0, 0, 1]
CHANCE = [0.9, 0.8, 0.3, 0.6, 0.2, 0.1, 0.4, 0.55]


def test_figures_at_a_threshold() -> None:
    figures = binary_figures(TRUTH, CHANCE)
    # decided 1: 0.9, 0.8, 0.6, 0.55 -> tp 3, fp 1, fn 1, tn 3
    assert (figures.n, figures.positives) == (8, 4)
    assert figures.accuracy == 6 / 8
    assert figures.precision == 3 / 4
    assert figures.recall == 3 / 4
    assert figures.specificity == 3 / 4
    assert figures.f1 == 3 / 4
    # pairs in order: 0.9 and 0.8 beat 4 each, 0.55 beats 3, 0.3 beats 2: 13 of 16
    assert figures.auc == pytest.approx(13 / 16)


def test_a_figure_without_denominator_is_not_a_number() -> None:
    figures = binary_figures([0, 0], [0.1, 0.2])
    assert figures.accuracy == 1
    assert np.isnan([figures.precision, figures.recall, figures.f1, figures.auc]).all()


def test_auc_counts_a_tie_as_half() -> None:
    assert roc_auc([0, 1], [0.5, 0.5]) == 0.5
    assert roc_auc([0, 0, 1], [1, 3, 2]) == 0.5


def test_auc_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(7)
    truth, score = random.integers(0, 2, 300), random.integers(0, 20, 300)
    assert roc_auc(truth, score) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)


def test_confusion_and_balanced_accuracy() -> None:
    truth, decided = [0, 0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, 2, 2]
    assert confusion(truth, decided, 3).tolist() == [[3, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert balanced_accuracy(truth, decided, 3) == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert balanced_accuracy([2, 2], [2, 1], 3) == 0.5  # classes that do not occur do not count


def test_calibration_error_by_hand() -> None:
    truth, chance = [0, 0, 0, 1, 1, 1, 1, 0], [0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9]
    # each half: predicted 0.1 or 0.9, observed 0.25 or 0.75
    assert expected_calibration_error(truth, chance) == pytest.approx(0.15)
    assert adaptive_calibration_error(truth, chance, bins=2) == pytest.approx(0.15)
    bars = [bar for bar in reliability(truth, chance) if bar.count]
    assert [(bar.count, bar.observed) for bar in bars] == [(4, 0.25), (4, 0.75)]


def test_probability_one_is_in_the_last_bin() -> None:
    assert reliability([1], [1.0])[-1].count == 1


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=60))
def test_bins_hold_every_lesion_and_the_error_is_a_share(pairs: list[tuple[int, float]]) -> None:
    truth, chance = zip(*pairs, strict=True)
    assert sum(bar.count for bar in reliability(truth, chance)) == len(pairs)
    assert 0 <= expected_calibration_error(truth, chance) <= 1
    assert 0 <= adaptive_calibration_error(truth, chance) <= 1


def test_bootstrap_draws_patients_and_not_lesions() -> None:
    random = np.random.default_rng(1)
    means = random.normal(size=30)
    patients = [f"p{k // 10}" for k in range(300)]
    values = np.repeat(means, 10)  # ten equal lesions a patient
    wide = bootstrap(lambda x: float(np.mean(x)), patients, values, resamples=4000)
    assert wide.value == pytest.approx(means.mean())
    expected = 1.96 * means.std() / np.sqrt(len(means))
    assert (wide.high - wide.low) / 2 == pytest.approx(expected, rel=0.15)


def test_bootstrap_is_the_same_again_and_pairs_scores() -> None:
    random = np.random.default_rng(3)
    truth = random.integers(0, 2, 200)
    good, noise = truth + random.normal(size=200), random.normal(size=200)
    patients = [str(k // 2) for k in range(200)]
    first = bootstrap(auc_gain, patients, truth, good, noise, resamples=200)
    assert first == bootstrap(auc_gain, patients, truth, good, noise, resamples=200)
    assert first.low > 0
    assert bootstrap(auc_gain, patients, truth, good, good, resamples=50) == (
        bootstrap(auc_gain, patients, truth, noise, noise, resamples=50)
    )


@pytest.mark.parametrize(
    ("truth", "chance"),
    [([0, 2], [0.1, 0.2]), ([0, 1], [0.1, 1.2]), ([0, 1], [0.1]), ([], []), ([0.5, 1], [0.1, 0.2])],
)
def test_values_out_of_range_are_refused(truth: list[float], chance: list[float]) -> None:
    with pytest.raises(InputError):
        binary_figures(truth, chance)


def test_decisions_of_another_length_are_refused() -> None:
    with pytest.raises(InputError):
        confusion([0, 1], [0], 2)
    with pytest.raises(InputError):
        bootstrap(roc_auc, ["a"], [0, 1], [0.1, 0.2])
