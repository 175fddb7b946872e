"""Write the brain model as a MONAI bundle.

``python -m napari_lesion.training.brain.bundle --run DIR --figures FILE --out DIR`` writes configs, weights, figures
and card of a run.
"""

from __future__ import annotations

import json
import logging
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_lesion.training.brain.record import read_brain_record
from napari_lesion.training.bundle import (
    as_z_scores,
    common_metadata,
    common_own,
    inference_config,
    write_configs,
    write_weights,
)
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.detector.config import CropConfig, build_crop_network
from napari_lesion.training.network import window_gflop

ROI = 96
VERSION = "0.1.0"
UNMEASURED_THRESHOLD = 0.5
MIN_VOLUME_MM3 = 10.0
MAX_SLICE_SPACING_MM = 4.0
"""Thickest slices that the blur of the training stands for."""
TITLE = "Brain FLAIR lesions, MR (experimental)"
FIGURES, TEMPLATE = "figures.json", "brain_card.md.j2"

REFERENCES = [
    "Billot B et al. SynthSeg. Med Image Anal 2023;86:102789. doi:10.1016/j.media.2023.102789",
    "Lesjak Z et al. Neuroinformatics 2018;16:51-63. doi:10.1007/s12021-017-9348-7",
    "Guarnera F et al. MSLesSeg. Sci Data 2025;12. doi:10.1038/s41597-025-05250-y",
]


def brain_inference(network: dict[str, Any], config: CropConfig) -> dict[str, Any]:
    """Content of ``configs/inference.json``: as for nodules, but in z-scores."""
    return as_z_scores(inference_config(network, config.intensity, ROI))


def brain_metadata(config: CropConfig, record: dict[str, Any], figures: dict[str, Any] | None) -> dict[str, Any]:
    """Content of ``configs/metadata.json``.

    Parameters
    ----------
    config
        Configuration of the run.
    record
        What the run learned from.
    figures
        Report of `napari_lesion.training.brain.measure`; None for a run that is only measured.
    """
    common = common_metadata(ROI)
    formats = common["network_data_format"]
    formats["inputs"]["image"] |= {"format": "magnitude", "modality": "MR", "channel_def": {"0": "FLAIR"}}
    formats["outputs"]["pred"]["channel_def"] = {"0": "lesion"}
    own = common_own(config.intensity, ROI)
    chosen = figures["model"] if figures else {}
    return {
        **common,
        "version": VERSION,
        "changelog": {VERSION: "first version"},
        "name": TITLE,
        "task": "Segmentation of hyperintense lesions in brain FLAIR MR",
        "description": "Marks hyperintense lesions, above all of multiple sclerosis, in a FLAIR image of the brain.",
        "data_source": "open_ms_data (Ljubljana), MSLesSeg, SOOP, LESYMAP and the ICBM 152 template",
        "image_classes": "one channel, z-score within the brain, clipped and scaled to 0..1",
        "label_classes": "1 is hyperintense lesion, 0 everything else",
        "pred_classes": "one channel, probability of lesion",
        "eval_metrics": {"mean_dice": chosen["dice"]["mean"], "lesion_f1": chosen["f1"]["mean"]} if figures else {},
        "references": REFERENCES,
        "napari_lesion": {
            **own,
            "title": TITLE,
            "task": "segmentation",
            "organ": "brain",
            "modality": "MR",
            "intensity": {**own["intensity"], "z_score": True},
            "labels": {"1": "hyperintense lesion"},
            "default_threshold": figures["threshold"] if figures else UNMEASURED_THRESHOLD,
            "min_volume_mm3": MIN_VOLUME_MM3,
            "max_slice_spacing_mm": MAX_SLICE_SPACING_MM,
            "window_gflop": round(window_gflop(build_crop_network(config, 3), ROI), 3),
            "operating_points": _operating_points(figures) if figures else [],
            "training_patients": training_patients(record),
        },
    }


def training_patients(record: dict[str, Any]) -> list[str]:
    """Everybody of whom anything was learned: image and outline, or the shape of a lesion alone."""
    return sorted({*record["patients"], *(mask.removesuffix(".nii.gz") for mask in record["masks"])})


def _operating_points(figures: dict[str, Any]) -> list[dict[str, Any]]:
    rows = {row["threshold"]: row for row in figures["thresholds"]}
    measured_on = f"each of {figures['model']['patients']} patients with multiple sclerosis left out in turn"
    return [
        {
            "name": name,
            "threshold": threshold,
            "sensitivity": rows[threshold]["sensitivity"]["mean"],
            "false_marks_per_scan": rows[threshold]["false_marks"]["mean"],
            "measured_on": measured_on,
        }
        for name, threshold in (("sensitive", 0.5), ("default", figures["threshold"]))
    ]


def write_brain_bundle(folder: Path, run: Path, figures: dict[str, Any] | None = None) -> None:
    """Write the bundle of a run; with figures also these and the card.

    Parameters
    ----------
    folder
        Bundle folder.
    run
        Folder of a run; its last weights are taken.
    figures
        Report of `napari_lesion.training.brain.measure`.
    """
    record = read_brain_record(run)
    config = CropConfig.from_json(record["config"])
    network = {**config.network, "spatial_dims": 3, "in_channels": 1, "out_channels": 1}
    metadata = brain_metadata(config, record, figures)
    write_configs(folder, brain_inference(network, config), metadata)
    write_weights(folder, load_weights(run / "weights.pt"))
    if figures is None:
        return
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    write_brain_card(folder, config, record)


def write_brain_card(folder: Path, config: CropConfig, record: dict[str, Any]) -> None:
    """Write ``docs/README.md`` from metadata, figures and what the run learned from."""
    import jinja2

    text = (files("napari_lesion.training.presets") / TEMPLATE).read_text(encoding="utf-8")
    metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    figures = json.loads((folder / "docs" / FIGURES).read_text(encoding="utf-8"))
    network = build_crop_network(config, 3)
    history = folder / "docs" / "history.md"
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    card = environment.from_string(text).render(
        own=metadata["napari_lesion"],
        version=metadata["version"],
        network=config.network["_target_"],
        filters=config.network.get("filters", []),
        parameters=round(sum(p.numel() for p in network.parameters()) / 1e6, 1),
        stretches=config.stretches,
        history=history.read_text(encoding="utf-8") if history.is_file() else "",
        figures=figures,
        chosen=figures["model"],
        patients=record["patients"],
        masks=record["masks"],
        scans=len(record["scans"]),
    )
    (folder / "docs" / "README.md").write_text(card, encoding="utf-8")


def main(
    run: Annotated[Path, typer.Option(help="Folder of the run that left nobody out.")],
    figures: Annotated[Path, typer.Option(help="What napari_lesion.training.brain.measure wrote.")],
    out: Annotated[Path, typer.Option(help="Bundle folder to write.")],
) -> None:
    """Write the bundle of a run."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    write_brain_bundle(out, run, json.loads(figures.read_text(encoding="utf-8")))


if __name__ == "__main__":
    typer.run(main)
