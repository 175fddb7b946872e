"""Write the second stage as a bundle, and name it in the bundle of the first.

``python -m napari_lesion.training.refiner.bundle --data FOLDER --run DIR --first BUNDLE --out DIR`` measures both
stages together on the fold that was held out, writes the bundle of the second, and makes the first use it.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_lesion.core.errors import InputError
from napari_lesion.inference.refine import CandidateRule
from napari_lesion.training.bundle import (
    common_metadata,
    common_own,
    half_precision,
    inference_config,
    operating_points,
    write_configs,
    write_weights,
)
from napari_lesion.training.card import write_card
from napari_lesion.training.cases import list_cases
from napari_lesion.training.config import load_config
from napari_lesion.training.evaluate import bundle_network, held_out_scenes
from napari_lesion.training.folds import N_FOLDS, load_folds
from napari_lesion.training.refiner.config import CropConfig, build_crop_network, read_record
from napari_lesion.training.refiner.measure import (
    REFINER_ROI,
    TwoStages,
    last_weights,
    measure,
    report,
)
from napari_lesion.training.refiner.nodules import slice_nodules

if TYPE_CHECKING:
    import torch

TEMPLATE = "refiner_card.md.j2"
FIGURES = "two_stages.json"
VERSION = "0.1.0"
FIRST_VERSION = "0.2.0"
"""Version of the first stage from which on it uses the second."""
THRESHOLD = 0.5
"""Set before any figure was seen: the probability stands for the share of the readers."""

log = logging.getLogger(__name__)


def trained_patients(data: Path, config: CropConfig, fold: int) -> list[str]:
    """Patients whose slices, cubes or scans were trained on when ``fold`` was held out."""
    folds = load_folds()
    patients = {case.patient_id for case in list_cases(data) if case.kind != "slab"}
    if any(stretch.data == "slices" for stretch in config.stretches):
        patients |= {nodule.patient_id for nodule in slice_nodules(data / "lidc_slices", config.intensity)}
    return sorted(patient for patient in patients if not folds.held_out(patient, fold))


def write_refiner(
    folder: Path,
    config: CropConfig,
    weights: dict[str, torch.Tensor],
    figures: dict[str, Any],
    patients: Sequence[str],
) -> None:
    """Write configs, weights, figures and card of the second stage.

    Parameters
    ----------
    folder
        Bundle folder.
    config
        Configuration of the run.
    weights
        Its weights.
    figures
        Both stages together, by `measure_both`.
    patients
        Patients that were trained on.
    """
    network = {**config.network, "spatial_dims": 3, "in_channels": 1, "out_channels": 1}
    metadata = {
        **common_metadata(REFINER_ROI),
        "version": VERSION,
        "changelog": {VERSION: f"first version, fold {figures['fold']} held out"},
        "name": "Outlines of lung nodules, CT",
        "description": "Outlines the nodule around a mark of lung_nodule_ct, or finds that there is none.",
        "eval_metrics": {"mean_dice": round(_chosen(figures)["dice"], 3)},
        "napari_lesion": {
            **common_own(config.intensity, REFINER_ROI),
            "title": "Outlines of lung nodules, CT",
            "task": "refinement",
            "default_threshold": figures["threshold"],
            "training_patients": list(patients),
        },
    }
    write_configs(folder, inference_config(network, config.intensity, REFINER_ROI), metadata)
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    write_weights(folder, weights)
    write_refiner_card(folder, config)


def write_refiner_card(folder: Path, config: CropConfig) -> None:
    """Write ``docs/README.md`` of the second stage from its metadata, figures and ``docs/history.md``."""
    import jinja2

    text = (files("napari_lesion.training.presets") / TEMPLATE).read_text(encoding="utf-8")
    metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    figures = json.loads((folder / "docs" / FIGURES).read_text(encoding="utf-8"))
    history = folder / "docs" / "history.md"
    network = build_crop_network(config, 3)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    card = environment.from_string(text).render(
        own=metadata["napari_lesion"],
        version=metadata["version"],
        network=config.network["_target_"],
        parameters=round(sum(p.numel() for p in network.parameters()) / 1e6, 1),
        stretches=config.stretches,
        figures=figures,
        history=history.read_text(encoding="utf-8") if history.is_file() else "",
        trained_folds=[fold for fold in range(N_FOLDS) if fold != figures["fold"]],
    )
    (folder / "docs" / "README.md").write_text(card, encoding="utf-8")


def attach(first: Path, second: str, figures: dict[str, Any]) -> None:
    """Make the bundle of the first stage use the second, with the threshold and the figures of both together.

    Parameters
    ----------
    first
        Bundle folder; its metadata is changed.
    second
        Name of the bundle of the second stage, in the folder beside it.
    figures
        Both stages together, by `measure_both`.
    """
    path = first / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    chosen = _chosen(figures)
    metadata["version"] = FIRST_VERSION
    metadata["changelog"][FIRST_VERSION] = f"its marks are outlined by {second}"
    metadata["eval_metrics"] = {"mean_dice": round(chosen["dice"], 3), "sensitivity": round(chosen["sensitivity"], 3)}
    metadata["napari_lesion"] |= {
        "default_threshold": figures["threshold"],
        "operating_points": operating_points(figures),
        "refinement": {
            "bundle": second,
            "candidates_at": figures["candidates"],
            "min_volume_mm3": figures["min_volume_mm3"],
        },
    }
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def measure_both(data: Path, run: Path, first: Path, candidates: float) -> dict[str, Any]:
    """Figures of both stages together on the fold that the run held out, with weights as they ship.

    Parameters
    ----------
    data
        Folder of the data.
    run
        Run of the second stage.
    first
        Bundle of the first stage, trained without the same fold.
    candidates
        Probability of the first stage that makes a candidate.
    """
    config, fold = read_record(run)
    if fold is None:
        raise InputError(f"{run} cannot be measured", "no fold was held out")
    network = build_crop_network(config, 3)
    network.load_state_dict(half_precision(last_weights(run, config)))
    scenes = held_out_scenes(data, fold, config.intensity, run.parent / "scenes")
    rule = CandidateRule(candidates)
    summaries, table = measure(scenes, TwoStages(bundle_network(first), network.eval(), rule))
    return {
        **report(scenes, summaries, table, fold),
        "threshold": THRESHOLD,
        "candidates": candidates,
        "min_volume_mm3": rule.min_voxels,
    }


def _chosen(figures: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = next(row for row in figures["thresholds"] if row["threshold"] == figures["threshold"])
    return row


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    run: Annotated[Path, typer.Option(help="Folder of a run of the second stage.")],
    first: Annotated[Path, typer.Option(help="Bundle of the first stage; its metadata is changed.")],
    out: Annotated[Path, typer.Option(help="Bundle folder to write, beside the first.")],
    candidates: Annotated[float, typer.Option(help="Probability of the first stage that makes a candidate.")] = 0.3,
    first_preset: Annotated[
        str, typer.Option(help="Preset that the first stage was trained with.")
    ] = "lung_nodule_ct",
) -> None:
    """Measure both stages and write the bundle of the second."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    if out.resolve().parent != first.resolve().parent:
        raise InputError(f"{out} cannot be the second stage of {first}", "the two must lie in one folder")
    config, fold = read_record(run)
    figures = measure_both(data, run, first, candidates)
    write_refiner(out, config, last_weights(run, config), figures, trained_patients(data, config, figures["fold"]))
    shutil.copy(first / "LICENSE", out / "LICENSE")
    attach(first, out.name, figures)
    folds = load_folds()
    stage = load_config(first_preset)
    trained = [case for case in list_cases(data) if not folds.held_out(case.patient_id, stage.fold)]
    write_card(first, stage, trained)
    log.info("fold %s: %s", fold, _chosen(figures))


if __name__ == "__main__":
    typer.run(main)
