"""One visit of a patient: the table of its lesions by name, and its date."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from napari_lesion.core.errors import InputError
from napari_lesion.core.lesion import Review
from napari_lesion.io.tables import read_cells
from napari_lesion.measure.change import VolumeBar

REQUIRED = ("volume_mm3", "volume_low_mm3", "volume_high_mm3", "mean_diameter_mm", "long_axis_mm", "short_axis_mm")
AGAIN = "Measure again with the core measures of this version"


@dataclass(frozen=True)
class MeasuredLesion:
    """One row of a table, as it stands there.

    Parameters
    ----------
    table
        Name of the file, for messages.
    cells
        Texts by column.
    """

    table: str
    cells: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its ``lesion_id``."""
        return self.cells["lesion_id"].strip()

    def text(self, column: str) -> str:
        """Text of a cell; empty where the table has no such column."""
        return self.cells.get(column, "").strip()

    def number(self, column: str) -> float:
        """Number of a cell; NaN where it is empty or the table has no such column.

        Raises
        ------
        InputError
            When the cell holds something else.
        """
        text = self.text(column)
        try:
            value = float(text) if text else math.nan
        except ValueError:
            value = math.inf
        if math.isinf(value):
            raise InputError(
                f"{self.table} cannot be compared", f"lesion {self.name} has {text!r} in {column}, which is no number"
            )
        return value

    @property
    def volume(self) -> VolumeBar:
        """Volume with its boundary-shift scenario."""
        return VolumeBar(*(self.number(column) for column in REQUIRED[:3]))

    def axis(self, name: str) -> float:
        """Long or short axis, mm: that of the reader's caliper where one was set, else the computed one."""
        manual = self.number(f"manual_{name}_axis_mm")
        return self.number(f"{name}_axis_mm") if math.isnan(manual) else manual


@dataclass(frozen=True)
class Visit:
    """The lesions of one visit.

    Parameters
    ----------
    path
        The table.
    lesions
        Lesions by name, in the order of the table, without those that the reader rejected.
    rejected
        Names of lesions that the reader rejected.
    day
        Date of the series; None when the table does not say.
    """

    path: Path
    lesions: Mapping[str, MeasuredLesion]
    rejected: frozenset[str] = frozenset()
    day: date | None = None


def read_visit(path: Path) -> Visit:
    """Read the table of one visit.

    Raises
    ------
    InputError
        When it cannot be read, lacks a column that a comparison needs, has an empty name or the same name twice, or
        holds several dates.
    """
    names, rows = read_cells(path)
    if "lesion_id" not in names:
        raise InputError(f"{path.name} cannot be compared", "it has no column lesion_id", AGAIN)
    missing = [column for column in REQUIRED if column not in names]
    if missing:
        raise InputError(f"{path.name} cannot be compared", f"it lacks {', '.join(missing)}", AGAIN)
    lesions = [MeasuredLesion(path.name, row) for row in rows]
    counts = Counter(lesion.name for lesion in lesions)
    if "" in counts:
        raise InputError(f"{path.name} cannot be compared", "a row has no lesion_id", "Give every lesion a name")
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise InputError(
            f"{path.name} cannot be compared",
            f"the lesion_id {twice[0]} stands in {counts[twice[0]]} rows",
            "Give every lesion a name of its own, and every study a table of its own",
        )
    rejected = frozenset(lesion.name for lesion in lesions if lesion.text("review") == Review.REJECTED)
    kept = {lesion.name: lesion for lesion in lesions if lesion.name not in rejected}
    return Visit(path, kept, rejected, _day(path, {lesion.text("series_date") for lesion in lesions} - {""}))


def days_between(earlier: Visit, later: Visit, stated: float | None = None) -> float:
    """Days from one visit to a later one; NaN when neither the dates nor the user say.

    Dates go before what the user says, who may only speak where a date is missing, or where both dates are the same,
    as in studies that were de-identified with one date for all.

    Raises
    ------
    InputError
        When the dates run backwards, or disagree with ``stated``.
    """
    if earlier.day is None or later.day is None:
        return math.nan if stated is None else stated
    days = (later.day - earlier.day).days
    if days < 0:
        raise InputError(
            "The tables are not in the order of time",
            f"{earlier.path.name} is of {earlier.day}, {later.path.name} of {later.day}",
            "Give the earlier one first",
        )
    if stated is None or stated == days:
        return float(days)
    if days == 0:
        return stated
    raise InputError(
        f"--days {stated:g} does not agree with the dates",
        f"from {earlier.day} to {later.day} it is {days} days",
        "Leave --days out",
    )


def _day(path: Path, stated: set[str]) -> date | None:
    if len(stated) > 1:
        raise InputError(
            f"{path.name} cannot be compared",
            f"it holds the dates {' and '.join(sorted(stated)[:2])}",
            "Give every study a table of its own",
        )
    for text in stated:
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise InputError(
                f"{path.name} cannot be compared", f"the date {text!r} is not like 2024-01-31", "Correct series_date"
            ) from error
    return None
