"""``napari-lesion evaluate``: how good a model is on images that somebody has outlined."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_lesion.cli.console import command, say, show_table, warn
from napari_lesion.cli.options import with_parameters
from napari_lesion.core.errors import LesionError
from napari_lesion.workflow.parameters import DetectParameters, EvaluateParameters

if TYPE_CHECKING:
    from napari_lesion.cli.progress import JobBars
    from napari_lesion.core.jobs import JobContext
    from napari_lesion.workflow.evaluate import Evaluation
    from napari_lesion.workflow.evaluate_case import EvaluatedCase

Asked = tuple[Path, EvaluateParameters, DetectParameters]

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
    from napari_lesion.workflow.evaluate_ratings import find_rating_bundle
    from napari_lesion.workflow.evaluate_report import write_evaluation

    rating = find_rating_bundle(model)
    with job_bars() as bars:
        found = (
            _detector(model, (data, choices, parameters), bars)
            if rating is None
            else _rater(rating, (data, choices, parameters), bars)
        )
    written = write_evaluation(found, out)
    for warning in found.warnings:
        warn(f"Note: {warning}.")
    _show(found)
    say(f"Figures in {written.metrics}, page in {written.page}")
    if found.failed:
        warn(f"{len(found.failed)} of {len(found.cases)} cases failed.")
        raise typer.Exit(LesionError.exit_code)


def _detector(model: str | None, asked: Asked, bars: JobBars) -> Evaluation:
    from napari_lesion.workflow.evaluate import EvaluateRequest, conclude, evaluate_cases
    from napari_lesion.workflow.models import find_model

    request = EvaluateRequest(find_model(model), *asked)
    cases = []
    for case in evaluate_cases(request, partial(_context, bars)):
        _tell(bars, case)
        cases.append(case)
    return conclude(request, cases)


def _rater(path: Path, asked: Asked, bars: JobBars) -> Evaluation:
    from napari_lesion.workflow.evaluate import EvaluateRequest
    from napari_lesion.workflow.evaluate_ratings import evaluate_ratings, open_rating_bundle

    classifier = open_rating_bundle(path)
    request = EvaluateRequest(classifier.info, *asked)
    return evaluate_ratings(request, classifier, partial(_context, bars), partial(_tell, bars))


def _context(bars: JobBars, case: str, position: int, count: int) -> JobContext:
    return bars.context(f"{case} ({position + 1} of {count})")


def _tell(bars: JobBars, case: EvaluatedCase) -> None:
    bars.pause()
    if case.error is not None:
        warn(f"Error: {case.name}: {case.error.message}")


def _show(found: Evaluation) -> None:
    from napari_lesion.workflow.evaluate_report import metrics_record

    record = metrics_record(found)
    for name, question in record.get("questions", {"": record}).items():
        if name:
            say(f"{name.capitalize()}:")
        _show_figures(question["figures"])


def _show_figures(figures: dict[str, Any]) -> None:
    from napari_lesion.workflow.evaluate_report import TITLES

    rows = [
        [TITLES[name][0], _plain(f["value"]), f"{_plain(f['low'])} to {_plain(f['high'])}", str(f["n"])]
        for name, f in figures.items()
    ]
    show_table(["figure", "value", "95 % interval", "n"], rows)


def _plain(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
