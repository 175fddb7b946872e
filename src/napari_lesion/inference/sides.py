"""Right and left lung, and the pleura of each, from the air of both lungs.

The region that is searched is closed over both lungs together and has a margin. Distances to the pleura need each
lung by itself, without a margin, and with its vessels and nodules filled in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.inference.components import components

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]

FILLING_MM: Final = 10.0
"""Vessels, walls of airways and nodules of up to twice this width belong to the lung. Measured on synthetic chests:
from 10 mm on the distances to the pleura have no gross outliers at vessels; more rounds the mediastinal side off."""
MIN_SHARE: Final = 0.15
MAX_CONTACT_CM2: Final = 20.0
"""Lungs touch along the thin anterior and posterior junction only; a larger cut goes through a lung."""
APART_MM: Final = 60.0
EROSION_STEPS: Final = 6
MEMBRANE_HU: Final = (-500.0, -600.0, -700.0)
"""The pleurae of the junction, averaged with the lung beside them, are denser than this."""
LEFTOVER_MM: Final = 15.0


@dataclass(frozen=True, eq=False)
class LungSides:
    """Both lungs with what they enclose.

    Parameters
    ----------
    whole
        Both lungs, without a margin.
    right, left
        Each lung; None when the two hang together and cannot be parted with certainty.
    """

    whole: BoolArray
    right: BoolArray | None = None
    left: BoolArray | None = None


def lung_sides(air: BoolArray, hu: FloatArray, spacing: Triple) -> LungSides:
    """Fill each lung, and tell right from left by which parts hang together, never by a line in the middle.

    Parameters
    ----------
    air
        Air of both lungs without trachea and main bronchi, display order (superior to inferior, anterior to
        posterior, right to left).
    hu
        Coarse CT, same shape, HU.
    spacing
        Along those axes, mm.
    """
    box = _box(air, margin=1)  # what starts at 0 in it is cut by the end of the image
    parts = _two_lungs(air[box], hu[box], spacing)
    filled = [_filled(part, spacing) for part in (parts or (air[box],))]
    if parts is not None:
        # what both fillings reach lies between the lungs: it is of neither
        between = filled[0] & filled[1]
        filled = [
            (mine & ~between | air_of) & ~other
            for mine, air_of, other in zip(filled, parts, parts[::-1], strict=True)
        ]
    found = np.zeros((len(filled), *air.shape), dtype=bool)
    for into, part in zip(found, filled, strict=True):
        into[box] = part
    whole: BoolArray = np.logical_or.reduce(found)
    return LungSides(whole, *(found if parts is not None else ()))


def _box(part: BoolArray, margin: int = 0) -> tuple[slice, ...]:
    """Smallest box around a set that is not empty, with a margin within the array."""
    used = [np.flatnonzero(part.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    return tuple(
        slice(max(0, int(places[0]) - margin), min(n, int(places[-1]) + 1 + margin))
        for places, n in zip(used, part.shape, strict=True)
    )


def _two_lungs(air: BoolArray, hu: FloatArray, spacing: Triple) -> tuple[BoolArray, BoolArray] | None:
    """Air of the right and of the left lung; None when they cannot be told apart."""
    for labels in _partings(air, hu, spacing):
        pair = _main_parts(labels, spacing)
        if pair is not None:
            return _with_leftovers(air, labels == pair[0], labels == pair[1], spacing)
    return None


def _main_parts(labels: npt.NDArray[Any], spacing: Triple) -> tuple[int, int] | None:
    """Labels of the right and the left lung: two large parts side by side, and no third."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    large = np.flatnonzero(sizes >= MIN_SHARE * sizes.sum())
    if len(large) != 2:
        return None
    middles = [_mean_column(labels == label) * spacing[2] for label in large]
    if abs(middles[1] - middles[0]) < APART_MM:
        return None
    first, second = (int(label) for label in large)
    return (first, second) if middles[0] < middles[1] else (second, first)


def _mean_column(part: BoolArray) -> float:
    profile = part.sum(axis=(0, 1))
    return float(profile @ np.arange(len(profile)) / profile.sum())


def _partings(air: BoolArray, hu: FloatArray, spacing: Triple) -> Iterator[npt.NDArray[Any]]:
    """Labels of the air by what hangs together, and then, where the lungs touch, parted at their thin junction.

    Seeds come from a threshold that the membranes between the lungs exceed, and from an erosion; every voxel goes to
    the nearer seed.
    """
    import edt

    yield components(air, 6)

    def eroded() -> Iterator[BoolArray]:
        depth = edt.edt(air, anisotropy=spacing, parallel=0)
        yield from (depth > step * max(spacing) for step in range(1, EROSION_STEPS + 1))

    for trials in ((air & (hu < limit) for limit in MEMBRANE_HU), eroded()):
        labels = _first_parting(trials, air, spacing)
        if labels is not None and _contact_cm2(labels, spacing) <= MAX_CONTACT_CM2:
            yield labels


def _first_parting(trials: Iterator[BoolArray], air: BoolArray, spacing: Triple) -> npt.NDArray[Any] | None:
    """The air by the nearer of two seeds, from the first trial that shows a right and a left one."""
    import edt

    for trial in trials:
        seeds = components(trial, 6)
        pair = _main_parts(seeds, spacing)
        if pair is not None:
            far = [edt.edt(seeds != label, anisotropy=spacing, parallel=0) for label in pair]
            return np.where(air, np.where(far[0] <= far[1], 1, 2), 0)
    return None


def _contact_cm2(labels: npt.NDArray[Any], spacing: Triple) -> float:
    """Area of the voxel faces between label 1 and label 2."""
    total = 0.0
    for axis in range(3):
        low, high = (np.take(labels, range(n, labels.shape[axis] - 1 + n), axis=axis) for n in (0, 1))
        area = float(np.prod(spacing)) / spacing[axis] / 100.0
        total += area * float(np.count_nonzero(low * high == 2))
    return total


def _with_leftovers(
    air: BoolArray, right: BoolArray, left: BoolArray, spacing: Triple
) -> tuple[BoolArray, BoolArray]:
    """Smaller pockets of air go to the lung that they lie beside, and to none when both or neither are near."""
    rest = air & ~right & ~left
    if not rest.any():
        return right, left
    import edt

    near_right, near_left = (edt.edt(~part, anisotropy=spacing, parallel=0) <= LEFTOVER_MM for part in (right, left))
    labels = components(rest, 6)
    for label in range(1, int(labels.max()) + 1):
        pocket = labels == label
        touches = bool(near_right[pocket].any()), bool(near_left[pocket].any())
        if touches == (True, False):
            right = right | pocket
        elif touches == (False, True):
            left = left | pocket
    return right, left


def _filled(part: BoolArray, spacing: Triple) -> BoolArray:
    """A lung with its vessels and nodules: a closing, and the holes that it leaves; beyond the image it goes on."""
    import edt

    pad = [int(np.ceil(FILLING_MM / s)) + 1 for s in spacing]
    box = _box(part)
    ends = [(p if b.start == 0 else 0, p if b.stop == n else 0) for p, b, n in zip(pad, box, part.shape, strict=True)]
    rest = [(p - low, p - high) for p, (low, high) in zip(pad, ends, strict=True)]
    core = np.pad(np.pad(part[box], ends, mode="edge"), rest)
    grown = edt.edt(~core, anisotropy=spacing, parallel=0) <= FILLING_MM
    closed = core | (edt.edt(grown, anisotropy=spacing, parallel=0) > FILLING_MM)
    closed |= _holes(closed)
    filled = np.zeros(part.shape, dtype=bool)
    filled[box] = closed[tuple(slice(p, -p) for p in pad)]
    return filled


def _holes(closed: BoolArray) -> BoolArray:
    """What a set encloses; what goes on beyond the array is not enclosed."""
    labels = components(~closed, 6)
    rims = [labels.take(end, axis=axis).ravel() for axis in range(3) for end in (0, -1)]
    enclosed: BoolArray = ~closed & ~np.isin(labels, np.unique(np.concatenate(rims)))
    return enclosed
