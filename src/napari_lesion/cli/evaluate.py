"""``napari-lesion evaluate``: how good a model is on images that somebody has outlined."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_lesion.cli.console import command, say, show_table, warn
from napari_lesion.cli.options import with_parameters
from napari_lesion.core.errors import LesionError
from napari_lesion.workflow.parameters import DetectParameters, EvaluateParameters

if TYPE_CHECKING:
    from napari_lesion.core.jobs import JobContext
    from napari_lesion.workflow.evaluate import Evaluation

DATALIST_HELP = "Datalist in MONAI's format: image, label and, as far as known, patient and fold."


@command
@with_parameters(choices=EvaluateParameters, parameters=DetectParameters)
def evaluate(
    data: Annotated[Path, typer.Option("--data", metavar="DATALIST.json", help=DATALIST_HELP)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the tables and the page.")],
    choices: EvaluateParameters,
    parameters: DetectParameters,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|BUNDLE", help="Model of `napari-lesion models`, or a bundle folder.", show_default=False
        ),
    ] = None,
) -> None:
    """Measure how good a model is on a datalist.

    Writes metrics.json, cases.csv, lesions.csv and report.html: Dice, HD95, surface Dice and volume error;
    sensitivity, precision and F1 by size, and the FROC curve; accuracy, ROC and calibration where labels are classes.
    All of them with 95 % intervals over patients. A case that cannot be used does not stop the others; the exit code
    is 2 then.
    """
    from napari_lesion.cli.progress import job_bars
    from napari_lesion.workflow.evaluate import EvaluateRequest, conclude, evaluate_cases
    from napari_lesion.workflow.evaluate_report import write_evaluation
    from napari_lesion.workflow.models import find_model

    request = EvaluateRequest(find_model(model), data, choices, parameters)
    with job_bars() as bars:

        def context_of_case(case: str, position: int, count: int) -> JobContext:
            return bars.context(f"{case} ({position + 1} of {count})")

        cases = []
        for case in evaluate_cases(request, context_of_case):
            bars.pause()
            cases.append(case)
            if case.error is not None:
                warn(f"Error: {case.name}: {case.error.message}")
    found = conclude(request, cases)
    written = write_evaluation(found, out)
    for warning in found.warnings:
        warn(f"Note: {warning}.")
    _show(found)
    say(f"Figures in {written.metrics}, page in {written.page}")
    if found.failed:
        warn(f"{len(found.failed)} of {len(cases)} cases failed.")
        raise typer.Exit(LesionError.exit_code)


def _show(found: Evaluation) -> None:
    from napari_lesion.workflow.evaluate_report import TITLES, metrics_record

    figures = metrics_record(found)["figures"]
    rows = [
        [TITLES[name][0], _plain(f["value"]), f"{_plain(f['low'])} to {_plain(f['high'])}", str(f["n"])]
        for name, f in figures.items()
    ]
    show_table(["figure", "value", "95 % interval", "n"], rows)


def _plain(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
