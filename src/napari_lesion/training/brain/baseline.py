"""The classical way: bright voxels of white matter, by a robust z-score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_lesion.training.brain.anatomy import Anatomy
from napari_lesion.training.brain.cases import FloatArray, Image, Visit, box_of, load_image, moved_by_box
from napari_lesion.training.brain.scores import Sweep, score_visit

WHITE_FROM = 0.3
"""Probability of white matter, by the template stretched to the brain's box, from which a voxel may be marked."""
SURELY_WHITE = 0.8
THRESHOLDS = tuple(np.arange(1.0, 5.01, 0.5).tolist())
MAD_TO_DEVIATION = 1.4826


def robust_z(visit: Visit, template: Anatomy) -> tuple[FloatArray, FloatArray]:
    """Robust z-score of a FLAIR in white matter, and its lesion mask, both (x, y, z).

    Median and median absolute deviation are those of sure white matter; elsewhere than in white matter the score is
    minus infinity. The brain mask of the data is given to it.
    """
    flair = load_image(visit.file("flair"))
    brain = load_image(visit.file("brain_mask"), labels=True).array > 0
    lesion = load_image(visit.file("lesion"), labels=True).array > 0
    white = moved_by_box(
        Image(template.white, template.origin), template.box, box_of(brain, flair.origin), flair.origin, brain.shape
    )
    sure = flair.array[brain & (white > SURELY_WHITE)]
    middle = np.median(sure)
    z = (flair.array - middle) / (MAD_TO_DEVIATION * np.median(np.abs(sure - middle)))
    return np.where(brain & (white > WHITE_FROM), z, -np.inf).astype(np.float32), lesion.astype(np.float32)


def sweep_baseline(visits: Sequence[Visit], template: Anatomy, min_mm3: float) -> Sweep:
    """Scores of every visit at every threshold."""
    table: Sweep = {threshold: [] for threshold in THRESHOLDS}
    for visit in visits:
        z, lesion = robust_z(visit, template)
        for threshold, row in table.items():
            row.append(score_visit((visit.name, visit.patient), threshold, z >= threshold, lesion > 0, 1.0, min_mm3))
    return table
