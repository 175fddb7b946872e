"""How a lesion stands in the dock's table: cells with text, error bar, marks, tool tip and a key to sort by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.table import Column, LesionTable, Row, Value
from napari_lesion.gui.presenters.tips import column_tip, tip
from napari_lesion.workflow.columns import INFORMATIVE, flag_words, flags_about, flags_in, is_unreliable
from napari_lesion.workflow.rating_words import SUSPICIOUS, TEXTURE, rating_sentences

DASH = "–"
CHECK, CROSS = "✓", "✕"
MARK = "⚑"
BY_HAND = "✎"
REVIEW_MARKS = {Review.ACCEPTED: CHECK, Review.REJECTED: CROSS}
MEANS = ("density_mean_hu", "density_mean_suv", "density_mean_au")
WHOLE = ("HU", "mm³", "mm3")
"""Units of values that are shown without decimals."""

LABEL, PROBABILITY, AXES, VOLUME, MEAN, FLAGS = "label", "probability", "axes", "volume_mm3", "density_mean", "flags"
MAIN = (LABEL, PROBABILITY, SUSPICIOUS, AXES, VOLUME, "mean_diameter_mm", MEAN, "nodule_type", FLAGS)
"""What a radiologist reads, from left to right. ``axes`` holds both axes, ``density_mean`` is that of the scale."""

TITLES = {
    LABEL: "#",
    PROBABILITY: "p",
    SUSPICIOUS: "Susp.",
    VOLUME: "Volume",
    "mean_diameter_mm": "Ø",
    "nodule_type": "Type",
    FLAGS: MARK,
}
"""Headers that are shorter than the title of the column."""

STATUS_WORDS = {
    Status.MODEL: "The mask is that of the model",
    Status.EDITED: "The model's mask was changed by hand",
    Status.MANUAL: "Drawn by hand; the model marked nothing here",
}

SortKey = tuple[int, float | str]


@dataclass(frozen=True)
class Cell:
    """One cell of the table.

    Parameters
    ----------
    text
        What stands in it.
    lighter
        Text in a lighter tone below it: an error bar, the status.
    tip
        Tool tip, rich text.
    sort
        Key to sort by; the first part puts undefined values last.
    number
        Whether it is right-aligned.
    marked
        Whether a flag of the row speaks of this value.
    greyed
        Whether the lesion has too few voxels for this value.
    """

    text: str
    lighter: str = ""
    tip: str = ""
    sort: SortKey = (1, 0.0)
    number: bool = True
    marked: bool = False
    greyed: bool = False


@dataclass(frozen=True)
class LesionRow:
    """One row: the label, its decision and its cells by column."""

    label: int
    status: Status
    review: Review
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ShownColumn:
    """One column of the dock's table.

    Parameters
    ----------
    name
        Stable name.
    title
        Header.
    below
        Second line of the header: the unit, whether the measure is experimental.
    tip
        Tool tip of the header, rich text.
    sources
        Columns of the measurements that stand in it.
    words
        Whether it holds words, which may be cut off where there is no room.
    """

    name: str
    title: str
    below: str = ""
    tip: str = ""
    sources: tuple[str, ...] = ()
    words: bool = False


@dataclass(frozen=True)
class Subject:
    """Everything that a cell may need of one lesion."""

    lesion: Lesion
    row: Row
    baseline: Row
    table: LesionTable

    @property
    def flags(self) -> list[str]:
        """Flags of the row."""
        return flags_in(self.row.get(FLAGS))


def number_text(value: Value, decimals: int) -> str:
    """A number with thousands separated, a dash for what is undefined."""
    number = as_float(value)
    return DASH if number is None else f"{number:,.{decimals}f}".replace("-", "−")


def percent_text(percent: float) -> str:
    """A change in percent, with a decimal where it is small."""
    decimals = 1 if abs(percent) < 9.95 else 0
    return f"{percent:+,.{decimals}f} %".replace("-", "−")


def shown_columns(table: LesionTable, names: Sequence[str] = MAIN) -> list[ShownColumn]:
    """Columns of the dock's table: the number first, flags last, and what the table lacks is passed over."""
    wanted = dict.fromkeys((LABEL, *(name for name in names if name != FLAGS)))
    if FLAGS in names:
        wanted[FLAGS] = None
    return [made for name in wanted if (made := _shown(table, name)) is not None]


def make_rows(
    table: LesionTable, lesions: Iterable[Lesion], columns: Sequence[ShownColumn], baseline: Callable[[int], Row]
) -> list[LesionRow]:
    """Rows of the dock's table."""
    rows = []
    for lesion in lesions:
        subject = Subject(lesion, table.rows.get(lesion.label, {}), baseline(lesion.label), table)
        cells = tuple(_MAKERS.get(column.name, _plain)(subject, column) for column in columns)
        rows.append(LesionRow(lesion.label, lesion.status, lesion.review, cells))
    return rows


def mean_column(table: LesionTable) -> Column | None:
    """The column of the mean value, HU where the volume has them."""
    present = [name for name in MEANS if name in table.names]
    for name in present:
        if any(as_float(row.get(name)) is not None for row in table.rows.values()):
            return table.column(name)
    return table.column(present[0]) if present else None


def as_float(value: Value) -> float | None:
    """A finite number, or None."""
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None


# -- columns ---------------------------------------------------------------------------------------------------------


def _shown(table: LesionTable, name: str) -> ShownColumn | None:
    if name == LABEL:
        words = "Number of the lesion: its value in the mask. Below it where the mask came from, and your decision."
        return ShownColumn(LABEL, "#", tip=tip(words), sources=("label", "status", "review"))
    if name == AXES:
        return _axes_column(table)
    column = mean_column(table) if name == MEAN else table.column(name) if name in table.names else None
    if column is None:
        return None
    title = "Mean" if name == MEAN else TITLES.get(name, column.title or column.name)
    below = " ".join(part for part in (column.unit, "exp." if column.experimental else "") if part)
    return ShownColumn(name, title, below, column_tip(column), (column.name,), words=name == FLAGS)


def _axes_column(table: LesionTable) -> ShownColumn | None:
    names = [name for name in ("long_axis_mm", "short_axis_mm") if name in table.names]
    if not names:
        return None
    tips = "".join(column_tip(table.column(name)) for name in names)
    by_hand = [name for name in ("manual_long_axis_mm", "manual_short_axis_mm") if name in table.names]
    return ShownColumn(AXES, "Long × short", "mm", tips, (*names, *by_hand))


# -- cells -----------------------------------------------------------------------------------------------------------


def _label(subject: Subject, _column: ShownColumn) -> Cell:
    lesion = subject.lesion
    lighter = " ".join(part for part in (REVIEW_MARKS.get(lesion.review, ""), str(lesion.status)) if part)
    name = "" if lesion.tracking_id == str(lesion.label) else f"Name: {lesion.tracking_id}"
    decision = f"{STATUS_WORDS[lesion.status]}; {lesion.review or 'not reviewed'}"
    return Cell(str(lesion.label), lighter, tip(name, decision), sort=(0, float(lesion.label)))


def _probability(subject: Subject, _column: ShownColumn) -> Cell:
    value = as_float(subject.lesion.probability)
    if value is None:
        return Cell(DASH, tip=tip("Drawn by hand: the model gave no probability"))
    return Cell(f"{value:.2f}", tip=tip(f"Largest probability inside the mask: {value:.3f}"), sort=(0, value))


def _suspicious(subject: Subject, _column: ShownColumn) -> Cell:
    value = as_float(subject.row.get(SUSPICIOUS))
    if value is None:
        return Cell(DASH, tip=_why(subject))
    texture = str(subject.row.get(TEXTURE) or "")
    return Cell(f"{value:.2f}", texture, tip(*rating_sentences(subject.row)), (0, value))


def _axes(subject: Subject, _column: ShownColumn) -> Cell:
    row = subject.row
    long, short = (_with_error(subject, name) for name in ("long_axis_mm", "short_axis_mm"))
    if long[0] is None:
        return Cell(DASH, tip=_why(subject))
    computed = f"{number_text(long[0], 1)} × {number_text(short[0], 1)}"
    lighter = _pair([long[1], short[1]], "± ")
    by_hand = [as_float(row.get(f"manual_{name}_axis_mm")) for name in ("long", "short")]
    said = ""
    if any(value is not None for value in by_hand):
        lighter = _pair(by_hand, f"{BY_HAND} ")
        said = f"Set by hand: {_pair(by_hand, '')} mm. Computed from the mask: {computed} mm."
    words = f"Long axis {_spoken(*long)}, short axis {_spoken(*short)}{_half_width_words(long[1])}."
    marked = bool(flags_about("long_axis_mm", subject.flags))
    return Cell(computed, lighter, tip(said, words, *_reasons(subject)), (0, long[0]), marked=marked)


def _volume(subject: Subject, column: ShownColumn) -> Cell:
    cell = _plain(subject, column)
    before, now = as_float(subject.baseline.get(VOLUME)), as_float(subject.row.get(VOLUME))
    if subject.lesion.status is not Status.EDITED or not before or now is None:
        return cell
    changed = (
        f"{percent_text(100 * (now - before) / before)} against the model's mask of {number_text(before, 0)} mm³."
    )
    return replace(cell, tip=tip(changed) + cell.tip)


def _flags(subject: Subject, _column: ShownColumn) -> Cell:
    if not subject.row:
        return Cell("", tip=tip("Being measured"), number=False)
    flags = subject.flags
    grave = [flag for flag in flags if flag not in INFORMATIVE]
    words = ", ".join(flag.replace("_", " ") for flag in (*grave, *(f for f in flags if f in INFORMATIVE)))
    tips = tip(*map(flag_words, flags)) if flags else tip("Nothing qualifies the numbers of this row")
    return Cell(MARK if grave else "", words, tips, (0 if flags else 1, words), number=False, marked=bool(grave))


def _plain(subject: Subject, column: ShownColumn) -> Cell:
    name = column.sources[0]
    value = subject.row.get(name)
    if isinstance(value, str):
        return Cell(value or DASH, sort=(0 if value else 1, value), number=False, tip=_why(subject))
    number, error = _with_error(subject, name)
    if number is None:
        return Cell(DASH, tip=_why(subject))
    decimals = _decimals(subject.table, name)
    text = number_text(number, decimals)
    lighter = f"± {number_text(error, decimals)}" if error is not None else ""
    said = f"{text} {lighter}{_half_width_words(error)}" if lighter else ""
    flags = subject.flags
    return Cell(
        text,
        lighter,
        tip(said, _range(subject.row) if name == VOLUME else "", *_reasons(subject)),
        (0, number),
        marked=bool(flags_about(name, flags)),
        greyed=is_unreliable(name, flags),
    )


def _with_error(subject: Subject, name: str) -> tuple[float | None, float | None]:
    """A value and its 95 % half width; None for what is unknown."""
    error = subject.table.column(name).error if name in subject.table.names else ""
    return as_float(subject.row.get(name)), as_float(subject.row.get(error)) if error else None


def _pair(values: Sequence[float | None], prefix: str) -> str:
    if all(value is None for value in values):
        return ""
    return prefix + " × ".join(number_text(value, 1) for value in values)


def _spoken(value: float | None, error: float | None) -> str:
    bar = f" ± {number_text(error, 1)}" if error is not None else ""
    return f"{number_text(value, 1)}{bar} mm"


def _half_width_words(error: float | None) -> str:
    return " (95 % half width)" if error is not None else ""


def _range(row: Row) -> str:
    low, high = as_float(row.get("volume_low_mm3")), as_float(row.get("volume_high_mm3"))
    if low is None or high is None:
        return ""
    return f"{number_text(low, 0)} to {number_text(high, 0)} mm³ when the boundary lies a quarter voxel off."


def _reasons(subject: Subject) -> list[str]:
    return [flag_words(flag) for flag in subject.flags]


def _why(subject: Subject) -> str:
    return tip(*_reasons(subject)) if subject.row else tip("Being measured")


def _decimals(table: LesionTable, name: str) -> int:
    column = table.column(name)
    return 0 if column.unit in WHOLE else column.decimals


CellMaker = Callable[[Subject, ShownColumn], Cell]
_MAKERS: dict[str, CellMaker] = {
    LABEL: _label,
    PROBABILITY: _probability,
    SUSPICIOUS: _suspicious,
    AXES: _axes,
    VOLUME: _volume,
    FLAGS: _flags,
}
