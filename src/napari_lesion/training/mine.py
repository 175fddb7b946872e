"""Hard negatives: the marks that a network puts where no lesion is marked."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_lesion.training.scenes import IGNORE, LESION, Scene
from napari_lesion.training.scoring import marks_of, probability_of

if TYPE_CHECKING:
    import torch

MINING_THRESHOLD = 0.2
MIN_VOXELS = 20
log = logging.getLogger(__name__)
Points = npt.NDArray[np.int64]


def mine_marks(network: torch.nn.Module, scenes: Sequence[Scene], roi: int, record: Path) -> dict[str, Points]:
    """Run the network over the training cases and list its false marks.

    Parameters
    ----------
    network
        Trained so far.
    scenes
        Training cases; scans and cubes alike.
    roi
        Edge of the windows for scans; cubes are searched in 64³ windows.
    record
        JSON file that the marks are kept in; when it is there already it is read instead.

    Returns
    -------
    dict
        Centres (n, 3), voxels (x, y, z), by name of the case.
    """
    if not record.is_file():
        network.eval()
        marks = {scene.case.name: _false_marks(network, scene, roi) for scene in scenes if scene.case.kind != "slab"}
        record.write_text(json.dumps(marks, indent=1), encoding="utf-8")
    marks = json.loads(record.read_text(encoding="utf-8"))
    found = {
        name: np.array([mark["center"] for mark in rows], dtype=np.int64) for name, rows in marks.items() if rows
    }
    log.info("%d false marks in %d cases", sum(map(len, found.values())), len(found))
    return found


def _false_marks(network: torch.nn.Module, scene: Scene, roi: int) -> list[dict[str, Any]]:
    probability = probability_of(network, scene, roi if scene.case.kind == "scan" else 64, fast=True)
    marks = marks_of(probability, MINING_THRESHOLD, MIN_VOXELS)
    near = set(np.unique(marks[(scene.label == LESION) | (scene.label == IGNORE)]).tolist())
    rows = []
    for mark in sorted(set(np.unique(marks).tolist()) - {0} - near):
        voxels = np.argwhere(marks == mark)
        rows.append(
            {
                "center": [int(value) for value in np.round(voxels.mean(0))],
                "voxels": len(voxels),
                "mean_probability": round(float(probability[marks == mark].mean()), 4),
                "max_probability": round(float(probability[marks == mark].max()), 4),
            }
        )
    return rows
