"""Scores of the models that are compared, in the columns of `napari_lesion.inference.rating.scores`.

Diameter gives the same columns with nothing but its logarithm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.rating.scores import N_SCORES, shipped_scores
from napari_lesion.training.classifier.slices import NoduleSlice
from napari_lesion.training.classifier.targets import KEPT_OUTPUTS

FloatArray = npt.NDArray[np.float32]


def network_scores(logits: FloatArray) -> FloatArray:
    """Scores from all outputs of the network, shape (nodule, output)."""
    return shipped_scores(logits[:, list(KEPT_OUTPUTS)])


def diameter_scores(nodules: Sequence[NoduleSlice]) -> FloatArray:
    """The logarithm of the diameter in every column."""
    diameters = np.array([nodule.diameter_mm for nodule in nodules], dtype=np.float32)
    return np.repeat(np.log(diameters.clip(min=1.0))[:, None], N_SCORES, axis=1)
