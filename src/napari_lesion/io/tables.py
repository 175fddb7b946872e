"""lesions.csv: one row a lesion, stable columns, six significant digits."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np

from napari_lesion.core.errors import InputError
from napari_lesion.core.table import Column, LesionTable, Row, Value
from napari_lesion.io.atomic import write_text

TEXT_COLUMNS = frozenset({"lesion_id", "lesion_uid", "case", "series_uid", "series_date", "sop_instance_uid"})
"""Columns that hold text, also where it looks like a number: a lesion may be called 007."""


def write_table(path: Path, table: LesionTable) -> None:
    """Write a table as UTF-8 CSV, atomically; only the header when there are no rows.

    Numbers with a fraction hold six significant digits, whole numbers all of theirs. An undefined
    value (NaN, None) is an empty cell.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.names)
    for label, row in table.rows.items():
        writer.writerow([format_value(row.get(name, label if name == "label" else None)) for name in table.names])
    write_text(path, text.getvalue())


def write_rows(path: Path, names: Sequence[str], rows: Iterable[Mapping[str, Value]]) -> None:
    """Write rows of named values as UTF-8 CSV, atomically, with values as in `write_table`; a missing one is empty.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([format_value(row.get(name)) for name in names] for row in rows)
    write_text(path, text.getvalue())


def format_value(value: Value | np.generic) -> str:
    """Text of one cell."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    # csv would not quote a lone carriage return, and read it as the end of a row
    return str(value).replace("\r\n", "\n").replace("\r", "\n")


def read_table(path: Path) -> LesionTable:
    """Read a CSV that `write_table` wrote.

    Returns
    -------
    LesionTable
        Columns with their names only. In a column that holds numbers, an empty cell is NaN; in every other column it
        is an empty text. Names, UIDs and dates are texts, also where they look like numbers.

    Raises
    ------
    InputError
        When the file cannot be read, has no column ``label``, or a label that is not a whole number.
    """
    names, cells = read_cells(path)
    if "label" not in names:
        raise InputError(f"{path.name} is not a table of lesions", "it has no column label", "Give a lesions.csv")
    columns = {name: _parse_column(name, [row[name] for row in cells]) for name in names}
    rows: dict[int, Row] = {}
    for number in range(len(cells)):
        row: Row = {name: columns[name][number] for name in names}
        label = row["label"]
        if not isinstance(label, int) or label in rows:
            raise InputError(
                f"{path.name} is not a table of lesions", f"the label in row {number + 1} is not a number of its own"
            )
        rows[label] = row
    return LesionTable(tuple(Column(name) for name in names), rows)


def read_cells(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Column names of a CSV with a header, and the texts of each row by column, as they stand there.

    A cell that is missing at the end of a row is an empty text; empty lines are passed over.

    Raises
    ------
    InputError
        When the file cannot be read as UTF-8 CSV, two columns have one name, or a row is longer than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            header, *cells = [row for row in csv.reader(lines) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text with commas between cells"
        raise InputError(
            f"{path.name} cannot be read as a table", reason or str(error), "Give a lesions.csv"
        ) from error
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InputError(f"{path.name} cannot be read as a table", f"two columns are called {twice!r}")
    for number, row in enumerate(cells, start=1):
        if len(row) > len(header):
            raise InputError(
                f"{path.name} cannot be read as a table", f"row {number} has more cells than there are columns"
            )
    return header, [dict(zip_longest(header, row, fillvalue="")) for row in cells]


def _parse_column(name: str, cells: list[str]) -> list[Value]:
    """Numbers where every filled cell is a number, else texts."""
    if name in TEXT_COLUMNS:
        return list(cells)
    numbers = [_number(cell) for cell in cells if cell]
    if not numbers or any(number is None for number in numbers):
        return list(cells)
    return [_number(cell) if cell else math.nan for cell in cells]


def _number(cell: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return None
