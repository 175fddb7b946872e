"""``napari-lesion info``: what a file holds and whether it can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_lesion.cli.console import command, say, say_json
from napari_lesion.core.errors import InputError
from napari_lesion.core.findings import Level

if TYPE_CHECKING:
    from napari_lesion.workflow.inspect import Inspection


@command
def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Image file, DICOM file or DICOM folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Describe a study and check it.

    Tells size, spacing, direction and modality, and what the input check says. The exit code is 2 for a study that
    cannot be used.
    """
    from napari_lesion.cli.progress import job_bars
    from napari_lesion.workflow.inspect import inspect_file

    with job_bars() as bars:
        inspection = inspect_file(file, bars.context(file.name))
    if as_json:
        say_json(inspection.as_dict())
    else:
        _print(inspection)
    if inspection.check.level == Level.RED:
        raise typer.Exit(InputError.exit_code)


def _print(inspection: Inspection) -> None:
    volume, grid = inspection.volume, inspection.volume.grid
    stated = "" if volume.source.modality_stated else " (guessed)"
    for name, value in (
        ("case", volume.source.case),
        ("modality", f"{volume.modality}{stated}"),
        ("size", " x ".join(str(n) for n in grid.size)),
        ("spacing", " x ".join(f"{s:.4g}" for s in grid.spacing) + " mm"),
        ("origin", ", ".join(f"{o:.3f}" for o in grid.origin) + " mm (LPS)"),
        ("direction", ", ".join(f"{d:.4g}" for d in grid.direction)),
        ("values", str(volume.array.dtype)),
        ("series", volume.source.series_uid),
    ):
        if value:
            say(f"{name:<10} {value}")
    for note in volume.source.notes:
        say(f"{'note':<10} {note}")
    for finding in inspection.check.findings:
        say(f"{finding.level.name.lower():<10} {finding.message}")
    for other in inspection.series[1:]:
        say(f"{'also here':<10} {other.title}")
