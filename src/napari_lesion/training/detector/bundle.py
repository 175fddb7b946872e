"""Write a trained detector as a bundle, with the figures of the folds and its card.

``python -m napari_lesion.training.detector.bundle REPORTS... --data FOLDER --run DIR --out DIR`` takes the weights of
a run that held nothing out, and the reports of the runs that held out one fold each.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_lesion.core.errors import InputError
from napari_lesion.io.fingerprint import voxel_sha256
from napari_lesion.io.read import read_volume
from napari_lesion.models.bundle import MarkScore
from napari_lesion.models.metadata import STAGES
from napari_lesion.models.training_data import TRAINING_DATA
from napari_lesion.training.bundle import (
    common_metadata,
    common_own,
    inference_config,
    write_configs,
    write_weights,
)
from napari_lesion.training.cases import Case, list_cases
from napari_lesion.training.detector.config import SECOND, CropConfig, build_crop_network, read_record
from napari_lesion.training.detector.measure import LEVELS
from napari_lesion.training.detector.nodules import slice_nodules, split
from napari_lesion.training.detector.pool import final_score, pool, read_folds
from napari_lesion.training.detector.searcher import CANDIDATES, configs_of, last_weights
from napari_lesion.training.folds import load_folds
from napari_lesion.training.network import window_gflop

if TYPE_CHECKING:
    import torch

TEMPLATE = "detector_card.md.j2"
FIGURES = "figures.json"
WHOLE_SCAN = "whole_scan.json"
HISTORY = "history.md"
GALLERY = "gallery.json"
"""What `napari_lesion.training.detector.gallery` says of its pictures."""
VERSION = "0.3.0"
CHANGES = {
    "0.1.0": "first version, trained on folds 1 to 4",
    "0.2.0": "begun on slices of many patients, transplanted nodules, marks judged as a whole, all folds",
    VERSION: "a second network of another kind looks again at each mark of the first",
}
TITLE = "Lung nodules, CT"
SENSITIVE, SPECIFIC = 0.05, 0.5

log = logging.getLogger(__name__)


def training_cases(data: Path, configs: Sequence[CropConfig], fold: int | None = None) -> list[Case]:
    """Volumes that a run is trained on which holds this fold out, or none."""
    folds = load_folds()
    slabs = any(stretch.slabs for config in configs for stretch in config.stretches)
    cases = [case for case in list_cases(data) if slabs or case.kind != "slab"]
    return [case for case in cases if fold is None or not folds.held_out(case.patient_id, fold)]


def training_patients(data: Path, configs: Sequence[CropConfig], fold: int | None = None) -> list[str]:
    """Everybody whose slices, cubes or scans such a run has seen."""
    patients = {case.patient_id for case in training_cases(data, configs, fold)}
    if any(stretch.data == "slices" for config in configs for stretch in config.stretches):
        train, _ = split(list(slice_nodules(data / "lidc_slices", configs[0].intensity)), fold)
        patients |= {nodule.patient_id for nodule in train}
    return sorted(patients)


def metadata(
    config: CropConfig, network: torch.nn.Module, figures: dict[str, Any], score: MarkScore, patients: Sequence[str]
) -> dict[str, Any]:
    """Content of ``configs/metadata.json``.

    Parameters
    ----------
    config
        Configuration of the run.
    network
        Its network.
    figures
        By `napari_lesion.training.detector.pool.pool`.
    score
        Logistic model of the marks.
    patients
        Patients that were trained on.
    """
    return {
        **common_metadata(config.window),
        "version": VERSION,
        "changelog": CHANGES,
        "name": TITLE,
        "description": "Marks lung nodules of about 4 to 30 mm in chest CT and gives each mark a probability.",
        "eval_metrics": {
            "mean_dice": round(figures["dice"]["value"], 3),
            "sensitivity": round(figures["sensitivity"]["value"], 3),
        },
        "napari_lesion": {
            **common_own(config.intensity, config.window),
            "title": TITLE,
            "task": "segmentation",
            "default_threshold": figures["threshold"],
            "window_gflop": round(window_gflop(network, config.window), 3),
            "mark_score": asdict(score),
            "operating_points": operating_points(figures),
            "training_patients": list(patients),
        },
    }


def second_metadata(config: CropConfig, network: torch.nn.Module, patients: Sequence[str]) -> dict[str, Any]:
    """Content of ``configs/metadata.json`` of the second network, which lies inside the bundle of the first."""
    return {
        **common_metadata(config.window),
        "version": VERSION,
        "changelog": {VERSION: CHANGES[VERSION]},
        "name": f"{TITLE}, second network",
        "description": "Looks again at each mark of lung_nodule_ct; its figures are those of both together.",
        "napari_lesion": {
            **common_own(config.intensity, config.window),
            "title": f"{TITLE}, second network",
            "task": "segmentation",
            "window_gflop": round(window_gflop(network, config.window), 3),
            "training_patients": list(patients),
        },
    }


def refinement(config: CropConfig) -> dict[str, Any]:
    """What the metadata of the first network say of the second."""
    return {
        "bundle": config.name,
        "candidates_at": CANDIDATES.threshold,
        "min_volume_mm3": CANDIDATES.min_voxels,
        "combine": CANDIDATES.combine,
        "flipped": CANDIDATES.flipped,
    }


def operating_points(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Sensitive, default and specific threshold with what was measured at each."""
    rows = {row["threshold"]: row for row in figures["thresholds"]}
    scans = len(next(iter(rows.values()))["marks_by_scan"])
    measured_on = (
        f"folds {', '.join(map(str, figures['folds']))}, each by a model that saw nothing of it: "
        f"{figures['nodules']} nodules of three and more readers in 51 mm cubes; false marks: {scans} whole scans"
    )
    return [
        {
            "name": name,
            "threshold": threshold,
            "sensitivity": round(rows[threshold]["sensitivity"], 4),
            "false_marks_per_scan": round(_mean(list(rows[threshold]["marks_by_scan"].values())), 2),
            "measured_on": measured_on,
        }
        for name, threshold in (("sensitive", SENSITIVE), ("default", figures["threshold"]), ("specific", SPECIFIC))
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def write_training_data(folder: Path, cases: Sequence[Case], patients: Sequence[str]) -> None:
    """Write which patients and which volumes were trained on, with a hash of each volume's voxels."""
    rows = [{"patient": case.patient_id, "image_sha256": voxel_sha256(read_volume(case.image))} for case in cases]
    known = {case.patient_id for case in cases}
    rows += [{"patient": patient, "image_sha256": ""} for patient in patients if patient not in known]
    content = {"schema_version": 1, "cases": rows}
    (folder / TRAINING_DATA).parent.mkdir(parents=True, exist_ok=True)
    (folder / TRAINING_DATA).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_card(folder: Path, configs: Sequence[CropConfig]) -> None:
    """Write ``docs/README.md`` from the metadata and the files in ``docs``; whole scan and gallery may be missing."""
    import jinja2

    text = (files("napari_lesion.training.presets") / TEMPLATE).read_text(encoding="utf-8")
    stated = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    docs = folder / "docs"
    scan, gallery, history = docs / WHOLE_SCAN, docs / GALLERY, docs / HISTORY
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    card = environment.from_string(text).render(
        own=stated["napari_lesion"],
        version=stated["version"],
        networks=[_described(config) for config in configs],
        window=configs[0].intensity,
        figures=json.loads((docs / FIGURES).read_text(encoding="utf-8")),
        scan=json.loads(scan.read_text(encoding="utf-8")) if scan.is_file() else None,
        gallery=json.loads(gallery.read_text(encoding="utf-8")) if gallery.is_file() else None,
        history=history.read_text(encoding="utf-8") if history.is_file() else "",
    )
    (docs / "README.md").write_text(card, encoding="utf-8")


def _described(config: CropConfig) -> dict[str, Any]:
    parameters = sum(p.numel() for p in build_crop_network(config, 3).parameters())
    return {**asdict(config), "millions": round(parameters / 1e6, 1)}


def write_network(folder: Path, run: Path, stated: dict[str, Any]) -> None:
    """Write configs and weights of one network."""
    config, _ = read_record(run)
    definition = {**config.network, "spatial_dims": 3, "in_channels": 1, "out_channels": 1}
    write_configs(folder, inference_config(definition, config.intensity, config.window), stated)
    write_weights(folder, last_weights(run, config))


def write_detector(
    folder: Path, run: Path, figures: dict[str, Any], score: MarkScore, patients: Sequence[str]
) -> None:
    """Write configs and weights of the network or of both, figures and card; the licence stands beside them."""
    configs = configs_of(run)
    stated = metadata(configs[0], build_crop_network(configs[0], 3), figures, score, patients)
    for config in configs[1:]:
        inner = folder / STAGES / config.name
        inner.mkdir(parents=True, exist_ok=True)
        write_network(inner, run / SECOND, second_metadata(config, build_crop_network(config, 3), patients))
        stated["napari_lesion"]["refinement"] = refinement(config)
    write_network(folder, run, stated)
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    write_card(folder, configs)


def write_run(
    reports: Sequence[Path], data: Path, run: Path, out: Path, level: float, threshold: float | None
) -> None:
    """Write the bundle of a run; where it held a fold out, the marks' model and the patients are those of the others.

    Parameters
    ----------
    reports, data, run, out, level, threshold
        As for `main`.
    """
    _, fold = read_record(run)
    configs, folds = configs_of(run), read_folds(reports)
    figures = pool(folds, level, threshold)
    score = final_score({other: cases for other, cases in folds.items() if other != fold}, level)
    patients = training_patients(data, configs, fold)
    write_training_data(out, training_cases(data, configs, fold), patients)
    write_detector(out, run, figures, score, patients)


def main(
    reports: Annotated[list[Path], typer.Argument(help="JSON files of the folds, by detector.measure.")],
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    run: Annotated[Path, typer.Option(help="Folder of the run that held nothing out.")],
    out: Annotated[Path, typer.Option(help="Bundle folder to write.")],
    level: Annotated[float, typer.Option(help=f"Level of the marks: one of {LEVELS}.")] = LEVELS[0],
    threshold: Annotated[
        float | None, typer.Option(help="Probability from which a mark is shown; else the largest that finds 95 %.")
    ] = None,
) -> None:
    """Write the bundle of a detector."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _, fold = read_record(run)
    if fold is not None:
        raise InputError(f"{run} cannot be shipped", f"it held fold {fold} out", "Train with --fold -1")
    write_run(reports, data, run, out, level, threshold)


if __name__ == "__main__":
    typer.run(main)
