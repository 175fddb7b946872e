"""The columns of a comparison: what each means, and how it follows from the two rows of a lesion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

from napari_lesion.core.table import Column, Value
from napari_lesion.measure.change import (
    SHORTEST_DAYS,
    SMALLEST_CHANGE_PERCENT,
    GrowthCategory,
    Interval,
    Verdict,
    doubling_time_days,
    doubling_time_interval,
    growth_category,
    log_ratio_interval,
    percent_change,
    percent_interval,
    protocol_mismatch,
    verdict,
)
from napari_lesion.workflow.visits import MeasuredLesion

NAN = math.nan
NIETERT = "Nietert 2009, Chest 135:1580"
SCHWARTZ = "Schwartz 1961, Cancer 14:1272"
NELSON = "Horeweg 2014, Lancet Oncol 15:1332 (NELSON); Callister 2015, Thorax 70 Suppl 2 (BTS)"
FLEISCHNER = "MacMahon 2017, Radiology 284:228 (Fleischner); Lung-RADS v2022"


@dataclass(frozen=True)
class Pair:
    """One lesion at two visits.

    Parameters
    ----------
    earlier, later
        Its rows; None where it is not there.
    days
        Days between the visits; NaN when unknown.
    """

    earlier: MeasuredLesion | None
    later: MeasuredLesion | None
    days: float

    @property
    def name(self) -> str:
        """Its ``lesion_id``."""
        return self.present.name

    @property
    def present(self) -> MeasuredLesion:
        """The later row, or the earlier one of a lesion that is gone."""
        row = self.later or self.earlier
        assert row is not None
        return row

    @cached_property
    def logs(self) -> Interval:
        """95 % interval of ln(V2/V1)."""
        if self.earlier is None or self.later is None:
            return Interval(NAN, NAN)
        return log_ratio_interval(self.earlier.volume, self.later.volume)

    @property
    def verdict(self) -> Verdict | None:
        """Whether the volume changed by more than the noise; None for a lesion that is new or gone."""
        return verdict(self.logs)

    @cached_property
    def mismatch(self) -> bool:
        """Whether the slice spacings of the two scans differ by more than 25 %."""
        return protocol_mismatch(*self.numbers("slice_spacing_mm"))

    @property
    def category(self) -> GrowthCategory | None:
        """What became of it."""
        if self.earlier is None:
            return GrowthCategory.NEW
        if self.later is None:
            return GrowthCategory.RESOLVED
        return growth_category(self.percent("volume_mm3"), self.verdict, mismatch=self.mismatch)

    @cached_property
    def doubling(self) -> Interval:
        """95 % interval of the volume doubling time, days."""
        if self.earlier is None or self.later is None:
            return Interval(NAN, NAN)
        return doubling_time_interval(self.earlier.volume, self.later.volume, self.days)

    def numbers(self, column: str) -> tuple[float, float]:
        """Values of a column at both visits; NaN where the lesion is not there."""
        earlier, later = (NAN if row is None else row.number(column) for row in (self.earlier, self.later))
        return earlier, later

    def difference(self, column: str) -> float:
        """Later minus earlier."""
        earlier, later = self.numbers(column)
        return later - earlier

    def percent(self, column: str) -> float:
        """Change of a column, %."""
        return percent_change(*self.numbers(column))

    def doubling_time(self, column: str) -> float:
        """Doubling time of a column, days."""
        return doubling_time_days(*self.numbers(column), self.days)

    @property
    def flags(self) -> str:
        """What qualifies the row, alphabetical, joined by semicolons."""
        return ";".join(sorted(self._flags())) if self.earlier and self.later else ""

    def _flags(self) -> Iterator[str]:
        assert self.earlier is not None
        assert self.later is not None
        change = self.percent("volume_mm3")
        if math.isnan(self.days):
            yield "days_unknown"
        elif self.days < SHORTEST_DAYS:
            yield "days_below_1"
        if math.isnan(change):
            yield "volume_unknown"
        elif abs(change) < SMALLEST_CHANGE_PERCENT:
            yield "change_below_5_percent"
        elif self.days >= SHORTEST_DAYS and self.verdict is Verdict.WITHIN_NOISE:
            yield "interval_open"
        if self.mismatch:
            yield "protocol_mismatch"
        elif any(map(math.isnan, self.numbers("slice_spacing_mm"))):
            yield "protocol_unknown"
        uids = {self.earlier.text("lesion_uid"), self.later.text("lesion_uid")}
        if len(uids) > 1 or "" in uids:
            yield "patient_unconfirmed"


FLAG_MEANINGS = {
    "change_below_5_percent": "The volume changed by less than 5 %: no doubling time.",
    "days_below_1": "Less than a day between the scans: no doubling time.",
    "days_unknown": "Neither the tables nor --days say how many days lie between the scans: no doubling time.",
    "interval_open": "No change at all agrees with the volumes: the doubling time has one bounded end only.",
    "patient_unconfirmed": "The UIDs of the lesion differ or are missing: nothing says that both tables are of one "
    "patient.",
    "protocol_mismatch": "The slice spacings differ by more than 25 %: uncertain unless the change is above 50 %.",
    "protocol_unknown": "A slice spacing is missing, so that the protocols cannot be compared.",
    "volume_unknown": "A volume is missing or 0: no change.",
}


@dataclass(frozen=True)
class ChangeSpec:
    """One column of a comparison and its function."""

    column: Column
    function: Callable[[Pair], Value]


def _text(
    name: str, title: str, definition: str, function: Callable[[Pair], Value], reference: str = ""
) -> ChangeSpec:
    return ChangeSpec(Column(name, title, definition=definition, reference=reference), function)


def _number(
    name: str, title: str, unit: str, definition: str, function: Callable[[Pair], float], reference: str = ""
) -> ChangeSpec:
    ucum = {"mm³": "mm3", "days": "d"}.get(unit, unit)
    return ChangeSpec(Column(name, title, unit, ucum, definition, reference), function)


def _both(column: str, title: str, unit: str) -> Iterator[ChangeSpec]:
    for place, word in enumerate(("earlier", "later")):
        value = partial(_value_at, column, place)
        yield _number(f"{column}_{word}", f"{title}, {word}", unit, f"{column} of the {word} table.", value)


def _value_at(column: str, place: int, pair: Pair) -> float:
    return pair.numbers(column)[place]


def _both_texts(column: str, name: str, title: str) -> Iterator[ChangeSpec]:
    for place, word in enumerate(("earlier", "later")):
        value = partial(_text_at, column, place)
        yield _text(f"{name}_{word}", f"{title}, {word}", f"{column} of the {word} table.", value)


def _text_at(column: str, place: int, pair: Pair) -> str:
    row = (pair.earlier, pair.later)[place]
    return "" if row is None else row.text(column)


CHANGES: tuple[ChangeSpec, ...] = (
    _text("lesion_id", "Name", "Name of the lesion; the rows of both tables are paired by it.", lambda p: p.name),
    _text("lesion_uid", "UID", "UID of the lesion in the later table.", lambda p: p.present.text("lesion_uid")),
    _text(
        "growth_category",
        "Growth",
        "new, resolved; growing (volume from +25 %) and shrinking (from -25 %), both beyond the noise; stable (below "
        "25 %); uncertain (25 % or more within the noise, or up to 50 % with a protocol mismatch).",
        lambda p: p.category,
        NELSON,
    ),
    _text(
        "verdict",
        "Verdict",
        "changed when the 95 % interval of ln(V2/V1) excludes 0, else within noise; empty for a lesion that is new "
        "or resolved.",
        lambda p: p.verdict,
        NIETERT,
    ),
    _number("days", "Days", "days", "Days between the two scans.", lambda p: p.days),
    *_both_texts("series_date", "date", "Date"),
    *_both_texts("label", "label", "Label"),
    *_both("volume_mm3", "Volume", "mm³"),
    _number(
        "volume_change_percent",
        "Volume change",
        "%",
        "100·(V2 - V1)/V1.",
        lambda p: p.percent("volume_mm3"),
        NELSON,
    ),
    _number(
        "volume_change_low_percent",
        "Volume change, low",
        "%",
        "Lower end of the 95 % interval: that of ln(V2/V1) ± 1.96·sqrt(e1² + e2²), e = (volume_high - volume_low)"
        "/(4·volume), as a change in per cent.",
        lambda p: percent_interval(p.logs).low,
        NIETERT,
    ),
    _number(
        "volume_change_high_percent",
        "Volume change, high",
        "%",
        "Upper end of the same interval.",
        lambda p: percent_interval(p.logs).high,
        NIETERT,
    ),
    _number(
        "vdt_days",
        "VDT",
        "days",
        "Volume doubling time days·ln 2/ln(V2/V1); negative while shrinking; empty when the change is below 5 % or "
        "less than a day lies between.",
        lambda p: p.doubling_time("volume_mm3"),
        f"{SCHWARTZ}; {NELSON}: below 400 fast, 400 to 600 intermediate, above 600 slow",
    ),
    _number(
        "vdt_low_days",
        "VDT, low",
        "days",
        "Lower end of the 95 % interval of the doubling time. Where no change at all is possible the interval is "
        "open: a lesion that grew has its shortest doubling time here and an empty upper end, one that shrank the "
        "reverse.",
        lambda p: p.doubling.low,
        NIETERT,
    ),
    _number("vdt_high_days", "VDT, high", "days", "Upper end of the same.", lambda p: p.doubling.high, NIETERT),
    *_both("mean_diameter_mm", "Mean diameter", "mm"),
    _number(
        "diameter_change_mm",
        "Diameter change",
        "mm",
        "Mean diameter, later minus earlier. Fleischner calls 2 mm and more growth, Lung-RADS more than 1.5 mm "
        "within 12 months.",
        lambda p: p.difference("mean_diameter_mm"),
        FLEISCHNER,
    ),
    _number(
        "diameter_change_percent",
        "Diameter change",
        "%",
        "The same in per cent of the earlier one.",
        lambda p: p.percent("mean_diameter_mm"),
        FLEISCHNER,
    ),
    *_both("long_axis_mm", "Long axis", "mm"),
    _number(
        "long_axis_change_mm",
        "Long axis change",
        "mm",
        "Long axis, later minus earlier.",
        lambda p: p.difference("long_axis_mm"),
    ),
    _number(
        "long_axis_change_percent",
        "Long axis change",
        "%",
        "The same in per cent of the earlier one.",
        lambda p: p.percent("long_axis_mm"),
    ),
    *_both("short_axis_mm", "Short axis", "mm"),
    *_both("mass_mg", "Mass", "mg"),
    _number(
        "mass_change_percent",
        "Mass change",
        "%",
        "100·(m2 - m1)/m1; empty where the tables have no mass, which needs HU.",
        lambda p: p.percent("mass_mg"),
        "de Hoop 2010, Radiology 255:199",
    ),
    _number(
        "mdt_days",
        "MDT",
        "days",
        "Mass doubling time, as the volume doubling time.",
        lambda p: p.doubling_time("mass_mg"),
        "de Hoop 2010, Radiology 255:199",
    ),
    *_both("slice_spacing_mm", "Slice spacing", "mm"),
    *_both_texts("flags", "flags", "Flags"),
    _text("flags", "Flags", "What qualifies the row, separated by semicolons.", lambda p: p.flags),
)
