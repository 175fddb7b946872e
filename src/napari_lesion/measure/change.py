"""Change of one lesion between two time points: growth, doubling times, and whether it exceeds the noise.

Pure functions; index 1 or ``earlier`` is the first time point. A value that is undefined is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

NAN = math.nan
Z_95 = 1.959963984540054
SMALLEST_CHANGE_PERCENT = 5.0
"""Below this change a doubling time says nothing: it runs off to infinity."""
SHORTEST_DAYS = 1.0
GROWTH_PERCENT = 25.0
"""Callister 2015 (BTS), Horeweg 2014 (NELSON): less is no significant growth."""
MISMATCH_RATIO = 1.25
SURE_PERCENT = 50.0
"""Change that counts although the protocols differ."""
ROUND_OFF = 1e-9


class GrowthCategory(StrEnum):
    """What became of a lesion."""

    NEW = "new"
    RESOLVED = "resolved"
    GROWING = "growing"
    SHRINKING = "shrinking"
    STABLE = "stable"
    UNCERTAIN = "uncertain"


class Verdict(StrEnum):
    """Whether the volume changed by more than its uncertainty."""

    CHANGED = "changed"
    WITHIN_NOISE = "within noise"


@dataclass(frozen=True)
class Interval:
    """A range of values.

    Parameters
    ----------
    low, high
        Ends; NaN for one that is not known.
    """

    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether both ends are."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside."""
        return self.known and (self.low > 0 or self.high < 0)


UNKNOWN = Interval(NAN, NAN)


@dataclass(frozen=True)
class VolumeBar:
    """A volume with the boundary-shift scenario around it, mm³.

    Parameters
    ----------
    volume
        ``volume_mm3``.
    low, high
        ``volume_low_mm3`` and ``volume_high_mm3``: the boundary a quarter voxel further in and out.
    """

    volume: float
    low: float
    high: float

    @property
    def relative_sd(self) -> float:
        """(high - low)/(4·volume): the scenario taken as ± 2 SD of the logarithm of the volume; NaN without a volume.

        The calibrated bar of the digitisation (``volume_err_mm3``) is not used: it says where the grid happened to
        lie, and nothing of where a reader, another threshold or another kernel puts the boundary, which is what
        differs between two visits. With it nearly every lesion drawn twice would have changed.
        """
        return (self.high - self.low) / (4.0 * self.volume) if _positive(self.volume) else NAN


def percent_change(earlier: float, later: float) -> float:
    """100·(later - earlier)/earlier, %; NaN unless the earlier value is above 0."""
    return 100.0 * (later - earlier) / earlier if _positive(earlier) and math.isfinite(later) else NAN


def log_ratio(earlier: float, later: float) -> float:
    """ln(later/earlier); NaN unless both are above 0."""
    return math.log(later / earlier) if _positive(earlier) and _positive(later) else NAN


def doubling_time_days(earlier: float, later: float, days: float) -> float:
    """Time in which a quantity doubles at the rate seen, days; negative while it shrinks (Schwartz 1961).

    Parameters
    ----------
    earlier, later
        Volume (VDT) or mass (MDT) at both time points, same unit.
    days
        Time between them.

    Returns
    -------
    float
        days·ln 2/ln(later/earlier). NaN when the change is below 5 %, when there is less than a day between the time
        points, and when a value is not above 0.
    """
    change = percent_change(earlier, later)
    if not abs(change) >= SMALLEST_CHANGE_PERCENT or not days >= SHORTEST_DAYS:
        return NAN
    rate = log_ratio(earlier, later)
    return days * math.log(2.0) / rate if rate else NAN


def log_ratio_interval(earlier: VolumeBar, later: VolumeBar) -> Interval:
    """95 % interval of ln(V2/V1): ± 1.96·sqrt(e1² + e2²), e as in `VolumeBar.relative_sd` (Nietert 2009)."""
    middle = log_ratio(earlier.volume, later.volume)
    half = Z_95 * math.hypot(earlier.relative_sd, later.relative_sd)
    return Interval(middle - half, middle + half) if math.isfinite(middle + half) else UNKNOWN


def percent_interval(interval: Interval) -> Interval:
    """The interval of ln(V2/V1) as change of the volume, %."""
    return Interval(100.0 * math.expm1(interval.low), 100.0 * math.expm1(interval.high))


def doubling_time_interval(earlier: VolumeBar, later: VolumeBar, days: float) -> Interval:
    """95 % interval of the volume doubling time, days.

    Where the interval of ln(V2/V1) holds 0, no change at all is possible and the doubling time is not bounded: the
    interval is open. Its bounded end is given, the shortest doubling time (halving time, negative, of a lesion that
    shrank) that agrees with the volumes; the other end is NaN. Both are NaN where the doubling time itself is.
    """
    estimate = doubling_time_days(earlier.volume, later.volume, days)
    logs = log_ratio_interval(earlier, later)
    if not (math.isfinite(estimate) and logs.known):
        return UNKNOWN
    scale = days * math.log(2.0)
    if logs.excludes_zero:
        return Interval(scale / logs.high, scale / logs.low)
    return Interval(scale / logs.high, NAN) if estimate > 0 else Interval(NAN, scale / logs.low)


def verdict(interval: Interval) -> Verdict | None:
    """``changed`` when the 95 % interval of ln(V2/V1) excludes 0; None when it is not known."""
    if not interval.known:
        return None
    return Verdict.CHANGED if interval.excludes_zero else Verdict.WITHIN_NOISE


def protocol_mismatch(earlier_spacing: float, later_spacing: float) -> bool:
    """Whether slice spacings differ by more than 25 % of the smaller one; False when one is not known."""
    if not (_positive(earlier_spacing) and _positive(later_spacing)):
        return False
    smaller, larger = sorted((earlier_spacing, later_spacing))
    return larger / smaller > MISMATCH_RATIO * (1 + ROUND_OFF)


def growth_category(
    change_percent: float, changed: Verdict | None, *, mismatch: bool = False
) -> GrowthCategory | None:
    """What became of a lesion that is there at both time points.

    Parameters
    ----------
    change_percent
        Change of the volume, %.
    changed
        Verdict on the same volumes.
    mismatch
        Whether the slice spacings differ (`protocol_mismatch`): only a change above 50 % counts then.

    Returns
    -------
    GrowthCategory or None
        ``growing`` from +25 % and ``shrinking`` from -25 % when the change exceeds the noise, ``uncertain`` when it
        does not; ``stable`` below 25 %. None when there is no verdict.
    """
    if changed is None or not math.isfinite(change_percent):
        return None
    size = abs(change_percent) * (1 + ROUND_OFF)
    if mismatch and abs(change_percent) <= SURE_PERCENT:
        return GrowthCategory.UNCERTAIN
    if size < GROWTH_PERCENT:
        return GrowthCategory.STABLE
    if changed is Verdict.WITHIN_NOISE:
        return GrowthCategory.UNCERTAIN
    return GrowthCategory.GROWING if change_percent > 0 else GrowthCategory.SHRINKING


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
