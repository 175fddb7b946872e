"""What a bundle marks in one whole scan with one outlined lesion, found by the product's own engine.

``python -m napari_lesion.training.whole_scan --bundle DIR --image PATH --truth MASK --out FILE``
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.volume import LabelMap
from napari_lesion.inference.candidates import find_candidates
from napari_lesion.inference.engine import predict
from napari_lesion.io.masks import read_labels
from napari_lesion.io.read import read_volume
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.metadata import read_bundle
from napari_lesion.training.detector.pool import THRESHOLDS
from napari_lesion.training.scoring import HIT_IOU

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScanScore:
    """What one threshold gives on a whole scan.

    Parameters
    ----------
    threshold
        Probability from which a voxel is marked.
    found
        Whether one mark has an intersection over union above 0.1 with the lesion.
    dice
        Dice of the marks that touch the lesion, on the native grid; 0 when missed.
    other_marks
        Marks that do not touch it.
    other_volumes_mm3
        Their volumes, largest first.
    """

    threshold: float
    found: bool
    dice: float
    other_marks: int
    other_volumes_mm3: tuple[int, ...]


def score_marks(marks: LabelMap, lesion: npt.NDArray[np.bool_], threshold: float) -> ScanScore:
    """Compare the marks of one threshold with the one lesion that is outlined.

    Raises
    ------
    GeometryError
        When the outline lies on another grid.
    """
    if lesion.shape != marks.array.shape:
        raise GeometryError("The outline does not fit the image", f"{lesion.shape} against {marks.array.shape}")
    touching = np.setdiff1d(np.unique(marks.array[lesion]), [0])
    volumes = np.bincount(marks.array.ravel()) * marks.grid.voxel_volume_mm3
    others = [int(volumes[label]) for label in range(1, len(volumes)) if volumes[label] and label not in touching]
    hits = [marks.array == label for label in touching]
    found = any((hit & lesion).sum() / (hit | lesion).sum() > HIT_IOU for hit in hits)
    union = np.isin(marks.array, touching)
    dice = 2 * float((union & lesion).sum()) / float(union.sum() + lesion.sum()) if found else 0.0
    return ScanScore(threshold, found, dice, len(others), tuple(sorted(others, reverse=True)))


def score_scan(bundle: BundleInfo, image: Path, truth: Path, lesion_from: int) -> list[ScanScore]:
    """Search one scan once and score it at every threshold, the bundle's own first."""
    probability = predict(read_volume(image), bundle).probability
    lesion = np.asarray(read_labels(truth).array) >= lesion_from
    thresholds = (bundle.default_threshold, *THRESHOLDS)
    return [
        score_marks(find_candidates(probability, threshold, bundle.min_volume_mm3)[0], lesion, threshold)
        for threshold in thresholds
    ]


def main(
    bundle: Annotated[Path, typer.Option(help="Bundle folder.")],
    image: Annotated[Path, typer.Option(help="Image file, or folder of a DICOM series.")],
    truth: Annotated[Path, typer.Option(help="Mask file on the grid of the image; values count readers.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    lesion_from: Annotated[int, typer.Option(help="Readers from which a voxel is lesion.")] = 2,
) -> None:
    """Search IMAGE with BUNDLE and count the marks on and off the lesion of TRUTH."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    info = read_bundle(bundle)
    scores = score_scan(info, image, truth, lesion_from)
    content = {"model": info.identity, "scores": [asdict(score) for score in scores]}
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for score in scores:
        log.info("%s", score)


if __name__ == "__main__":
    typer.run(main)
