"""How a lesion stands in the dock's table: cells with text, tool tip and a key to sort by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.table import Column, LesionTable, Row, Value

DASH = "–"
CHECK, CROSS = "✓", "✕"
MARK = "⚑"
REVIEW_MARKS = {Review.ACCEPTED: CHECK, Review.REJECTED: CROSS}
MEANS = ("density_mean_hu", "density_mean_au")
INFORMATIVE = frozenset({"contrast_unknown", "modality_guessed"})
"""Flags that say something of the study, not of the lesion: named in the tool tip, without a mark."""
IDENTITY = ("label", "status", "probability", "review", "flags")
FEW_VOXELS = 64

SortKey = tuple[int, float | str]


@dataclass(frozen=True)
class Cell:
    """One cell of the table.

    Parameters
    ----------
    text
        What stands in it.
    lighter
        Text in a lighter tone behind it: an error bar, the change against the model.
    tip
        Tool tip.
    sort
        Key to sort by; the first part puts undefined values last.
    number
        Whether it is right-aligned.
    """

    text: str
    lighter: str = ""
    tip: str = ""
    sort: SortKey = (1, 0.0)
    number: bool = True


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
    tip
        Tool tip of the header.
    """

    name: str
    title: str
    tip: str = ""


@dataclass(frozen=True)
class Subject:
    """Everything that a cell may need of one lesion."""

    lesion: Lesion
    row: Row
    baseline: Row
    table: LesionTable


CellMaker = Callable[[Subject], Cell]


def number_text(value: Value, decimals: int) -> str:
    """A number with thousands separated, a dash for what is undefined."""
    number = _float(value)
    return DASH if number is None else f"{number:,.{decimals}f}".replace("-", "−")


def shown_columns(table: LesionTable, extra: Iterable[str] = ()) -> list[ShownColumn]:
    """Columns of the dock: the main ones, then those that the user added."""
    main = [
        ShownColumn("label", "#", "Number of the lesion: its value in the mask"),
        ShownColumn("status", "Status", "Where the mask came from, and the decision of the reader"),
        ShownColumn("probability", "p", _definition(table, "probability")),
        ShownColumn("axes", "Long × short", f"Axes in the axial slice, mm. {_definition(table, 'long_axis_mm')}"),
        ShownColumn("volume_mm3", "Volume", f"mm³. {_definition(table, 'volume_mm3')}"),
    ]
    mean = mean_column(table)
    if mean is not None:
        main.append(ShownColumn(mean.name, f"Mean {mean.unit}".strip(), mean.definition))
    names = {column.name for column in main}
    for name in extra:
        if name not in names and name in table.names:
            column = table.column(name)
            main.append(ShownColumn(name, column.header, column.definition))
    return main


def optional_columns(table: LesionTable) -> list[Column]:
    """Columns that can be added to the dock's table."""
    mean = mean_column(table)
    hidden = {*IDENTITY, "volume_mm3", mean.name if mean else ""}
    return [column for column in table.columns if column.name not in hidden]


def mean_column(table: LesionTable) -> Column | None:
    """The column of the mean value, HU where the volume has them."""
    present = [name for name in MEANS if name in table.names]
    for name in present:
        if any(_float(row.get(name)) is not None for row in table.rows.values()):
            return table.column(name)
    return table.column(present[0]) if present else None


def make_rows(
    table: LesionTable, lesions: Iterable[Lesion], columns: list[ShownColumn], baseline: Callable[[int], Row]
) -> list[LesionRow]:
    """Rows of the dock's table."""
    rows = []
    for lesion in lesions:
        subject = Subject(lesion, table.rows.get(lesion.label, {}), baseline(lesion.label), table)
        cells = tuple(_MAKERS.get(column.name, _plain(column.name))(subject) for column in columns)
        rows.append(LesionRow(lesion.label, lesion.status, lesion.review, cells))
    return rows


def table_as_text(columns: list[ShownColumn], rows: Iterable[LesionRow]) -> str:
    """Tab-separated text with a header, for a spreadsheet."""
    lines = ["\t".join(column.title for column in columns)]
    lines += ["\t".join(cell.text for cell in row.cells) for row in rows]
    return "\n".join(lines) + "\n"


def _label(subject: Subject) -> Cell:
    return Cell(str(subject.lesion.label), sort=(0, float(subject.lesion.label)))


def _status(subject: Subject) -> Cell:
    lesion = subject.lesion
    text = " ".join(part for part in (REVIEW_MARKS.get(lesion.review, ""), str(lesion.status)) if part)
    words = {
        Status.MODEL: "The mask is that of the model",
        Status.EDITED: "The model's mask was changed by hand",
        Status.MANUAL: "Drawn by hand; the model marked nothing here",
    }[lesion.status]
    tip = f"{words}; {lesion.review}" if lesion.review else f"{words}; not reviewed"
    return Cell(text, tip=tip, sort=(0, f"{lesion.review}{lesion.status}"), number=False)


def _probability(subject: Subject) -> Cell:
    value = _float(subject.lesion.probability)
    if value is None:
        return Cell(DASH, tip="Drawn by hand: the model gave no probability")
    return Cell(f"{value:.2f}", tip=f"Largest probability inside the mask: {value:.3f}", sort=(0, value))


def _axes(subject: Subject) -> Cell:
    long, short = _float(subject.row.get("long_axis_mm")), _float(subject.row.get("short_axis_mm"))
    if long is None:
        return Cell(DASH, tip=_why(subject))
    text = f"{number_text(long, 1)} × {number_text(short, 1)}"
    error = _float(subject.row.get("long_axis_err_mm"))
    tip = f"Long axis ± {error:.1f} mm. {_why(subject)}" if error is not None else _why(subject)
    return Cell(text, tip=tip.strip(), sort=(0, long))


def _volume(subject: Subject) -> Cell:
    volume = _float(subject.row.get("volume_mm3"))
    if volume is None:
        return Cell(DASH, tip=_why(subject))
    error = _float(subject.row.get("volume_err_mm3"))
    change = _change(volume, _float(subject.baseline.get("volume_mm3")), subject.lesion.status)
    lighter = change or (f"± {number_text(error, 0)}" if error is not None else "")
    marked = any(flag not in INFORMATIVE for flag in flags_of(subject.row))
    text = number_text(volume, 0) + (f" {MARK}" if marked else "")
    tip = " ".join(part for part in (_range(subject.row), _why(subject)) if part)
    return Cell(text, lighter, tip, sort=(0, volume))


def _range(row: Row) -> str:
    low, high = _float(row.get("volume_low_mm3")), _float(row.get("volume_high_mm3"))
    if low is None or high is None:
        return ""
    return f"{number_text(low, 0)} to {number_text(high, 0)} mm³ when the boundary lies a quarter voxel off."


def _change(volume: float, before: float | None, status: Status) -> str:
    if status != Status.EDITED or not before:
        return ""
    percent = 100 * (volume - before) / before
    return f"{percent:+.0f} %".replace("-", "−")


def flags_of(row: Row) -> list[str]:
    """Flags of a row."""
    stored = row.get("flags")
    return [flag.strip() for flag in str(stored).split(";") if flag.strip()] if stored else []


def _why(subject: Subject) -> str:
    if not subject.row:
        return "Being measured"
    flags = flags_of(subject.row)
    return f"Read with care: {', '.join(flags).replace('_', ' ')}." if flags else ""


def _plain(name: str) -> CellMaker:
    def make(subject: Subject) -> Cell:
        value = subject.row.get(name)
        if isinstance(value, str):
            return Cell(value or DASH, sort=(0, value), number=False)
        number = _float(value)
        if number is None:
            return Cell(DASH, tip=_why(subject))
        return Cell(number_text(number, _decimals(subject.table, name)), tip=_why(subject), sort=(0, number))

    return make


def _decimals(table: LesionTable, name: str) -> int:
    column = table.column(name)
    return 0 if column.unit in ("HU", "mm³", "mm3") else column.decimals


def _definition(table: LesionTable, name: str) -> str:
    return table.column(name).definition if name in table.names else ""


def _float(value: Value) -> float | None:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None


_MAKERS: dict[str, CellMaker] = {
    "label": _label,
    "status": _status,
    "probability": _probability,
    "axes": _axes,
    "volume_mm3": _volume,
}
