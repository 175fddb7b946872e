"""One lesion of a study: who it is, where its mask came from, and what the reader decided."""

from __future__ import annotations

import math
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


Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Caliper:
    """Axes that a reader set by hand; they stand beside the computed ones and never replace them.

    Parameters
    ----------
    long_ends, short_ends
        End points, LPS mm; None for an axis that nobody moved.
    """

    long_ends: tuple[Point, Point] | None = None
    short_ends: tuple[Point, Point] | None = None

    @property
    def long_mm(self) -> float:
        """Length of the long axis, mm; NaN when nobody moved it."""
        return math.dist(*self.long_ends) if self.long_ends else math.nan

    @property
    def short_mm(self) -> float:
        """Length of the short axis, mm; NaN when nobody moved it."""
        return math.dist(*self.short_ends) if self.short_ends else math.nan


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
    lesion_id, lesion_uid
        Name and UID that stay the same across time points (DICOM Tracking Identifier and Tracking Unique
        Identifier); empty for those that follow from case and label.
    edited_at, reviewed_at
        Time of the last edit of the mask and of the last decision, ISO 8601 UTC; empty when there was none.
    caliper
        Axes that the reader set by hand; None when there are none.
    finding
        What a model with several classes calls it; empty for a model that knows one kind of lesion.
    threshold
        Threshold of this mark alone, 0 to 1, when the reader gave it one of its own; NaN for that of the study.
    agreement
        How well the passes of a test-time augmentation agree on the mark, 0 to 1; NaN without augmentation.
    volume_range_mm3
        Smallest and largest volume that they give it, mm³; NaN without augmentation.
    """

    label: int
    status: Status = Status.MODEL
    probability: float = float("nan")
    review: Review = Review.NONE
    lesion_id: str = ""
    lesion_uid: str = ""
    edited_at: str = ""
    reviewed_at: str = ""
    caliper: Caliper | None = None
    finding: str = ""
    threshold: float = math.nan
    agreement: float = math.nan
    volume_range_mm3: tuple[float, float] = (math.nan, math.nan)

    @property
    def tracking_id(self) -> str:
        """Name of the lesion, unique in its study: its ``lesion_id``, or the label as text while it has none."""
        return self.lesion_id or str(self.label)
