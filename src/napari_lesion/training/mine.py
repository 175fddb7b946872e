"""Hard negatives: the marks that a network puts where no lesion is marked, and which of them to leave in doubt."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.marks import find_marks
from napari_lesion.training.config import Intensity
from napari_lesion.training.scenes import IGNORE, LESION, Scene, fill_sphere
from napari_lesion.training.scoring import probability_of

if TYPE_CHECKING:
    import torch

AIR_HU = -600.0
"""Below it lung is taken for aerated."""
MINING_THRESHOLD = 0.2
MIN_VOXELS = 20

DOUBT_PROBABILITY = 0.8
DOUBT_AXIS_RATIO = 2.0
DOUBT_LUNG_AROUND = 0.8
DOUBT_MARGIN_MM = 3.0

log = logging.getLogger(__name__)
BoolArray = npt.NDArray[np.bool_]
Points = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MinedMark:
    """One mark off every lesion and every doubtful place.

    Parameters
    ----------
    center
        Voxel (x, y, z) of its middle.
    voxels
        Its size; 1 mm voxels.
    mean_probability
        Mean over its voxels.
    axis_ratio
        Longest by shortest principal axis.
    lung_around
        Share of aerated lung (below -600 HU) between 1 and 3 voxels from it.
    """

    center: tuple[int, int, int]
    voxels: int
    mean_probability: float
    axis_ratio: float
    lung_around: float

    @property
    def doubtful(self) -> bool:
        """Whether it may be a nodule that nobody marked: confident, compact, and alone in the lung."""
        return (
            self.mean_probability >= DOUBT_PROBABILITY
            and self.axis_ratio <= DOUBT_AXIS_RATIO
            and self.lung_around >= DOUBT_LUNG_AROUND
        )


Mined = dict[str, list[MinedMark]]


@dataclass(frozen=True, eq=False)
class Search:
    """How cases are searched.

    Parameters
    ----------
    network
        Trained so far.
    intensity
        Window of the images, HU.
    window
        Edge of the windows, voxels of 1 mm.
    """

    network: torch.nn.Module
    intensity: Intensity
    window: int


def mine_marks(search: Search, scenes: Sequence[Scene], record: Path) -> Mined:
    """Run the network over the training cases and list its marks where no lesion is.

    Parameters
    ----------
    search
        The network and how it is used.
    scenes
        Training cases; slabs are left out.
    record
        JSON file that the marks are kept in; when it is there already it is read instead.

    Returns
    -------
    dict
        Marks by name of the case.
    """
    if not record.is_file():
        search.network.eval()
        searched = [scene for scene in scenes if scene.case.kind != "slab"]
        made = {scene.case.name: _marks_off_lesions(search, scene) for scene in searched}
        rows = {name: [asdict(mark) for mark in marks] for name, marks in made.items()}
        record.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    mined = read_marks(record)
    every = [mark for marks in mined.values() for mark in marks]
    log.info("%d mined marks, %d of them left in doubt", len(every), len(left_in_doubt(scenes, mined)))
    return mined


def read_marks(record: Path) -> Mined:
    """Marks by name of the case, as `mine_marks` kept them."""
    content = json.loads(record.read_text(encoding="utf-8"))
    return {
        name: [MinedMark(**{**row, "center": tuple(row["center"])}) for row in rows] for name, rows in content.items()
    }


def left_in_doubt(scenes: Sequence[Scene], mined: Mapping[str, list[MinedMark]]) -> list[tuple[str, MinedMark]]:
    """Marks of whole scans that are neither trained against nor for.

    In the cubes every nodule that a reader saw is known; in the scans one lesion only.
    """
    scans = [scene.case.name for scene in scenes if scene.case.kind == "scan"]
    return [(name, mark) for name in scans for mark in mined.get(name, []) if mark.doubtful]


def hard_points(scenes: Sequence[Scene], mined: Mapping[str, list[MinedMark]]) -> dict[str, Points]:
    """Centres (n, 3) of the marks to train against, by name of the case."""
    doubt = set(left_in_doubt(scenes, mined))
    kept = {name: [mark.center for mark in marks if (name, mark) not in doubt] for name, marks in mined.items()}
    return {name: np.array(centers, dtype=np.int64) for name, centers in kept.items() if centers}


def with_doubt(scenes: Sequence[Scene], mined: Mapping[str, list[MinedMark]]) -> list[Scene]:
    """The scenes, with what is left in doubt ignored by the loss."""
    doubt = left_in_doubt(scenes, mined)
    doubted = []
    for scene in scenes:
        marks = [mark for name, mark in doubt if name == scene.case.name]
        label = scene.label.copy() if marks else scene.label
        for mark in marks:
            radius = (3 * mark.voxels / (4 * np.pi)) ** (1 / 3) + DOUBT_MARGIN_MM
            fill_sphere(label, np.array(mark.center, dtype=np.float64), float(radius))
        label[scene.label == LESION] = LESION
        doubted.append(replace(scene, label=label))
    return doubted


def _marks_off_lesions(search: Search, scene: Scene) -> list[MinedMark]:
    probability = probability_of(search.network, scene, search.window, fast=True)
    air = search.intensity.scaled(AIR_HU)
    found = []
    for mark in find_marks(probability, scene.image, air, (1.0, 1.0, 1.0), MINING_THRESHOLD, MIN_VOXELS):
        label = scene.label[mark.box][mark.mask]
        if ((label == LESION) | (label == IGNORE)).any():
            continue
        x, y, z = (
            round(float(places.mean())) + part.start
            for places, part in zip(mark.mask.nonzero(), mark.box, strict=True)
        )
        _, _, log_ratio, around, _ = mark.features
        found.append(
            MinedMark(
                center=(x, y, z),
                voxels=len(label),
                mean_probability=round(float(probability[mark.box][mark.mask].mean()), 4),
                axis_ratio=round(math.exp(log_ratio), 3),
                lung_around=round(float(around), 3),
            )
        )
    return found
