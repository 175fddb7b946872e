"""What a run finds on the fold that it held out: every mark, how it looks, and what it touches.

``python -m napari_lesion.training.detector.measure --data FOLDER --run DIR --out FILE``
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from napari_lesion.core.errors import InputError
from napari_lesion.inference.marks import Mark, find_marks
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.nodules import cube_nodules, reader_dice
from napari_lesion.training.detector.searcher import Searcher
from napari_lesion.training.evaluate import held_out_scenes
from napari_lesion.training.mine import AIR_HU
from napari_lesion.training.scenes import IGNORE, LESION, Scene

FloatArray = npt.NDArray[np.float32]

LEVELS = (0.3, 0.5)
"""Probabilities from which a voxel is taken to belong to a mark."""
MIN_VOXELS = 30
"""Smaller marks are not counted; voxels of 1 mm³."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeenMark:
    """One mark on a held-out case.

    Parameters
    ----------
    features
        In the order of `napari_lesion.models.bundle.MARK_FEATURES`.
    voxels, overlap
        Its size, and how much of it lies in the outlined lesion.
    iou
        Intersection over union with the outlined lesion.
    doubtful
        Whether it touches a place where a lesion may be, and not the outlined one.
    """

    features: tuple[float, ...]
    voxels: int
    overlap: int
    iou: float
    doubtful: bool


@dataclass(frozen=True)
class SeenCase:
    """One held-out case.

    Parameters
    ----------
    name, patient_id, kind, n_readers
        As `napari_lesion.training.cases.Case`.
    readers_dice
        Dice of its readers against each other; None where fewer than two outlined it.
    lesion_voxels
        Size of the outlined lesion; 0 where nothing was outlined.
    marks
        Marks by level.
    """

    name: str
    patient_id: str
    kind: str
    n_readers: int
    readers_dice: float | None
    lesion_voxels: int
    marks: dict[str, list[SeenMark]]


def see_case(scene: Scene, probability: FloatArray, intensity: Intensity, readers_dice: float | None) -> SeenCase:
    """List the marks of one case."""
    return SeenCase(
        name=scene.case.name,
        patient_id=scene.case.patient_id,
        kind=scene.case.kind,
        n_readers=scene.case.n_readers,
        readers_dice=readers_dice,
        lesion_voxels=int((scene.label == LESION).sum()),
        marks={str(level): seen_marks(scene, probability, intensity, level) for level in LEVELS},
    )


def seen_marks(scene: Scene, probability: FloatArray, intensity: Intensity, level: float) -> list[SeenMark]:
    """Marks of a case at one level."""
    return [seen for _, seen in marks_in_place(scene, probability, intensity, level)]


def marks_in_place(
    scene: Scene, probability: FloatArray, intensity: Intensity, level: float
) -> Iterator[tuple[Mark, SeenMark]]:
    """Marks of a case at one level, each with where it lies."""
    total, air = int((scene.label == LESION).sum()), intensity.scaled(AIR_HU)
    for mark in find_marks(probability, scene.image, air, (1.0, 1.0, 1.0), level, MIN_VOXELS):
        label = scene.label[mark.box][mark.mask]
        voxels, overlap = int(mark.mask.sum()), int((label == LESION).sum())
        doubtful = not overlap and bool((label == IGNORE).any())
        iou = overlap / (voxels + total - overlap)
        yield mark, SeenMark(tuple(map(float, mark.features)), voxels, overlap, iou, doubtful)


def measure(searcher: Searcher, scenes: Sequence[Scene]) -> list[SeenCase]:
    """Search held-out cases, in float32."""
    agreement = {nodule.name: reader_dice(nodule) for nodule in cube_nodules(scenes)}
    return [
        see_case(scene, searcher.probability(scene), searcher.intensity, agreement.get(scene.case.name))
        for scene in scenes
    ]


def read_report(path: Path) -> tuple[int, list[SeenCase]]:
    """Fold and cases of a report.

    Raises
    ------
    InputError
        When the file is no such report.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return int(content["fold"]), [_case(case) for case in content["cases"]]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no report of a fold", str(error)) from error


def _case(content: dict[str, Any]) -> SeenCase:
    marks = {
        level: [SeenMark(**{**mark, "features": tuple(mark["features"])}) for mark in marks]
        for level, marks in content["marks"].items()
    }
    return SeenCase(**{**content, "marks": marks})


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    run: Annotated[Path, typer.Option(help="Folder of a run.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
) -> None:
    """Measure a run on the cubes and the scans of the fold that it held out."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    searcher = Searcher.of(run)
    fold = searcher.fold
    if fold is None:
        raise InputError(f"{run} cannot be measured", "no fold was held out")
    scenes = held_out_scenes(data, fold, searcher.intensity, run.parent / "scenes")
    cases = measure(searcher, scenes)
    report = {"fold": fold, "levels": LEVELS, "cases": [asdict(case) for case in cases]}
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    log.info("fold %d: %d cases", fold, len(cases))


if __name__ == "__main__":
    typer.run(main)
