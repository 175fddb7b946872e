"""Change between two time points: known answers, symmetries, and where nothing is said."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_lesion.core.errors import LesionError
from napari_lesion.measure.change import (
    GrowthCategory,
    Interval,
    Verdict,
    VolumeBar,
    doubling_time_days,
    doubling_time_interval,
    growth_category,
    log_ratio_interval,
    percent_change,
    percent_interval,
    protocol_mismatch,
    verdict,
)
from napari_lesion.measure.recist import Response, Target, check_targets, follow_targets, target_response

NAN = math.nan
CHANGED, NOISE = Verdict.CHANGED, Verdict.WITHIN_NOISE
volumes = st.floats(1.0, 1e5)
sds = st.floats(0.0, 0.4)


def bar(volume: float, sd: float) -> VolumeBar:
    """A volume whose boundary-shift scenario amounts to this relative SD."""
    return VolumeBar(volume, volume * (1 - 2 * sd), volume * (1 + 2 * sd))


@pytest.mark.parametrize(
    ("earlier", "later", "days", "expected"),
    [
        (100.0, 200.0, 100.0, 100.0),
        (100.0, 400.0, 100.0, 50.0),
        (200.0, 100.0, 100.0, -100.0),
        (100.0, 125.0, 90.0, 90 * math.log(2) / math.log(1.25)),
        (4 / 3 * math.pi * 4**3, 4 / 3 * math.pi * 5**3, 365.0, 365 * math.log(2) / (3 * math.log(5 / 4))),
        (100.0, 105.0, 100.0, 100 * math.log(2) / math.log(1.05)),
        (100.0, 104.9, 100.0, NAN),
        (100.0, 95.1, 100.0, NAN),
        (100.0, 100.0, 100.0, NAN),
        (100.0, 200.0, 0.5, NAN),
        (100.0, 200.0, NAN, NAN),
        (0.0, 200.0, 100.0, NAN),
        (100.0, 0.0, 100.0, NAN),
        (NAN, 200.0, 100.0, NAN),
        (-5.0, 200.0, 100.0, NAN),
    ],
)
def test_doubling_time(earlier: float, later: float, days: float, expected: float) -> None:
    assert doubling_time_days(earlier, later, days) == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_the_interval_of_nietert_by_hand() -> None:
    """V 1000 to 2000 mm³ in 100 days, e 0.1 and 0.05: ln 2 ± 1.96·0.111803 = 0.693147 ± 0.219131."""
    earlier, later = bar(1000.0, 0.1), bar(2000.0, 0.05)
    assert earlier.relative_sd == pytest.approx(0.1)
    logs = log_ratio_interval(earlier, later)
    assert (logs.low, logs.high) == pytest.approx((0.474016, 0.912278), abs=1e-5)
    percents = percent_interval(logs)
    assert (percents.low, percents.high) == pytest.approx((60.643, 148.999), abs=1e-2)
    days = doubling_time_interval(earlier, later, 100.0)
    assert (days.low, days.high) == pytest.approx((75.9798, 146.229), abs=1e-2)
    assert verdict(logs) is CHANGED


def test_an_open_interval_has_its_bounded_end_on_the_side_of_the_estimate() -> None:
    grown = doubling_time_interval(bar(100.0, 0.2), bar(130.0, 0.2), 100.0)
    assert 0 < grown.low < doubling_time_days(100.0, 130.0, 100.0)
    assert math.isnan(grown.high)
    shrunk = doubling_time_interval(bar(130.0, 0.2), bar(100.0, 0.2), 100.0)
    assert math.isnan(shrunk.low)
    assert doubling_time_days(130.0, 100.0, 100.0) < shrunk.high < 0
    for nothing in (
        doubling_time_interval(bar(100.0, 0.0), bar(102.0, 0.0), 100.0),
        doubling_time_interval(bar(100.0, 0.1), bar(200.0, 0.1), 0.0),
        doubling_time_interval(bar(100.0, NAN), bar(200.0, 0.1), 100.0),
    ):
        assert math.isnan(nothing.low)
        assert math.isnan(nothing.high)


@given(earlier=volumes, later=volumes, one=sds, two=sds, days=st.floats(1.0, 5000.0))
def test_looking_back_turns_the_sign(earlier: float, later: float, one: float, two: float, days: float) -> None:
    first, second = bar(earlier, one), bar(later, two)
    there, back = log_ratio_interval(first, second), log_ratio_interval(second, first)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), rel=1e-9, abs=1e-9)
    assert verdict(there) == verdict(back)
    forward, backward = doubling_time_days(earlier, later, days), doubling_time_days(later, earlier, days)
    if not (math.isnan(forward) or math.isnan(backward)):  # 5 % up is less than 5 % down
        assert forward == pytest.approx(-backward, rel=1e-9)
        ahead, behind = doubling_time_interval(first, second, days), doubling_time_interval(second, first, days)
        assert (ahead.low, ahead.high) == pytest.approx((-behind.high, -behind.low), rel=1e-9, nan_ok=True)


@given(earlier=volumes, later=volumes, one=sds, two=sds, scale=st.floats(1e-3, 1e3))
def test_the_unit_does_not_matter(earlier: float, later: float, one: float, two: float, scale: float) -> None:
    plain = log_ratio_interval(bar(earlier, one), bar(later, two))
    scaled = log_ratio_interval(bar(earlier * scale, one), bar(later * scale, two))
    assert (plain.low, plain.high) == pytest.approx((scaled.low, scaled.high), rel=1e-9, abs=1e-9)
    assert percent_change(earlier * scale, later * scale) == pytest.approx(percent_change(earlier, later), rel=1e-9)


@given(earlier=volumes, later=volumes, sd=sds, days=st.floats(1.0, 5000.0))
def test_the_estimate_lies_in_its_interval(earlier: float, later: float, sd: float, days: float) -> None:
    estimate = doubling_time_days(earlier, later, days)
    assume(not math.isnan(estimate))
    found = doubling_time_interval(bar(earlier, sd), bar(later, sd), days)
    assert math.isnan(found.low) or found.low <= estimate * (1 + math.copysign(1e-9, estimate))
    assert math.isnan(found.high) or found.high >= estimate * (1 - math.copysign(1e-9, estimate))
    assert found.known == log_ratio_interval(bar(earlier, sd), bar(later, sd)).excludes_zero


@given(earlier=volumes, later=volumes, days=st.floats(1.0, 5000.0))
def test_twice_the_time_doubles_the_doubling_time(earlier: float, later: float, days: float) -> None:
    once, twice = doubling_time_days(earlier, later, days), doubling_time_days(earlier, later, 2 * days)
    assert twice == pytest.approx(2 * once, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("change", "changed", "mismatch", "expected"),
    [
        (25.0, CHANGED, False, GrowthCategory.GROWING),
        (24.9, CHANGED, False, GrowthCategory.STABLE),
        (-25.0, CHANGED, False, GrowthCategory.SHRINKING),
        (-24.9, CHANGED, False, GrowthCategory.STABLE),
        (60.0, NOISE, False, GrowthCategory.UNCERTAIN),
        (-60.0, NOISE, False, GrowthCategory.UNCERTAIN),
        (10.0, NOISE, False, GrowthCategory.STABLE),
        (50.0, CHANGED, True, GrowthCategory.UNCERTAIN),
        (3.0, NOISE, True, GrowthCategory.UNCERTAIN),
        (50.1, CHANGED, True, GrowthCategory.GROWING),
        (-50.1, CHANGED, True, GrowthCategory.SHRINKING),
        (60.0, NOISE, True, GrowthCategory.UNCERTAIN),
        (60.0, None, False, None),
        (NAN, CHANGED, False, None),
    ],
)
def test_growth_category(
    change: float, changed: Verdict | None, mismatch: bool, expected: GrowthCategory | None
) -> None:
    assert growth_category(change, changed, mismatch=mismatch) == expected


def test_verdict_and_protocol() -> None:
    assert verdict(Interval(-0.1, 0.2)) is NOISE
    assert verdict(Interval(0.0, 0.2)) is NOISE
    assert verdict(Interval(-0.2, -0.1)) is CHANGED
    assert verdict(Interval(NAN, 0.2)) is None
    assert not protocol_mismatch(1.0, 1.25)
    assert not protocol_mismatch(0.8, 1.0)
    assert protocol_mismatch(1.0, 1.26)
    assert protocol_mismatch(2.5, 1.0)
    assert not protocol_mismatch(1.0, NAN)


@pytest.mark.parametrize(
    ("now", "baseline", "nadir", "gone", "expected"),
    [
        (70.0, 100.0, 100.0, False, Response.PARTIAL),
        (70.1, 100.0, 100.0, False, Response.STABLE),
        (119.9, 100.0, 100.0, False, Response.STABLE),
        (120.0, 100.0, 100.0, False, Response.PROGRESSION),
        (24.0, 20.0, 20.0, False, Response.STABLE),  # +20 %, but 4 mm only
        (25.0, 20.0, 20.0, False, Response.PROGRESSION),
        (60.0, 100.0, 50.0, False, Response.PROGRESSION),  # -40 % of baseline, +20 % of nadir
        (9.0, 40.0, 40.0, True, Response.COMPLETE),  # normal nodes have a size
        (0.0, 40.0, 40.0, True, Response.COMPLETE),
        (4.0, 40.0, 0.0, False, Response.PARTIAL),
        (5.0, 40.0, 0.0, False, Response.PROGRESSION),
    ],
)
def test_target_response(now: float, baseline: float, nadir: float, gone: bool, expected: Response) -> None:
    assert target_response(now, baseline, nadir, gone=gone) is expected


def test_targets_are_followed_from_baseline_and_nadir() -> None:
    lesion = Target("1", (50.0, 30.0, 36.0, 0.0))
    node = Target("2", (20.0, 12.0, 18.0, 9.0), node=True)
    baseline, second, third, last = follow_targets([lesion, node])
    assert (baseline.sld_mm, baseline.response) == (70.0, None)
    assert math.isnan(baseline.change_nadir_percent)
    assert (second.sld_mm, second.response) == (42.0, Response.PARTIAL)
    assert second.change_baseline_percent == pytest.approx(-40.0)
    assert (third.sld_mm, third.response) == (54.0, Response.PROGRESSION)
    assert third.change_nadir_percent == pytest.approx(100 * 12 / 42)
    assert (last.sld_mm, last.response) == (9.0, Response.COMPLETE)


def test_a_visit_that_was_not_measured_has_no_response() -> None:
    sums = follow_targets([Target("1", (50.0, NAN, 20.0))])
    assert [found.response for found in sums] == [None, None, None]
    assert sums[2].change_baseline_percent == pytest.approx(-60.0)
    assert math.isnan(sums[2].change_nadir_percent)


@pytest.mark.parametrize(
    ("targets", "why"),
    [
        ([], "1 to 5"),
        ([Target(str(k), (20.0, 20.0)) for k in range(6)], "1 to 5"),
        ([Target(str(k), (20.0, 20.0), organ="liver") for k in range(3)], "liver"),
        ([Target("a", (9.9, 20.0))], r"9\.9 mm .* 10 mm"),
        ([Target("a", (14.9, 20.0), node=True)], "15 mm"),
        ([Target("a", (12.0, 20.0), slice_spacing_mm=7.0)], "14 mm"),
        ([Target("a", (NAN, 20.0))], "not measured"),
    ],
)
def test_targets_that_recist_does_not_allow(targets: list[Target], why: str) -> None:
    with pytest.raises(LesionError, match=why):
        check_targets(targets)


def test_targets_at_the_limits_are_allowed() -> None:
    check_targets([Target("a", (10.0, 1.0)), Target("b", (15.0, 1.0), node=True, slice_spacing_mm=5.0)])
    check_targets([Target(str(k), (20.0, 20.0), organ=("liver", "lung")[k % 2]) for k in range(4)])
