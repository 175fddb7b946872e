"""Two tables of a cohort: every lesion of every case, and one row a case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from napari_lesion.core.errors import LesionError
from napari_lesion.io.tables import read_cells, write_rows
from napari_lesion.workflow.cohort_case import CaseResult
from napari_lesion.workflow.record import pseudonymous_case

LESIONS: Final = "cohort.csv"
CASES: Final = "cases.csv"
FOLDER: Final = "folder"
CASE_COLUMNS: Final = (FOLDER, "state", "lesions", "seconds", "warnings", "error")


def write_cohort(out: Path, results: Sequence[CaseResult], *, pseudonymise: bool = False) -> None:
    """Write both tables, each atomically; cells of the lesions are those of the cases' own tables.

    Parameters
    ----------
    out
        Folder of the cohort.
    results
        What became of the cases so far, each once.
    pseudonymise
        Whether the names of cases are replaced by keyed hashes, and sentences that may hold a path left out.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    names: dict[str, None] = {FOLDER: None}
    rows: list[dict[str, str]] = []
    for result in results:
        if result.folder is None:
            continue
        header, cells = _lesions_of(result.folder)
        names.update(dict.fromkeys(header))
        case = pseudonymous_case(result.case) if pseudonymise else result.case
        rows.extend({FOLDER: case, **row} for row in cells)
    write_rows(out / LESIONS, tuple(names), rows)
    write_rows(out / CASES, CASE_COLUMNS, [_case_row(result, pseudonymise=pseudonymise) for result in results])


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
