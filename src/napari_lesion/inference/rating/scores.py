"""The five numbers that every part of the classifier gives of a lesion.

They are the logit of the expected malignancy (mean rating of 1 to 5, drawn to 0 to 1), three logits of the texture
and one of calcification. What is joined and calibrated afterwards sees these columns alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.trees import Trees

FloatArray = npt.NDArray[np.float32]

LEVELS = 4
"""Ordinal outputs of a rating from 1 to 5: above 1, 2, 3 and 4."""
TEXTURE_COUNT = 3

MALIGNANCY = 0
TEXTURE = slice(1, 1 + TEXTURE_COUNT)
CALCIFIED = 1 + TEXTURE_COUNT
N_SCORES = CALCIFIED + 1
N_OUTPUTS = LEVELS + TEXTURE_COUNT + 1
"""Outputs of a network that ships."""

PARTS = ("malignancy", "texture", "calcified")


def logit_of_rating(mean: npt.NDArray[np.floating]) -> FloatArray:
    """Logit of a mean rating from 1 to 5, drawn to 0 to 1."""
    share = np.clip((mean - 1) / 4, 1e-3, 1 - 1e-3)
    logit: FloatArray = np.log(share / (1 - share)).astype(np.float32)
    return logit


def shipped_scores(logits: npt.NDArray[np.floating]) -> FloatArray:
    """Scores, shape (..., `N_SCORES`), from the outputs of a network that ships, shape (..., `N_OUTPUTS`)."""
    from scipy.special import expit

    malignancy = logit_of_rating(1 + expit(logits[..., :LEVELS]).sum(axis=-1))
    scores: FloatArray = np.concatenate((malignancy[..., None], logits[..., LEVELS:]), axis=-1).astype(np.float32)
    return scores


@dataclass(frozen=True, eq=False)
class BoostedModel:
    """Three boosted models of the same measures.

    Parameters
    ----------
    malignancy
        The readers' mean rating, 1 to 5.
    texture
        Logits of the classes, which weigh the same.
    calcified
        Logit.
    """

    malignancy: Trees
    texture: Trees
    calcified: Trees

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays by name."""
        return {f"{part}.{name}": array for part in PARTS for name, array in getattr(self, part).to_arrays().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], n_features: int) -> BoostedModel:
        """Read what `to_arrays` gave; ModelError where it is damaged."""
        split = {
            part: {name.partition(".")[2]: arrays[name] for name in arrays if name.startswith(f"{part}.")}
            for part in PARTS
        }
        return cls(*(Trees.from_arrays(split[part], n_features) for part in PARTS))


def boosted_scores(model: BoostedModel, measures: npt.NDArray[np.floating]) -> FloatArray:
    """Scores from the measures of the engine, shape (lesion, measure)."""
    malignancy = logit_of_rating(model.malignancy(measures)[:, 0])[:, None]
    return np.concatenate((malignancy, model.texture(measures), model.calcified(measures)), axis=1).astype(np.float32)
