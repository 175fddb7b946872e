"""Response of target lesions by RECIST 1.1 (Eisenhauer 2009, Eur J Cancer 45:228); the reader confirms it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from napari_lesion.core.errors import LesionError
from napari_lesion.measure.change import percent_change

MOST_TARGETS = 5
MOST_PER_ORGAN = 2
SMALLEST_LONG_AXIS_MM = 10.0
SMALLEST_NODE_MM = 15.0
"""Short axis of a node that can be a target."""
SLICES = 2.0
"""A target is at least so many slices large."""
NORMAL_NODE_MM = 10.0
"""Short axis below which a node is normal."""
PROGRESSION_PERCENT, PROGRESSION_MM = 20.0, 5.0
RESPONSE_PERCENT = 30.0
ROUND_OFF = 1e-9


class Response(StrEnum):
    """Response of the target lesions alone; new and non-target lesions are not in it."""

    COMPLETE = "CR"
    PARTIAL = "PR"
    STABLE = "SD"
    PROGRESSION = "PD"


@dataclass(frozen=True)
class Target:
    """One target lesion over all visits.

    Parameters
    ----------
    name
        Its ``lesion_id``.
    sizes
        Long axis (short axis of a node) at each visit, mm, the baseline first; 0 where the lesion is gone, NaN where
        it could not be measured.
    node
        Whether it is a lymph node.
    organ
        Where it lies; empty when unknown.
    slice_spacing_mm
        Of the baseline scan; NaN when unknown.
    """

    name: str
    sizes: tuple[float, ...]
    node: bool = False
    organ: str = ""
    slice_spacing_mm: float = math.nan

    def gone_at(self, visit: int) -> bool:
        """Whether nothing of it is left, or a node has become normal."""
        return self.sizes[visit] < NORMAL_NODE_MM if self.node else self.sizes[visit] == 0


@dataclass(frozen=True)
class VisitSum:
    """Sum of diameters at one visit.

    Parameters
    ----------
    sld_mm
        Sum of the sizes of all targets; NaN when one could not be measured.
    change_baseline_percent, change_nadir_percent
        Against the baseline, and against the smallest sum of all visits before; NaN at the baseline.
    response
        None at the baseline, and when a sum is not known.
    """

    sld_mm: float
    change_baseline_percent: float = math.nan
    change_nadir_percent: float = math.nan
    response: Response | None = None


def check_targets(targets: Sequence[Target]) -> None:
    """Refuse targets that RECIST 1.1 does not allow.

    Raises
    ------
    LesionError
        For none, more than five, more than two in one organ, or one that is too small at baseline: a long axis below
        10 mm, a short axis of a node below 15 mm, or less than two slices.
    """
    if not 1 <= len(targets) <= MOST_TARGETS:
        raise LesionError(
            f"{len(targets)} targets were given", f"RECIST 1.1 takes 1 to {MOST_TARGETS}", "Choose other targets"
        )
    for organ, number in Counter(target.organ for target in targets if target.organ).items():
        if number > MOST_PER_ORGAN:
            raise LesionError(
                f"{number} targets lie in one organ ({organ})",
                f"RECIST 1.1 takes {MOST_PER_ORGAN} at most",
                "Choose other targets",
            )
    for target in targets:
        _check_size(target)


def _check_size(target: Target) -> None:
    least = SMALLEST_NODE_MM if target.node else SMALLEST_LONG_AXIS_MM
    if math.isfinite(target.slice_spacing_mm):
        least = max(least, SLICES * target.slice_spacing_mm)
    size, axis = target.sizes[0], "short axis" if target.node else "long axis"
    if size >= least * (1 - ROUND_OFF):
        return
    has = f"is {size:.1f} mm at baseline" if math.isfinite(size) else "was not measured at baseline"
    raise LesionError(
        f"Lesion {target.name} cannot be a target",
        f"its {axis} {has}, and RECIST 1.1 asks for {least:g} mm",
        "Choose other targets",
    )


def follow_targets(targets: Sequence[Target]) -> tuple[VisitSum, ...]:
    """Sum of diameters, changes and response at every visit, the baseline first."""
    sums = [sum(target.sizes[visit] for target in targets) for visit in range(len(targets[0].sizes))]
    found = [VisitSum(sums[0])]
    for visit in range(1, len(sums)):
        nadir = min(sums[:visit])  # NaN of a visit before makes it NaN or is passed over, so look for it
        known = all(map(math.isfinite, sums[: visit + 1]))
        gone = known and all(target.gone_at(visit) for target in targets)
        found.append(
            VisitSum(
                sums[visit],
                percent_change(sums[0], sums[visit]),
                percent_change(nadir, sums[visit]) if known else math.nan,
                target_response(sums[visit], sums[0], nadir, gone=gone) if known else None,
            )
        )
    return tuple(found)


def target_response(now_mm: float, baseline_mm: float, nadir_mm: float, *, gone: bool) -> Response:
    """Response from three sums of diameters.

    Parameters
    ----------
    now_mm, baseline_mm, nadir_mm
        Sum at this visit, at baseline, and the smallest of all visits before this one, the baseline among them.
    gone
        Whether every target is gone, nodes included that are below 10 mm: their sum is not 0 then.

    Returns
    -------
    Response
        CR when all are gone; else PD from +20 % and +5 mm over the nadir; else PR from -30 % of the baseline; else
        SD.
    """
    if gone:
        return Response.COMPLETE
    grown = now_mm - nadir_mm
    slack = ROUND_OFF * max(now_mm, baseline_mm)
    if grown >= PROGRESSION_PERCENT / 100 * nadir_mm - slack and grown >= PROGRESSION_MM - slack:
        return Response.PROGRESSION
    if now_mm <= (1 - RESPONSE_PERCENT / 100) * baseline_mm + slack:
        return Response.PARTIAL
    return Response.STABLE
