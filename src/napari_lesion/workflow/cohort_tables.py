"""Two tables of a cohort: every lesion of every case, and one row a case."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from napari_lesion.core.errors import LesionError
from napari_lesion.io.atomic import write_text
from napari_lesion.io.tables import read_cells
from napari_lesion.workflow.cohort_case import CaseResult
from napari_lesion.workflow.record import pseudonymous_case

LESIONS: Final = "cohort.csv"
CASES: Final = "cases.csv"
FOLDER: Final = "folder"
CASE_COLUMNS: Final = (FOLDER, "state", "lesions", "seconds", "warnings", "error")


class CohortTables:
    """Both tables, grown case by case: what stood in earlier cases is neither read nor put into words again.

    Parameters
    ----------
    out
        Folder of the cohort.
    pseudonymise
        Whether the names of cases are replaced by keyed hashes, and sentences that may hold a path left out.
    """

    def __init__(self, out: Path, *, pseudonymise: bool = False) -> None:
        self._out = out
        self._pseudonymise = pseudonymise
        self._cases: list[CaseResult] = []
        self._names: dict[str, None] = {FOLDER: None}
        self._rows: list[dict[str, str]] = []
        self._lines = ""

    def add(self, result: CaseResult) -> None:
        """Take a case in and write both tables, each atomically; cells of the lesions are those of its own table.

        Raises
        ------
        OutputError
            When a file cannot be written.
        """
        self._cases.append(result)
        if result.folder is not None:
            self._take(result.case, *_lesions_of(result.folder))
        write_text(self._out / LESIONS, _lines(tuple(self._names)) + self._lines)
        cases = [_case_row(case, pseudonymise=self._pseudonymise) for case in self._cases]
        write_text(self._out / CASES, _lines(CASE_COLUMNS) + _lines(CASE_COLUMNS, cases))

    def _take(self, case: str, header: Sequence[str], cells: Sequence[Mapping[str, str]]) -> None:
        before = len(self._names)
        self._names.update(dict.fromkeys(header))
        name = pseudonymous_case(case) if self._pseudonymise else case
        new = [{FOLDER: name, **row} for row in cells]
        self._rows += new
        if len(self._names) == before:
            self._lines += _lines(tuple(self._names), new)
        else:  # a column that no earlier case had: all rows get a cell for it
            self._lines = _lines(tuple(self._names), self._rows)


def _lesions_of(folder: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        return read_cells(folder / "lesions.csv")
    except LesionError:
        return [], []


def _case_row(result: CaseResult, *, pseudonymise: bool) -> dict[str, str]:
    state = "failed" if result.error else "done before" if result.resumed else "done"
    row = {
        FOLDER: result.case,
        "state": state,
        "lesions": "" if result.error else str(result.lesions),
        "seconds": f"{result.seconds:.1f}" if result.seconds else "",
        "warnings": " ".join(result.warnings),
        "error": result.error.message if result.error else "",
    }
    hidden = {FOLDER: pseudonymous_case(result.case), "warnings": "", "error": ""}
    return row | hidden if pseudonymise else row


def _lines(names: Sequence[str], rows: Sequence[Mapping[str, str]] | None = None) -> str:
    """Rows as lines of CSV; the header without any."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    if rows is None:
        writer.writeheader()
    else:
        writer.writerows(rows)
    return text.getvalue()
