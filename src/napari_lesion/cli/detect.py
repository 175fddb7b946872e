"""``napari-lesion detect``: the same detection as in the dock, for many studies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_lesion.cli.console import command, lesions, say, warn
from napari_lesion.cli.options import with_parameters
from napari_lesion.core.errors import LesionError
from napari_lesion.workflow.parameters import CohortParameters, DetectParameters, ExportParameters

if TYPE_CHECKING:
    from napari_lesion.core.jobs import JobContext
    from napari_lesion.workflow.cohort import CaseResult


@command
@with_parameters(opening=CohortParameters, parameters=DetectParameters, export=ExportParameters)
def detect(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Image files, DICOM files or DICOM folders.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that gets one folder a case.")],
    opening: CohortParameters,
    parameters: DetectParameters,
    export: ExportParameters,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH", help="Model of `napari-lesion models`, or a bundle folder.", show_default=False
        ),
    ] = None,
) -> None:
    """Detect and measure lesions in studies.

    Each INPUT gets a folder DIR/CASE with lesions.csv, the mask and run.json, also when nothing is found. An input
    that cannot be used does not stop the others; the exit code is 2 then.
    """
    from napari_lesion.cli.progress import job_bars
    from napari_lesion.workflow.cohort import CohortRequest, detect_cases
    from napari_lesion.workflow.models import find_model

    request = CohortRequest(inputs, out, find_model(model), opening, parameters, export)
    failed = 0
    with job_bars() as bars:

        def context_of_case(case: str, position: int, count: int) -> JobContext:
            return bars.context(f"{case} ({position + 1} of {count})" if count > 1 else case)

        for result in detect_cases(request, context_of_case):
            bars.pause()
            _tell(result)
            failed += result.error is not None
    if failed:
        if len(inputs) > 1:
            warn(f"{failed} of {len(inputs)} inputs failed.")
        raise typer.Exit(LesionError.exit_code)


def _tell(result: CaseResult) -> None:
    for warning in result.warnings:
        warn(f"{result.case}: {warning}")
    if result.error is not None:
        warn(f"Error: {result.path}: {result.error.message}")
    else:
        before = ", done before" if result.resumed else ""
        say(f"{result.case}: {lesions(result.lesions)} in {result.folder}{before}")
