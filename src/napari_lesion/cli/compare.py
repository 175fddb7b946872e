"""``napari-lesion compare``: what became of the lesions between two visits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_lesion.cli.console import command, lesions, say, show_table, warn
from napari_lesion.workflow.parameters import split_names

if TYPE_CHECKING:
    from napari_lesion.core.table import Row
    from napari_lesion.measure.recist import VisitSum
    from napari_lesion.workflow.compare import Comparison


@command
def compare(
    tables: Annotated[
        list[Path],
        typer.Argument(
            metavar="TABLE.csv",
            help="Tables of one patient in order of time: EARLIER LATER, or BASELINE, more visits, LATER.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.csv", help="Table to write, one row a lesion.")],
    days: Annotated[
        float | None,
        typer.Option(metavar="N", help="Days between the last two visits, where the tables hold no dates."),
    ] = None,
    targets: Annotated[
        str,
        typer.Option(metavar="ID,ID,...", help="Target lesions by lesion_id: sum of diameters and RECIST response."),
    ] = "",
    nodes: Annotated[
        str, typer.Option(metavar="ID,ID,...", help="Targets that are lymph nodes, measured by their short axis.")
    ] = "",
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="Go on when the tables have no lesion_id in common.")
    ] = False,
) -> None:
    """Compare the lesions of two visits, paired by lesion_id.

    The last two tables are compared row by row: change of volume, diameters and mass, doubling times, and whether the
    change exceeds the noise. With targets, the sum of diameters is followed over all tables, the first one being the
    baseline. Responses and new lesions need the confirmation of a reader.
    """
    from napari_lesion.workflow.compare import CompareRequest, compare_tables

    request = CompareRequest(tuple(tables), out, days, split_names(targets), split_names(nodes), unpaired)
    found = compare_tables(request)
    _show(found)
    for warning in found.warnings:
        warn(f"Note: {warning}.")
    counts = ", ".join(f"{count} {category}" for category, count in found.counts.items())
    say(f"{lesions(len(found.pairs))} in {out}" + (f": {counts}" if counts else ""))


def _show(found: Comparison) -> None:
    if found.pairs:
        heads = ["lesion", "mm³ then", "now", "change", "95 % interval", "VDT, days", "verdict", "growth"]
        show_table(heads, [_cells(row) for row in found.table.rows.values()])
    for visit, total in enumerate(found.sums):
        say(_sum_line(visit, total))


def _cells(row: Row) -> list[str]:
    low, high = row["volume_change_low_percent"], row["volume_change_high_percent"]
    return [
        str(row["lesion_id"]),
        _plain(row["volume_mm3_earlier"], "{:.0f}"),
        _plain(row["volume_mm3_later"], "{:.0f}"),
        _plain(row["volume_change_percent"], "{:+.0f} %"),
        f"{_plain(low, '{:+.0f}')} to {_plain(high, '{:+.0f} %')}" if _plain(low, "{}") else "",
        _plain(row["vdt_days"], "{:.0f}"),
        str(row["verdict"] or ""),
        str(row["growth_category"] or ""),
    ]


def _sum_line(visit: int, total: VisitSum) -> str:
    if not visit:
        return f"Sum of target diameters at baseline: {total.sld_mm:.1f} mm"
    changes = f"{total.change_baseline_percent:+.0f} % of baseline, {total.change_nadir_percent:+.0f} % of nadir"
    return f"Visit {visit + 1}: {total.sld_mm:.1f} mm, {changes}, targets {total.response or 'not evaluable'}"


def _plain(value: object, form: str) -> str:
    return form.format(value) if isinstance(value, (int, float)) and math.isfinite(value) else ""
