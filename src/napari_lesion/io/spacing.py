"""Whether the slices of a series are evenly spaced, and which are missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

UNEVEN = 0.15
"""Share of the slice distance by which a slice may lie off its place in an even stack."""
WRONG = 0.20
"""Error of the slice distance beyond which sizes are not worth measuring."""
WRONG_SHARE = 0.25
"""Share of the gaps that may be wrong by more than that."""
GAP_TOLERANCE = 0.1


@dataclass(frozen=True)
class Gap:
    """A place where slices are missing: after slice ``after`` (from 0), ``count`` of them."""

    after: int
    count: int


@dataclass(frozen=True)
class Spacing:
    """Distances of the slices of a stack.

    Parameters
    ----------
    positions
        Along the normal, ascending, mm.
    grid_step
        Distance in an even stack with the same first and last slice, which is that of the grid, mm.
    usual_step
        Median distance, mm.
    smallest, largest
        Distances, mm, gaps by missing slices left out.
    gaps
        Where whole slices are missing.
    deviation
        Largest distance of a slice from its place in the even stack, in slice distances.
    """

    positions: tuple[float, ...]
    grid_step: float
    usual_step: float
    smallest: float
    largest: float
    gaps: tuple[Gap, ...]
    deviation: float

    @property
    def missing(self) -> int:
        """Number of missing slices."""
        return sum(gap.count for gap in self.gaps)

    @property
    def uneven(self) -> bool:
        """Whether slices lie off their places for another reason than missing ones."""
        if not self.gaps:
            return self.deviation > UNEVEN
        return self.largest - self.smallest > 2 * UNEVEN * self.usual_step

    @property
    def error(self) -> float:
        """Relative error of sizes along the slices on the even grid, where the distance is the usual one."""
        return self.grid_step / self.usual_step - 1

    @property
    def wrong(self) -> bool:
        """Whether the even grid would give sizes that are not worth measuring."""
        steps = [b - a for a, b in pairwise(self.positions)]
        off = sum(abs(self.grid_step / step - 1) > WRONG for step in steps)
        return abs(self.error) > WRONG or (self.uneven and off > WRONG_SHARE * len(steps))


def spacing_of(positions: Sequence[float]) -> Spacing | None:
    """Judge a stack of slices; None for fewer than two of them, or without positions."""
    if len(positions) < 2 or not all(map(math.isfinite, positions)):
        return None
    steps = [b - a for a, b in pairwise(positions)]
    if min(steps) <= 0:
        return None
    usual = median(steps)
    gaps = tuple(gap for k, step in enumerate(steps) if (gap := _gap(k, step / usual)) is not None)
    holes = {gap.after for gap in gaps}
    regular = [step for k, step in enumerate(steps) if k not in holes]
    grid_step = (positions[-1] - positions[0]) / len(steps)
    even = (abs(p - positions[0] - k * grid_step) for k, p in enumerate(positions))
    return Spacing(
        positions=tuple(positions),
        grid_step=grid_step,
        usual_step=usual,
        smallest=min(regular),
        largest=max(regular),
        gaps=gaps,
        deviation=max(even) / grid_step,
    )


def _gap(after: int, ratio: float) -> Gap | None:
    """Missing slices where a step is a whole multiple of the usual one."""
    whole = round(ratio)
    if whole < 2 or abs(ratio - whole) > GAP_TOLERANCE * whole:
        return None
    return Gap(after, whole - 1)
