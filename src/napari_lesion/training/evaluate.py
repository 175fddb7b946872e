"""Figures of a bundle on the fold that was held out, in float32, and the threshold that follows from them.

``python -m napari_lesion.training.evaluate --data FOLDER --bundle DIR --out FILE`` writes them as JSON.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_lesion.training.cases import list_cases
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.config import Intensity, load_config
from napari_lesion.training.folds import load_folds
from napari_lesion.training.scenes import Scene, load_scenes
from napari_lesion.training.scoring import (
    AGREED_READERS,
    CUBE_ROI,
    SCAN_ROI,
    Score,
    Summary,
    merit,
    probability_of,
    score_scene,
    summarise,
)

if TYPE_CHECKING:
    import torch

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
log = logging.getLogger(__name__)


def bundle_network(bundle: Path) -> torch.nn.Module:
    """Network of a bundle of ours with its weights, float32, in evaluation mode, on the CPU."""
    from monai.bundle import ConfigParser

    parser = ConfigParser(ConfigParser.load_config_file(bundle / "configs" / "inference.json"))
    network: torch.nn.Module = parser.get_parsed_content("network_def")
    network.load_state_dict(load_weights(bundle / "models" / "model.pt"))
    return network.float().eval()


def held_out_scenes(data: Path, fold: int, intensity: Intensity, cache: Path | None = None) -> list[Scene]:
    """Cubes and whole scans of one fold; slabs are thinner than a window, and their nodules are in the cubes."""
    folds = load_folds()
    cases = [case for case in list_cases(data) if folds.held_out(case.patient_id, fold) and case.kind != "slab"]
    return load_scenes(cases, intensity, cache)


def sweep(network: torch.nn.Module, scenes: Sequence[Scene]) -> list[tuple[Summary, list[Score]]]:
    """Score the scenes at every threshold; the network runs once a scene."""
    table: list[list[Score]] = [[] for _ in THRESHOLDS]
    for scene in scenes:
        roi = CUBE_ROI if scene.case.kind == "cube" else SCAN_ROI
        probability = probability_of(network, scene, roi)
        for row, threshold in zip(table, THRESHOLDS, strict=True):
            row.append(score_scene(scene, probability, threshold))
    return [(summarise(scenes, row), row) for row in table]


def choose_threshold(summaries: Sequence[Summary]) -> float:
    """Threshold of the greatest merit."""
    return max(summaries, key=merit).threshold


def report(scenes: Sequence[Scene], swept: Sequence[tuple[Summary, list[Score]]], fold: int) -> dict[str, Any]:
    """Everything that the model card states, from one sweep."""
    threshold = choose_threshold([summary for summary, _ in swept])
    chosen = next(scores for summary, scores in swept if summary.threshold == threshold)
    cubes = [scene for scene in scenes if scene.case.kind == "cube"]
    return {
        "fold": fold,
        "patients": sorted({scene.case.patient_id for scene in scenes}),
        "cubes": len(cubes),
        "agreed_nodules": sum(scene.case.n_readers >= AGREED_READERS for scene in cubes),
        "scans": [scene.case.name for scene in scenes if scene.case.kind == "scan"],
        "threshold": threshold,
        "thresholds": [plain(summary) for summary, _ in swept],
        "cases": [
            {**plain(score), "kind": scene.case.kind, "n_readers": scene.case.n_readers}
            for scene, score in zip(scenes, chosen, strict=True)
        ],
    }


def plain(scored: Summary | Score) -> dict[str, Any]:
    """Values for JSON, which knows no NaN."""
    values = asdict(scored).items()
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values}


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    bundle: Annotated[Path, typer.Option(help="Bundle folder.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    preset: Annotated[str, typer.Option(help="Preset that the bundle was trained with.")] = "lung_nodule_ct",
    cache: Annotated[Path | None, typer.Option(help="Folder of prepared cases.")] = None,
) -> None:
    """Measure BUNDLE on the fold that its training held out."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    config = load_config(preset)
    scenes = held_out_scenes(data, config.fold, config.intensity, cache)
    swept = sweep(bundle_network(bundle), scenes)
    figures = report(scenes, swept, config.fold)
    out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for summary, _ in swept:
        log.info("%s", summary)
    log.info("threshold %s", figures["threshold"])


if __name__ == "__main__":
    typer.run(main)
