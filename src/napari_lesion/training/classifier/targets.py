"""What is learned from the votes of the readers, and the classes that figures are about.

A rating from 1 to 5 is learned as four ordinal outputs, the share of readers who voted above 1, 2, 3 and 4
(Cheng, Wang & Pollastri 2008, doi:10.1109/IJCNN.2008.4633963, with soft labels); their sum plus one is the
expected rating.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_lesion.training.classifier.slices import RATINGS, NoduleSlice

LEVELS = (1, 2, 3, 4)
ORDINAL = tuple(name for name in RATINGS if name != "calcification")

TEXTURES = ("ground glass", "part-solid", "solid")
TEXTURE_CUTS = (2.5, 4.25)
"""Mean rating of texture below which it is ground glass, and above which it is solid."""

CALCIFIED_BELOW = 5.5
SUSPICIOUS_FROM, BENIGN_TO = 3.5, 2.5

N_ORDINAL = len(ORDINAL) * len(LEVELS)
TEXTURE_OUTPUTS = slice(N_ORDINAL, N_ORDINAL + len(TEXTURES))
CALCIFIED_OUTPUT = N_ORDINAL + len(TEXTURES)
N_OUTPUTS = CALCIFIED_OUTPUT + 1

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def outputs_of(rating: str) -> slice:
    """Outputs of the network that belong to an ordinal rating."""
    start = ORDINAL.index(rating) * len(LEVELS)
    return slice(start, start + len(LEVELS))


KEPT_OUTPUTS = (
    *range(outputs_of("malignancy").start, outputs_of("malignancy").stop),
    *range(TEXTURE_OUTPUTS.start, TEXTURE_OUTPUTS.stop),
    CALCIFIED_OUTPUT,
)
"""Outputs that ship: malignancy above 1, 2, 3 and 4, three textures, calcified. The other ratings only taught it."""


def ordinal_targets(nodules: Sequence[NoduleSlice]) -> FloatArray:
    """Share of the readers above each level, shape (nodule, `N_ORDINAL`); NaN where nobody rated."""
    rows = []
    for nodule in nodules:
        votes = (np.asarray(nodule.ratings[name], dtype=float) for name in ORDINAL)
        rows.append([np.mean(vote > level) if vote.size else np.nan for vote in votes for level in LEVELS])
    return np.asarray(rows, dtype=np.float32)


def texture_class(mean: float) -> int:
    """Class of a mean rating of texture: 0 ground glass, 1 part-solid, 2 solid; -1 for NaN."""
    if np.isnan(mean):
        return -1
    return int(mean >= TEXTURE_CUTS[0]) + int(mean > TEXTURE_CUTS[1])


def texture_classes(nodules: Sequence[NoduleSlice]) -> IntArray:
    """`texture_class` of each nodule."""
    return np.array([texture_class(nodule.mean("texture")) for nodule in nodules], dtype=np.int64)


def calcified(nodules: Sequence[NoduleSlice]) -> FloatArray:
    """1 where the readers' mean says calcified, 0 where not, NaN where nobody rated."""
    means = np.array([nodule.mean("calcification") for nodule in nodules], dtype=np.float32)
    return np.where(np.isnan(means), np.float32(np.nan), (means < CALCIFIED_BELOW).astype(np.float32))


def suspicious(nodules: Sequence[NoduleSlice]) -> FloatArray:
    """1 for a mean malignancy of 3.5 and more, 0 for 2.5 and less, NaN between and where nobody rated."""
    means = np.array([nodule.mean("malignancy") for nodule in nodules], dtype=np.float32)
    classes = np.full(len(means), np.nan, dtype=np.float32)
    classes[means >= SUSPICIOUS_FROM] = 1
    classes[means <= BENIGN_TO] = 0
    return classes


def expected_rating(logits: npt.NDArray[np.floating], rating: str) -> FloatArray:
    """Mean rating, 1 to 5, that the ordinal logits of the network expect.

    Parameters
    ----------
    logits
        All outputs, shape (nodule, `N_OUTPUTS`).
    rating
        One of `ORDINAL`.
    """
    from scipy.special import expit

    mean: FloatArray = (1 + expit(logits[:, outputs_of(rating)]).sum(axis=1)).astype(np.float32)
    return mean
