"""``napari-lesion doctor``: what this machine has, and whether the measures are right here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.cli.console import command, say, show_table, warn
from napari_lesion.core.errors import LesionError
from napari_lesion.core.findings import Level

WORDS = {Level.GREEN: "ok", Level.YELLOW: "note", Level.RED: "fault"}
EXIT_FAULT = 1


@command
def doctor(
    ibsi: Annotated[
        bool, typer.Option("--ibsi", help="Measure the digital phantom of IBSI instead, and compare every value.")
    ] = False,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the comparison of --ibsi as JSON too.", show_default=False),
    ] = None,
) -> None:
    """Report what this machine has, or check the measures against IBSI.

    Versions, device, memory, models, folders and display. With --ibsi: value, reference, tolerance, pass or fail of
    each reference value of the Image Biomarker Standardisation Initiative that is not about texture. The exit code is
    1 when something is at fault or a value fails.
    """
    if json is not None and not ibsi:
        raise LesionError("There is nothing to write", "--json belongs to --ibsi", "Give both")
    if not (_ibsi_holds(json) if ibsi else _machine_is_fit()):
        raise typer.Exit(EXIT_FAULT)


def _machine_is_fit() -> bool:
    from napari_lesion.workflow.doctor import examine

    worst = Level.GREEN
    for fact in examine():
        say(f"{WORDS[fact.level]:<5}  {fact.name:<24}  {fact.value}")
        worst = max(worst, fact.level)
    return worst != Level.RED


def _ibsi_holds(json: Path | None) -> bool:
    from napari_lesion.workflow.ibsi import check_ibsi, write_ibsi

    rows = check_ibsi()
    heads = ["measure", "IBSI", "value", "reference", "tolerance", ""]
    cells = [
        [row.column, row.ibsi_id, f"{row.value:.6g}", row.reference, f"{row.tolerance:g}", _verdict(row.passed)]
        for row in rows
    ]
    show_table(heads, cells)
    failed = sum(not row.passed for row in rows)
    say(f"{len(rows) - failed} of {len(rows)} values within the tolerance of IBSI")
    if json is not None:
        write_ibsi(json, rows)
    if failed:
        warn(f"Error: {failed} values lie outside the tolerance of IBSI.")
    return not failed


def _verdict(passed: bool) -> str:
    return "pass" if passed else "FAIL"
