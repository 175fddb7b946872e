"""Chains: known answers, order, text and back, and sentences for what cannot be done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from preprocess_images import biased_ball, volume_of

from napari_lesion.core.errors import InputError
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext
from napari_lesion.core.parameters import parameter_fields
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.preprocess.chain import Chain, Chosen, prepare
from napari_lesion.preprocess.steps import STEPS, Step


def ramp() -> Volume:
    """HU from -1400 to 600 along x."""
    return volume_of(np.broadcast_to(np.linspace(-1400, 600, 11), (4, 5, 11)), Modality.CT)


def done(volume: Volume, *steps: str) -> np.ndarray:
    return prepare(volume, Chain.parse(steps)).array


def test_the_window_maps_its_ends_to_0_and_1() -> None:
    row = done(ramp(), "window")[0, 0]
    np.testing.assert_allclose(row[[0, 2, 9, 10]], [0, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(row[2:10], np.linspace(0, 1, 8), atol=1e-6)
    unclipped = done(ramp(), "window:low=-1000,high=0,to_low=-1,to_high=1,clip=no")[0, 0]
    np.testing.assert_allclose(unclipped, np.linspace(-1.8, 2.2, 11), atol=1e-5)


def test_normalising_gives_mean_0_and_deviation_1() -> None:
    made = done(ramp(), "normalise")
    assert made.mean() == pytest.approx(0, abs=1e-5)
    assert made.std() == pytest.approx(1, abs=1e-5)
    array = np.zeros((4, 5, 11))
    array[1:3] = np.linspace(3, 9, 11)
    made = done(volume_of(array), "normalise:nonzero=yes")
    assert (made[0] == 0).all()
    assert made[1:3].std() == pytest.approx(1, abs=1e-5)


def test_percentiles_map_to_0_and_1() -> None:
    made = done(ramp(), "percentiles:lower=10,upper=90")[0, 0]
    np.testing.assert_allclose(made, np.clip(np.linspace(-0.125, 1.125, 11), 0, 1), atol=1e-5)


def test_the_order_of_the_steps_matters_and_is_kept() -> None:
    one = Chain.parse(["window:low=-1000,high=0", "percentiles:lower=0,upper=50,clip=no"])
    other = Chain(one.chosen[::-1])
    assert one.text == "window:high=0 percentiles:lower=0,upper=50,clip=no"
    assert [item["step"] for item in other.as_list()] == ["percentiles", "window"]
    assert not np.allclose(prepare(ramp(), one).array, prepare(ramp(), other).array)


def test_the_original_is_not_changed_and_the_copy_says_what_it_is() -> None:
    volume = ramp()
    before = volume.array.copy()
    made = prepare(volume, Chain.parse(["median", "window"]))
    np.testing.assert_array_equal(volume.array, before)
    assert made.source.notes == ("Prepared: median window",)
    assert made.modality is Modality.UNKNOWN
    assert made.grid == volume.grid
    assert prepare(volume, Chain.parse(["median"])).modality is Modality.CT


def test_values_that_are_not_finite_become_the_smallest() -> None:
    array = np.full((4, 5, 6), 7.0)
    array[0, 0, 0], array[1, 1, 1] = np.nan, -3.0
    made = done(volume_of(array), "window:low=-3,high=7")
    assert np.isfinite(made).all()
    assert made[0, 0, 0] == 0


def _parameters(step: Step) -> st.SearchStrategy[object]:
    """Any allowed parameters of a step."""
    values = {}
    for item in parameter_fields(step.parameters):
        param = item.param
        if item.type is bool:
            values[item.name] = st.booleans()
        elif param.choices:
            values[item.name] = st.sampled_from(param.choices)
        elif item.type is int:
            values[item.name] = st.integers(int(param.low or 0), int(param.high or 0))
        else:
            values[item.name] = st.floats(param.low, param.high).map(lambda v: float(f"{v:.6g}"))
    return st.fixed_dictionaries(values)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_chain_is_read_back_from_its_text(data: st.DataObject) -> None:
    chosen = []
    for name in data.draw(st.lists(st.sampled_from(list(STEPS)), max_size=4)):
        try:
            chosen.append(Chosen.of(name, **data.draw(_parameters(STEPS[name]))))  # type: ignore[arg-type]
        except ValueError:  # a window that is upside down, or a number that was rounded out of its range
            continue
    chain = Chain(tuple(chosen))
    assert Chain.parse_line(chain.text) == chain


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n5", "There is no step 'n5'. The steps are window,"),
        ("clahe:limit=3", "'limit=3' means nothing to the step clahe. It takes clip_limit, regions"),
        ("clahe:clip_limit=much", "clip_limit takes a number, not 'much'"),
        ("clahe:clip_limit=3", "clip_limit must be at most 1.0"),
        ("n4:levels=2.5", "levels takes a whole number"),
        ("window:low=5,high=1", "low must be below high"),
        ("window:clip=perhaps", "clip takes yes or no"),
        ("resample:interpolation=sinc", "interpolation must be one of linear, nearest, cubic"),
    ],
)
def test_a_step_that_makes_no_sense_is_told_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        Chain.parse([text])
    assert said.lower() in error.value.message.lower()


@pytest.mark.parametrize(
    ("step", "modality", "said"),
    [
        ("n4", Modality.CT, "The step n4 is made for MR. This image is CT"),
        ("lungs", Modality.MR, "The step lungs is made for CT"),
        ("lungs", Modality.CT, "The lungs were not found"),
        ("brain", Modality.MR, "The brain was not found"),
        ("resample:spacing_mm=0.1", Modality.MR, "The image would be too large"),
    ],
)
def test_a_step_that_does_not_suit_the_image_is_told_in_a_sentence(step: str, modality: Modality, said: str) -> None:
    shape = (60, 60, 60) if step.startswith("resample") else (12, 30, 30)
    array = (
        np.broadcast_to(np.float32(0), shape) if step.startswith("resample") else np.arange(10800.0).reshape(shape)
    )
    volume = Volume(array, volume_of(np.zeros(shape, dtype=np.int8)).grid, modality)
    with pytest.raises(InputError) as error:
        prepare(volume, Chain.parse([step]))
    assert said in error.value.message


def test_n4_refuses_what_was_normalised_before() -> None:
    with pytest.raises(InputError, match="without negative values"):
        prepare(biased_ball()[0], Chain.parse(["normalise", "n4"]))


@pytest.mark.parametrize("step", ["n4", "curvature:iterations=50", "nlm"])
def test_a_slow_step_can_be_cancelled_on_the_way(step: str) -> None:
    token, seen = CancelToken(), []

    def report(progress: object) -> None:
        seen.append(progress)
        if len(seen) == 4:
            token.cancel()

    with pytest.raises(JobCancelled):
        prepare(biased_ball()[0], Chain.parse([step]), JobContext(token, report))
    assert len(seen) == 4
