"""The largest slice of each nodule of ``lidc_slices``: pixels, readers' masks, ratings, fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.training.folds import TEST_ONLY, load_folds

MAX_READERS = 4
"""Readers of LIDC-IDRI; a row with more of them is made of merged neighbours."""

AGREED_READERS = 3
"""Readers from which a mean rating counts as agreed."""

RATINGS = ("malignancy", "texture", "calcification", "subtlety", "sphericity", "margin", "lobulation", "spiculation")
"""Ratings that are used, by their names in the table."""

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NoduleSlice:
    """One nodule: its slice of largest area, and what the readers said.

    Parameters
    ----------
    name, patient_id
        Row of the source's table, LIDC-IDRI patient.
    fold
        Fold of the patient.
    image
        HU, shape (y, x), native pixels.
    masks
        One mask a reader, shape (reader, y, x).
    spacing_mm, thickness_mm
        Edge of a pixel, thickness of the slice.
    n_readers
        Readers who outlined the nodule anywhere.
    diameter_mm
        Longest diameter of the consensus in the slice, as the table has it.
    ratings
        Votes by name of the rating, one a reader; empty when nobody rated.
    """

    name: str
    patient_id: str
    fold: int
    image: npt.NDArray[np.int16]
    masks: npt.NDArray[np.bool_]
    spacing_mm: float
    thickness_mm: float
    n_readers: int
    diameter_mm: float
    ratings: dict[str, tuple[int, ...]]

    @property
    def consensus(self) -> npt.NDArray[np.bool_]:
        """Pixels inside the outline of at least half of the readers; of any reader where no pixel is."""
        votes = self.masks.sum(axis=0)
        agreed: npt.NDArray[np.bool_] = 2 * votes >= self.n_readers
        return agreed if agreed.any() else votes > 0

    @property
    def agreed(self) -> bool:
        """Whether three or four readers rated it, so that their mean means something."""
        return AGREED_READERS <= self.n_readers <= MAX_READERS

    def mean(self, rating: str) -> float:
        """Mean of the readers' votes; NaN when nobody rated."""
        votes = self.ratings[rating]
        return float(np.mean(votes)) if votes else float("nan")


def load_slices(data: Path) -> list[NoduleSlice]:
    """Read all nodules below ``data/lidc_slices``, in the order of the table.

    Raises
    ------
    InputError
        When a file is missing, does not fit the table, or holds a patient who is for testing only or in no fold.
    """
    import pandas as pd

    folder = data / "lidc_slices"
    path = folder / "slices.csv"
    if not path.is_file():
        raise InputError("The nodule slices cannot be read", f"{path} is missing", "Give the folder of the data sets")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    leaked = TEST_ONLY.intersection(table["patient_id"])
    if leaked:
        raise InputError("The nodule slices are not usable", f"{sorted(leaked)} are for testing only")
    shards = {number: _read_shard(folder / f"slices_{number}.npz") for number in sorted(set(table["shard"]))}
    fold_of = load_folds().fold_of
    return [_make(row, shards[row["shard"]], fold_of) for row in table.to_dict("records")]


def _read_shard(path: Path) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
    if not path.is_file():
        raise InputError("The nodule slices cannot be read", f"{path} is missing", "Copy the folder again")
    with np.load(path, allow_pickle=False) as shard:
        image, readers = shard["image"], shard["readers"]
    if image.shape != readers.shape:
        raise InputError("The nodule slices cannot be read", f"image and masks in {path.name} differ in shape")
    return image, readers


def _make(
    row: dict[str, Any], shard: tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]], fold_of: dict[str, int]
) -> NoduleSlice:
    image, readers = shard
    place, patient = int(row["row"]), row["patient_id"]
    if place >= len(image):
        raise InputError("The nodule slices cannot be read", f"row {place} is not in shard {row['shard']}")
    if patient not in fold_of:
        raise InputError(f"Patient {patient} is in no fold", "it may be used for testing only")
    bits = readers[place]
    masks = np.stack([(bits >> bit) & 1 for bit in range(8) if ((bits >> bit) & 1).any()]).astype(bool)
    return NoduleSlice(
        name=row["nodule_id"],
        patient_id=patient,
        fold=fold_of[patient],
        image=image[place],
        masks=masks,
        spacing_mm=float(row["pixel_spacing_mm"]),
        thickness_mm=float(row["slice_thickness_mm"]),
        n_readers=int(row["n_readers"]),
        diameter_mm=float(row["diameter_mm"]),
        ratings={name: votes_of(row[name]) for name in RATINGS},
    )


def votes_of(text: str) -> tuple[int, ...]:
    """Votes of a rating as the tables write them (``5;4;;3``); an empty place is no vote.

    Raises
    ------
    InputError
        When a vote lies outside 1 to 6.
    """
    votes = tuple(int(float(word)) for word in text.split(";") if word.strip())
    if any(not 1 <= vote <= 6 for vote in votes):
        raise InputError("A rating is not valid", f"{text!r} holds a vote outside 1 to 6")
    return votes


def in_folds(nodules: Sequence[NoduleSlice], folds: Sequence[int]) -> npt.NDArray[np.int64]:
    """Indices of the nodules whose patient is in one of these folds."""
    return np.flatnonzero(np.isin([nodule.fold for nodule in nodules], list(folds)))
