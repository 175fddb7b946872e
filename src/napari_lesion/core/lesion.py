"""One lesion of a study: who it is, where its mask came from, and what the reader decided."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where the mask of a lesion came from."""

    MODEL = "model"
    EDITED = "edited"
    MANUAL = "manual"


class Review(StrEnum):
    """Decision of the reader."""

    NONE = ""
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Lesion:
    """Identity and provenance of one lesion; its measurements stand in a table beside it.

    Parameters
    ----------
    label
        Value in the label map, positive.
    status
        ``model`` untouched prediction, ``edited`` prediction changed by hand, ``manual`` no prediction below it.
    probability
        Largest model probability inside the mask, 0 to 1; NaN for a manual lesion.
    review
        Decision of the reader.
    """

    label: int
    status: Status = Status.MODEL
    probability: float = float("nan")
    review: Review = Review.NONE
