"""Figures of the brain model: each patient by a run that has seen nothing of this patient, beside a baseline.

``python -m napari_lesion.training.brain.measure --data FOLDER --runs DIR --out FILE``. What is measured is what the
program does: the engine runs each run's bundle on the FLAIR file.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_lesion.core.errors import InputError
from napari_lesion.core.probability import threshold_byte
from napari_lesion.inference.engine import predict
from napari_lesion.io.masks import read_labels
from napari_lesion.io.read import read_volume
from napari_lesion.models.metadata import read_bundle
from napari_lesion.training.brain.anatomy import load_template
from napari_lesion.training.brain.baseline import sweep_baseline
from napari_lesion.training.brain.bundle import MIN_VOLUME_MM3, write_brain_bundle
from napari_lesion.training.brain.cases import Visit, list_visits, patients_with_sclerosis
from napari_lesion.training.brain.record import read_brain_record
from napari_lesion.training.brain.scores import Sweep, VisitScore, best_threshold, nested, score_visit, summary

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TEMPLATE = "template"
"""Folder of the run that saw no patient's image."""

log = logging.getLogger(__name__)


def sweep(bundle: Path, visits: Sequence[Visit]) -> Sweep:
    """Scores of every visit at every threshold, by the engine of the program."""
    table: Sweep = {threshold: [] for threshold in THRESHOLDS}
    info = read_bundle(bundle)
    for visit in visits:
        volume = read_volume(visit.file("flair"))
        lesion = read_labels(visit.file("lesion")).array > 0
        found = predict(volume, info)
        probability = found.probability.dense()
        for threshold, row in table.items():
            marked = probability >= threshold_byte(threshold)
            names = (visit.name, visit.patient)
            voxel = volume.grid.voxel_volume_mm3
            row.append(score_visit(names, threshold, marked, lesion, voxel, MIN_VOLUME_MM3))
        log.info("%s", [row[-1] for row in table.values() if row[-1].threshold in (0.5, 0.9)])
    return table


def run_without(runs: Path, patient: str) -> Path:
    """Run that a patient is measured by: the one that left the patient out, else that on the template alone.

    Raises
    ------
    InputError
        When there is none, or it has seen an image or a mask of the patient.
    """
    run = runs / patient if (runs / patient).is_dir() else runs / TEMPLATE
    record = read_brain_record(run)
    if patient in record["patients"] or any(mask.startswith(patient) for mask in record["masks"]):
        raise InputError(f"{patient} cannot be measured", f"{run} has learned from this patient")
    return run


def unseen(data: Path, runs: Path) -> Sweep:
    """Every visit of a patient with sclerosis, by a run that has seen nothing of the patient."""
    table: Sweep = {threshold: [] for threshold in THRESHOLDS}
    for patient in patients_with_sclerosis(data):
        visits = [visit for visit in list_visits(data) if visit.patient == patient]
        for threshold, row in _sweep_run(run_without(runs, patient), visits).items():
            table[threshold] += row
    return table


def _sweep_run(run: Path, visits: Sequence[Visit]) -> Sweep:
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "brain_flair_lesion"
        write_brain_bundle(bundle, run)
        return sweep(bundle, visits)


def report(data: Path, runs: Path) -> dict[str, Any]:
    """Everything that the model card states."""
    visits = [visit for visit in list_visits(data) if visit.sclerosis]
    others = [visit for visit in list_visits(data) if not visit.sclerosis]
    table = unseen(data, runs)
    threshold = best_threshold(table)
    stroke = [score for visit in others for score in _sweep_run(run_without(runs, visit.patient), [visit])[threshold]]
    return {
        "threshold": threshold,
        "min_volume_mm3": MIN_VOLUME_MM3,
        "model": _figures(nested(table)),
        "baseline": _figures(nested(sweep_baseline(visits, load_template(data), MIN_VOLUME_MM3))),
        "thresholds": [{"threshold": t, **summary(row)} for t, row in table.items()],
        "stroke": [score.record() for score in stroke],
    }


def _figures(scores: Sequence[VisitScore]) -> dict[str, Any]:
    return {**summary(scores), "visits": [score.record() for score in scores]}


def main(
    data: Annotated[Path, typer.Option(help="Folder with brain_flair and brain_background.")],
    runs: Annotated[Path, typer.Option(help="Folder with the run 'template', or one for each patient left out.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
) -> None:
    """Measure the runs."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    figures = report(data, runs)
    out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for row in figures["thresholds"]:
        log.info("%s", row)
    for name in ("model", "synthetic_only", "baseline"):
        log.info("%s: %s", name, {key: value for key, value in figures[name].items() if key != "visits"})


if __name__ == "__main__":
    typer.run(main)
