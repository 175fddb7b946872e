"""Both stages together on the fold that was held out, with the readers against each other beside them.

``python -m napari_lesion.training.refiner.measure --data FOLDER --run DIR --first BUNDLE --out FILE``
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from napari_lesion.core.errors import InputError
from napari_lesion.core.grid import Grid
from napari_lesion.inference.refine import CandidateRule, refine
from napari_lesion.inference.resample import ModelFrame
from napari_lesion.inference.sliding import WindowCutter
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.evaluate import bundle_network, held_out_scenes, plain
from napari_lesion.training.network import predict_probability
from napari_lesion.training.refiner.config import CropConfig, build_crop_network, read_record
from napari_lesion.training.refiner.nodules import cube_nodules, reader_dice
from napari_lesion.training.scenes import Scene
from napari_lesion.training.scoring import (
    AGREED_READERS,
    CUBE_ROI,
    SCAN_ROI,
    Score,
    Summary,
    probability_of,
    score_scene,
    summarise,
)

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float32]

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
REFINER_ROI = 48

log = logging.getLogger(__name__)


class TorchWindows:
    """A network as the engine's backend: windows in, probability out; float32, or bfloat16 for speed."""

    name = "torch"

    def __init__(self, network: torch.nn.Module, fast: bool = False) -> None:
        self._network = network.eval()
        self._fast = fast
        self.precision = "bf16" if fast else "float32"
        self.device = str(next(network.parameters()).device)

    def infer(self, windows: FloatArray) -> FloatArray:
        """Probability of lesion of each window (n, 1, x, y, z)."""
        import torch

        kind = self.device.partition(":")[0]
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=self._fast):
            logits = self._network(torch.from_numpy(windows).to(self.device))
        result: FloatArray = torch.sigmoid(logits.float())[:, 0].cpu().numpy()
        return result

    def close(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True, eq=False)
class TwoStages:
    """A first stage that finds and a second that outlines.

    Parameters
    ----------
    first, second
        Networks in evaluation mode.
    rule
        Which marks of the first are looked at again.
    fast
        Compute in bfloat16.
    """

    first: torch.nn.Module
    second: torch.nn.Module
    rule: CandidateRule
    fast: bool = False

    def __call__(self, scene: Scene) -> FloatArray:
        """Probability (x, y, z) of a scene."""
        roi = CUBE_ROI if scene.case.kind == "cube" else SCAN_ROI
        return self.refined(scene, probability_of(self.first, scene, roi, self.fast))

    def refined(self, scene: Scene, dense: FloatArray) -> FloatArray:
        """Second stage around the marks of a first that ran already."""
        whole = (slice(0, scene.image.shape[0]), slice(0, scene.image.shape[1]), slice(0, scene.image.shape[2]))
        x, y, z = scene.image.shape
        frame = ModelFrame(Grid((z, y, x), (1.0, 1.0, 1.0)), whole, (1.0, 1.0, 1.0), (0, 1, 2), (False, False, False))
        cutter = WindowCutter(scene.image.astype(np.float32), frame, (REFINER_ROI,) * 3)
        return refine(dense, cutter, TorchWindows(self.second, self.fast), self.rule, 4)


def alone(network: torch.nn.Module, fast: bool = False) -> Callable[[Scene], FloatArray]:
    """The second stage as its own first one, in overlapping windows: for folds without a first stage."""
    import torch

    def run(scene: Scene) -> FloatArray:
        image = torch.from_numpy(scene.image.astype(np.float32))
        return predict_probability(network, image, REFINER_ROI, fast).numpy()

    return run


def measure(
    scenes: Sequence[Scene], predict: Callable[[Scene], FloatArray]
) -> tuple[list[Summary], list[list[Score]]]:
    """Score the scenes at every threshold; the networks run once a scene."""
    table: list[list[Score]] = [[] for _ in THRESHOLDS]
    for scene in scenes:
        probability = predict(scene)
        for row, threshold in zip(table, THRESHOLDS, strict=True):
            row.append(score_scene(scene, probability, threshold))
    return [summarise(scenes, row) for row in table], table


def last_weights(run: Path, config: CropConfig) -> dict[str, torch.Tensor]:
    """Weights of the last stretch of a run."""
    return load_weights(run / config.stretches[-1].name / "weights.pt")


def readers(scenes: Sequence[Scene]) -> dict[str, float]:
    """Dice of the readers against each other over the nodules that count: mean, median, number."""
    dice = [reader_dice(nodule) for nodule in cube_nodules(scenes) if nodule.n_readers >= AGREED_READERS]
    return {"mean": float(np.mean(dice)), "median": float(np.median(dice)), "nodules": len(dice)}


def report(
    scenes: Sequence[Scene], summaries: Sequence[Summary], table: Sequence[Sequence[Score]], fold: int
) -> dict[str, Any]:
    """Everything that was measured, for JSON."""
    agreement = {nodule.name: reader_dice(nodule) for nodule in cube_nodules(scenes)}
    return {
        "fold": fold,
        "patients": sorted({scene.case.patient_id for scene in scenes}),
        "scans": [scene.case.name for scene in scenes if scene.case.kind == "scan"],
        "cubes": sum(scene.case.kind == "cube" for scene in scenes),
        "agreed_nodules": summaries[0].n_nodules,
        "readers": readers(scenes),
        "thresholds": [plain(summary) for summary in summaries],
        "cases": [
            {
                **plain(score),
                "patient_id": scene.case.patient_id,
                "kind": scene.case.kind,
                "n_readers": scene.case.n_readers,
                "readers_dice": agreement.get(scene.case.name),
            }
            for row in table
            for scene, score in zip(scenes, row, strict=True)
        ],
    }


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    run: Annotated[Path, typer.Option(help="Folder of a run of the second stage.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    first: Annotated[
        Path | None, typer.Option(help="Bundle of the first stage; without it the second searches the cubes alone.")
    ] = None,
    candidates: Annotated[float, typer.Option(help="Probability of the first stage that makes a candidate.")] = 0.3,
) -> None:
    """Measure the two stages on the fold that the training of the second held out."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    config, fold = read_record(run)
    if fold is None:
        raise InputError(f"{run} cannot be measured", "no fold was held out")
    second = build_crop_network(config, 3).eval()
    second.load_state_dict(last_weights(run, config))
    scenes = held_out_scenes(data, fold, config.intensity, run.parent / "scenes")
    if first is None:
        scenes = [scene for scene in scenes if scene.case.kind == "cube"]
    predict = TwoStages(bundle_network(first), second, CandidateRule(candidates)) if first else alone(second)
    summaries, table = measure(scenes, predict)
    out.write_text(json.dumps(report(scenes, summaries, table, fold), indent=1) + "\n", encoding="utf-8")
    for summary in summaries:
        log.info("%s", {key: round(value, 3) for key, value in asdict(summary).items()})
    log.info("readers against each other: %s", readers(scenes))


if __name__ == "__main__":
    typer.run(main)
