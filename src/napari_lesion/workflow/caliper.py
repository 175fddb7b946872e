"""The caliper of the reader: axes that are set by hand, beside those that are computed from the mask.

It stays with the number of its lesion, as the reader's decision does: through strokes, with the part that keeps the
number in a split, and with the lesion whose number a merge keeps. It goes with a lesion that is deleted or merged
away, and comes back with undo.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from napari_lesion.core.errors import LesionError
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Caliper, Point
from napari_lesion.workflow.study import Study

Ends = tuple[Point, Point]

SHORTEST_MM = 1e-3
ON_GRID = 1e-3
"""Voxels by which an end may lie beyond the image: round-off."""


class Axis(StrEnum):
    """One of the two axes of a lesion."""

    LONG = "long"
    SHORT = "short"


@dataclass(frozen=True)
class CaliperChange:
    """What the reader did to the caliper of one lesion; None for no caliper."""

    label: int
    before: Caliper | None
    after: Caliper | None


def with_axis(caliper: Caliper | None, axis: Axis, ends: Ends) -> Caliper:
    """The caliper with one axis set; the other one stays as it is.

    Parameters
    ----------
    caliper
        The present one; None for none.
    axis
        Which axis.
    ends
        End points, LPS mm.
    """
    present = caliper or Caliper()
    if axis is Axis.LONG:
        return replace(present, long_ends=ends)
    return replace(present, short_ends=ends)


def plan_caliper(study: Study, label: int, caliper: Caliper | None) -> CaliperChange | None:
    """Check a caliper against its lesion; None when it is the present one.

    Raises
    ------
    LesionError
        When there is no such lesion, a coordinate is not finite, an axis has no length, or an end lies outside the
        image.
    """
    lesion = study.lesions.get(label)
    if lesion is None:
        raise LesionError("Nothing was measured", f"there is no lesion {label}", "Select a row first")
    wanted = None if caliper == Caliper() else caliper
    for ends in (wanted.long_ends, wanted.short_ends) if wanted is not None else ():
        if ends is not None and not math.dist(*ends) >= SHORTEST_MM:
            raise LesionError("The axis was not set", "its end points are the same", "Drag one of them further away")
    if wanted is not None and not lies_on(wanted, study.volume.grid):
        raise LesionError("The axis was not set", "an end point lies outside the image", "Set it inside")
    return None if wanted == lesion.caliper else CaliperChange(label, lesion.caliper, wanted)


def lies_on(caliper: Caliper, grid: Grid) -> bool:
    """Whether every end point lies on the image, its outermost half voxels included."""
    ends = [point for pair in (caliper.long_ends, caliper.short_ends) if pair is not None for point in pair]
    index = grid.to_index(np.array(ends).reshape(-1, 3))
    return bool(((index >= -0.5 - ON_GRID) & (index <= np.array(grid.shape) - 0.5 + ON_GRID)).all())


def write_caliper(study: Study, label: int, caliper: Caliper | None) -> None:
    """Give a lesion of a study this caliper."""
    study.lesions[label] = replace(study.lesions[label], caliper=caliper)


def caliper_record(caliper: Caliper | None) -> dict[str, Any] | None:
    """Plain values for JSON."""
    if caliper is None:
        return None
    return {"long_ends": caliper.long_ends, "short_ends": caliper.short_ends}


def caliper_from(record: Mapping[str, Any] | None) -> Caliper | None:
    """The caliper of a record; KeyError, TypeError or ValueError when it makes no sense."""
    if record is None:
        return None
    return Caliper(_ends(record["long_ends"]), _ends(record["short_ends"]))


def _ends(values: Sequence[Sequence[float]] | None) -> Ends | None:
    if values is None:
        return None
    one, other = values
    return _point(one), _point(other)


def _point(values: Sequence[float]) -> Point:
    l, p, s = (float(value) for value in values)  # noqa: E741
    if not all(map(math.isfinite, (l, p, s))):
        raise ValueError("a coordinate is not finite")
    return l, p, s
