"""What an evaluation writes: metrics.json, cases.csv, lesions.csv and report.html."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from napari_lesion.core.table import Value
from napari_lesion.evaluation.bootstrap import RESAMPLES, SEED
from napari_lesion.evaluation.classes import ClassSummary
from napari_lesion.evaluation.detection import CPM_RATES
from napari_lesion.evaluation.summary import MeanFigure
from napari_lesion.io.atomic import write_text
from napari_lesion.io.records import write_json
from napari_lesion.io.tables import write_rows
from napari_lesion.models.safety import sha256_of
from napari_lesion.workflow.evaluate import Evaluation
from napari_lesion.workflow.evaluate_case import SWEPT_FROM, EvaluatedCase
from napari_lesion.workflow.export import make_folder
from napari_lesion.workflow.record import library_versions, product_record

METRICS: Final = "metrics.json"
CASES: Final = "cases.csv"
LESIONS: Final = "lesions.csv"
PAGE: Final = "report.html"
TEMPLATE: Final = "evaluation.html.j2"

CASE_COLUMNS: Final = (
    "case", "patient", "fold", "dice", "hd95_mm", "surface_dice", "volume_true_mm3", "volume_found_mm3",
    "volume_error_percent", "lesions", "found", "hits", "false_marks", "sensitivity", "precision", "f1", "class",
    "score", "leak", "seconds", "error",
)  # fmt: skip
LESION_COLUMNS: Final = ("case", "patient", "lesion", "diameter_mm", "found", "best_iou", "dice", "score")

TITLES: Final = {
    "dice": ("Dice of the image", "all marks against all lesions; images without a lesion are left out"),
    "hd95_mm": ("HD95, mm", "95th percentile of the surface distance; images without a mark are left out"),
    "surface_dice": ("Surface Dice", "share of both surfaces within the tolerance"),
    "volume_error_percent": ("Volume error, %", "found less true volume, per cent of the true one"),
    "volume_error_absolute_percent": ("Volume error, absolute, %", "the same without its sign"),
    "lesion_dice": ("Dice of a lesion", "each lesion against the marks that touch it; a missed one counts 0"),
    "sensitivity": ("Sensitivity", "share of the lesions that a mark hits"),
    "precision": ("Precision", "share of the marks that hit a lesion"),
    "f1": ("F1", "harmonic mean of the two"),
    "false_marks_per_image": ("False marks an image", "marks that hit nothing"),
    "cpm": ("CPM", "mean sensitivity at 1/8 to 8 false marks an image"),
    "accuracy": ("Accuracy", "share decided rightly"),
    "recall": ("Recall", "share of class 1 that is called 1"),
    "specificity": ("Specificity", "share of class 0 that is called 0"),
    "balanced_accuracy": ("Balanced accuracy", "mean of the shares decided rightly of each class"),
    "roc_auc": ("ROC AUC", "area under the ROC curve"),
    "ece": ("ECE", "expected calibration error, ten bins of equal width"),
}
"""Words for each figure, and what it is."""


@dataclass(frozen=True)
class Written:
    """Files of an evaluation."""

    metrics: Path
    cases: Path
    page: Path


def write_evaluation(found: Evaluation, out: Path) -> Written:
    """Write everything, each file atomically.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    make_folder(out)
    record = metrics_record(found)
    write_json(out / METRICS, record)
    write_rows(out / CASES, CASE_COLUMNS, [_case_row(case) for case in found.cases])
    if found.outlines:
        write_rows(out / LESIONS, LESION_COLUMNS, _lesion_rows(found.cases))
    write_text(out / PAGE, _page(found, record))
    return Written(out / METRICS, out / CASES, out / PAGE)


def metrics_record(found: Evaluation) -> dict[str, Any]:
    """Content of metrics.json."""
    request = found.request
    record: dict[str, Any] = {
        **product_record(),
        "model": {
            "name": request.model.name,
            "version": request.model.version,
            "identity": request.model.identity,
            "sha256": request.model.weights_sha256,
        },
        "data": {
            "datalist": request.datalist.name,
            "sha256": sha256_of(request.datalist),
            "cases": len(found.cases),
            "evaluated": len(found.cases) - len(found.failed),
            "patients": len({case.case.patient or case.name for case in found.cases if case.error is None}),
        },
        "choices": {
            **asdict(request.choices),
            **asdict(request.parameters),
            "threshold": request.threshold,
            "froc_marks_from": min(SWEPT_FROM, request.threshold),
        },
        "intervals": {"level": 0.95, "resamples": RESAMPLES, "seed": SEED, "unit": "patient"},
        "warnings": list(found.warnings),
        "cases": [_case_row(case) for case in found.cases],
        "versions": library_versions(),
    }
    if found.outlines:
        record |= _outline_record(found)
    if found.classes:
        record["questions"] = {name: _question(summary) for name, summary in found.classes.items()}
        record["figures"] = next(iter(record["questions"].values()))["figures"]
    return record


def _question(summary: ClassSummary) -> dict[str, Any]:
    content = asdict(summary)
    return {**content, "figures": {name: {**value, "n": summary.n} for name, value in content["figures"].items()}}


def _outline_record(found: Evaluation) -> dict[str, Any]:
    assert found.outlines is not None
    return {
        "figures": {name: _figure(figure) for name, figure in found.outlines.figures.items()},
        "counts": asdict(found.outlines.counts),
        "by_size": [
            {
                "diameter_from_mm": group.low_mm,
                "diameter_to_mm": group.high_mm,
                **asdict(group.counts),
                "figures": {name: _figure(figure) for name, figure in group.figures.items()},
            }
            for group in found.outlines.sizes
        ],
        "froc": {**asdict(found.outlines.froc), "rates": CPM_RATES},
    }


def _figure(figure: MeanFigure) -> dict[str, Any]:
    return {**asdict(figure.interval), "n": figure.n, "median": figure.median}


def _case_row(done: EvaluatedCase) -> dict[str, Value]:
    row: dict[str, Value] = {
        "case": done.name,
        "patient": done.case.patient,
        "fold": done.case.fold,
        "leak": done.leak,
        "seconds": round(done.seconds, 2),
        "error": done.error.message if done.error else "",
    }
    if isinstance(done.case.label, float):
        row |= {"class": int(done.case.label), "score": done.score}
    if done.figures is None:
        return row
    counts = done.figures.matching.counts
    return row | {
        **asdict(done.figures.mask),
        "volume_error_percent": done.figures.mask.volume_error_percent,
        "lesions": counts.lesions,
        "found": counts.found,
        "hits": counts.hits,
        "false_marks": counts.false,
        "sensitivity": counts.sensitivity,
        "precision": counts.precision,
        "f1": counts.f1,
        "score": done.score,
    }


def _lesion_rows(cases: Sequence[EvaluatedCase]) -> Iterator[dict[str, Value]]:
    for done in cases:
        for lesion in done.figures.matching.lesions if done.figures else ():
            yield {
                "case": done.name,
                "patient": done.case.patient,
                "lesion": lesion.label,
                "diameter_mm": lesion.diameter_mm,
                "found": int(lesion.found),
                "best_iou": lesion.best_iou,
                "dice": lesion.dice,
                "score": lesion.score,
            }


def gallery(found: Evaluation, each: int = 3) -> dict[str, list[EvaluatedCase]]:
    """The best, the median and the worst cases by Dice; no case twice."""
    ordered = sorted(
        (case for case in found.cases if case.figures and not math.isnan(case.figures.mask.dice)),
        key=lambda case: case.figures.mask.dice if case.figures else 0.0,
        reverse=True,
    )
    each = min(each, max(1, len(ordered) // 3))
    middle = max(0, len(ordered) // 2 - each // 2)
    groups = {"Best": ordered[:each], "Worst": ordered[-each:][::-1] if len(ordered) > each else []}
    taken = {case.name for group in groups.values() for case in group}
    median = [case for case in ordered[middle : middle + each] if case.name not in taken]
    return {"Best": groups["Best"], "Median": median, "Worst": groups["Worst"]}


def _page(found: Evaluation, record: dict[str, Any]) -> str:
    import jinja2

    text = (files("napari_lesion.workflow") / TEMPLATE).read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True)
    return environment.from_string(text).render(
        found=found,
        record=record,
        titles=TITLES,
        gallery=gallery(found),
        curves=_curves(found),
        columns=CASE_COLUMNS,
    )


def _curves(found: Evaluation) -> dict[str, list[tuple[float, float]]]:
    """Points (x, y) of each plot of the page."""
    curves: dict[str, list[tuple[float, float]]] = {}
    if found.outlines:
        froc = found.outlines.froc
        curves["froc"] = list(zip(froc.false_per_image, froc.sensitivity, strict=True))
        known = [case.figures.mask.dice for case in found.cases if case.figures]
        ordered = sorted((value for value in known if not math.isnan(value)), reverse=True)
        curves["dice"] = [((place + 0.5) / len(ordered), value) for place, value in enumerate(ordered)]
    for name, summary in found.classes.items():
        curves[name] = [(bar.predicted, bar.observed) for bar in summary.bins if bar.count]
    return curves
