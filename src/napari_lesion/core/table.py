"""The table of lesions: described columns and one row a label, the same in memory, dock, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Value = float | int | str | None
Row = dict[str, Value]


@dataclass(frozen=True)
class Column:
    """What one column means.

    Parameters
    ----------
    name
        Stable name, as in lesions.csv.
    title
        Short header for people.
    unit
        Unit for people; empty when the value has none.
    ucum
        UCUM code of the unit.
    definition
        One or two sentences.
    reference
        Paper, standard or code where the definition comes from.
    code
        ``(scheme value)`` of DICOM where one exists.
    decimals
        Digits after the point in the dock; a file holds six significant digits.
    error
        Name of the column that holds the 95 % half width of this one; empty when there is none.
    experimental
        Whether the measure did not follow the readers in validation, or was not compared with them.
    """

    name: str
    title: str = ""
    unit: str = ""
    ucum: str = ""
    definition: str = ""
    reference: str = ""
    code: str = ""
    decimals: int = 1
    error: str = ""
    experimental: bool = False

    @property
    def header(self) -> str:
        """Title with its unit."""
        title = self.title or self.name
        return f"{title} ({self.unit})" if self.unit else title


@dataclass(frozen=True)
class LesionTable:
    """Rows of measurements by label.

    Parameters
    ----------
    columns
        Described columns, in the order of lesions.csv.
    rows
        Label to values by column name. An undefined number is NaN, never 0.
    """

    columns: tuple[Column, ...] = ()
    rows: Mapping[int, Row] = field(default_factory=dict)

    @property
    def labels(self) -> list[int]:
        """Labels, in row order."""
        return list(self.rows)

    @property
    def names(self) -> list[str]:
        """Column names, in order."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        """The column of this name; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def updated(self, other: LesionTable, removed: Iterable[int] = ()) -> LesionTable:
        """A table with the rows of ``other`` put in or replaced, and some labels taken out."""
        gone = set(removed)
        rows = {label: row for label, row in self.rows.items() if label not in gone}
        rows.update(other.rows)
        return LesionTable(other.columns or self.columns, rows)

    def ordered(self, labels: Iterable[int]) -> LesionTable:
        """The same rows in the order of ``labels``; labels without a row are passed over."""
        return LesionTable(self.columns, {label: self.rows[label] for label in labels if label in self.rows})
