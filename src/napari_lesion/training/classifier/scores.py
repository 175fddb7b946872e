"""The five numbers by which every model is compared.

Each model gives of each nodule: the logit of the expected malignancy, three logits of the texture, one of
calcification (`N_SCORES` columns). Diameter gives the same columns with nothing but its logarithm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_lesion.training.classifier.boosting import BoostedModel
from napari_lesion.training.classifier.slices import NoduleSlice
from napari_lesion.training.classifier.targets import CALCIFIED_OUTPUT, TEXTURE_OUTPUTS, TEXTURES, expected_rating

FloatArray = npt.NDArray[np.float32]

MALIGNANCY = 0
TEXTURE = slice(1, 1 + len(TEXTURES))
CALCIFIED = 1 + len(TEXTURES)
N_SCORES = CALCIFIED + 1


def logit_of_rating(mean: npt.NDArray[np.floating]) -> FloatArray:
    """Logit of a mean rating from 1 to 5, drawn to 0 to 1."""
    share = np.clip((mean - 1) / 4, 1e-3, 1 - 1e-3)
    logit: FloatArray = np.log(share / (1 - share)).astype(np.float32)
    return logit


def network_scores(logits: FloatArray) -> FloatArray:
    """Scores from all outputs of the network."""
    malignancy = logit_of_rating(expected_rating(logits, "malignancy"))[:, None]
    return np.concatenate((malignancy, logits[:, TEXTURE_OUTPUTS], logits[:, [CALCIFIED_OUTPUT]]), axis=1)


def boosted_scores(model: BoostedModel, measures: npt.NDArray[np.floating]) -> FloatArray:
    """Scores from the measures of the engine, shape (nodule, measure)."""
    malignancy = logit_of_rating(model.malignancy(measures)[:, 0])[:, None]
    return np.concatenate((malignancy, model.texture(measures), model.calcified(measures)), axis=1).astype(np.float32)


def diameter_scores(nodules: Sequence[NoduleSlice]) -> FloatArray:
    """The logarithm of the diameter in every column."""
    diameters = np.array([nodule.diameter_mm for nodule in nodules], dtype=np.float32)
    return np.repeat(np.log(diameters.clip(min=1.0))[:, None], N_SCORES, axis=1)
