"""The form of a lesion's outline: spikes, lobes, contact with what the organ ends at."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.measure.boundary_near import Neighbourhood
from napari_lesion.measure.ring import SLACK
from napari_lesion.measure.topology import components_26, distance_inside

if TYPE_CHECKING:
    from napari_lesion.measure.context import LesionContext

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

BODY_LEVEL = 0.4
"""Share of the way from the outer to the inner level of the edge at which tissue around the mask still belongs."""

BALL = 0.3
BALL_VOXELS = 1.5
SPICULE_VOXELS = 8
SPICULE_MM = 2.0
LOBE_MM = 1.0
LOBE_SHARE = 0.1
LINE_SAMPLES = 24
MOST_PEAKS = 200


@dataclass(frozen=True)
class Opening:
    """What a ball that rolls inside a body cannot reach.

    Parameters
    ----------
    share
        Share of the body's volume that it cannot reach; NaN when it fits nowhere.
    spicules
        Parts of that with at least 8 voxels that reach at least 2 mm away from the rest; NaN when it fits nowhere.
    radius_mm
        Radius of the ball.
    """

    share: float
    spicules: float
    radius_mm: float


def body_of(c: LesionContext) -> BoolArray:
    """The lesion with the tissue of its own density that reaches up to 3 mm out of it: what a mask cuts off spikes.

    Voxels within 3 mm of the mask on the lesion's side of 40 % between the two levels of the edge, connected to it
    (26), without other labels and what lies beyond the organ; the mask alone where there is no clear edge.
    """
    edge = c.edge
    if not np.isfinite(edge.offset_mm):
        return c.mask
    near, close = c.near, c.around.close
    view = near.inner(close.shape)
    level = edge.outside_level + BODY_LEVEL * (edge.inside_level - edge.outside_level)
    image, lesion = near.image[view], near.lesion[view]
    body = image >= level if edge.inside_level > edge.outside_level else image <= level
    body &= close
    body &= ~near.blocked[view]
    body |= lesion
    labels, count = components_26(body)
    if count > 1:
        own = np.zeros(count + 1, dtype=bool)
        own[labels[lesion]] = True
        body &= own[labels]
    occupied = [np.flatnonzero(body.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    return body[tuple(slice(int(at[0]), int(at[-1]) + 1) for at in occupied)]


def opening_of(body: BoolArray, spacing: Triple) -> Opening:
    """Open a body with a ball of radius 0.3 equivalent diameters, at least 1.5 times the largest spacing.

    By two distance transforms.

    Parameters
    ----------
    body
        Voxels (z, y, x), tight or not.
    spacing
        Spacing (z, y, x), mm.
    """
    count = int(np.count_nonzero(body))
    diameter = (6.0 * count * float(np.prod(spacing)) / np.pi) ** (1.0 / 3.0)
    radius = max(BALL_VOXELS * max(spacing), BALL * diameter)
    core = distance_inside(body, spacing) > radius * (1 + SLACK)
    if not core.any():
        return Opening(float("nan"), float("nan"), radius)
    away = distance_inside(~core, spacing, closed=False)
    rest = body & (away > radius * (1 + SLACK))
    return Opening(float(np.count_nonzero(rest)) / count, float(_spicules(rest, away[rest] - radius)), radius)


def _spicules(rest: BoolArray, away: npt.NDArray[np.floating]) -> int:
    labels, count = components_26(rest)
    if not count:
        return 0
    inside = labels[rest]
    sizes = np.bincount(inside, minlength=count + 1)
    far = np.zeros(count + 1)
    np.maximum.at(far, inside, away)
    return int(np.count_nonzero((sizes >= SPICULE_VOXELS) & (far >= SPICULE_MM * (1 - SLACK))))


def lobes_of(depth: npt.NDArray[np.floating], spacing: Triple) -> int:
    """Number of maxima of the inside distance that stand out by h = max(1 mm, half the largest spacing, 10 %).

    The persistence of the maxima (the count of h-maxima; Soille 2003, Morphological Image Analysis) on the graph of
    the straight lines between them: two maxima meet at the smallest depth on the way.

    Parameters
    ----------
    depth
        Distance of each voxel to the nearest voxel centre outside, mm; 0 outside.
    spacing
        Spacing (z, y, x), mm.
    """
    largest = float(depth.max())
    height = max(LOBE_MM, 0.5 * max(spacing), LOBE_SHARE * largest)
    peaks = _peaks(depth, spacing, height)
    if len(peaks) < 2:
        return 1
    heights = depth[tuple(peaks.T)].astype(np.float64)
    pairs = np.array(list(combinations(range(len(peaks)), 2)))
    passes = _lowest_between(depth, peaks[pairs[:, 0]], peaks[pairs[:, 1]])
    return 1 + _standing(heights, pairs, passes, height)


def _standing(heights: FloatArray, pairs: IntArray, passes: FloatArray, height: float) -> int:
    """Merges of two groups of peaks, highest pass first, whose lower peak stands out by a height."""
    group, top = list(range(len(heights))), heights.copy()
    count = 0
    for at in np.argsort(-passes, kind="stable"):
        one, other = (_root(group, int(peak)) for peak in pairs[at])
        if one == other:
            continue
        if top[one] < top[other]:
            one, other = other, one
        count += bool(top[other] - passes[at] >= height * (1 - SLACK))
        group[other] = one
    return count


def _root(group: list[int], member: int) -> int:
    while group[member] != member:
        group[member] = group[group[member]]
        member = group[member]
    return member


def _peaks(depth: npt.NDArray[np.floating], spacing: Triple, height: float) -> IntArray:
    """Voxels (n, 3) deeper than their neighbours, on a part of the lattice that is as fine as the height needs."""
    from scipy import ndimage

    lines = [_spread(n, max(1, int(height / 2.0 / step))) for n, step in zip(depth.shape, spacing, strict=True)]
    coarse = depth[np.ix_(*lines)]
    top = (coarse == ndimage.maximum_filter(coarse, 3, mode="constant")) & (coarse >= height)
    labels, _ = components_26(top)
    places = np.argwhere(top)
    member = labels[top]
    chosen = [_middle(places[member == label]) for label in np.unique(member)]
    chosen = sorted(chosen, key=lambda place: -coarse[tuple(place)])[:MOST_PEAKS]
    return np.array([[line[at] for line, at in zip(lines, place, strict=True)] for place in chosen], dtype=np.intp)


def _middle(places: IntArray) -> IntArray:
    """The place nearest to the mean of some places."""
    away = ((places - places.mean(axis=0)) ** 2).sum(axis=1)
    nearest: IntArray = places[int(away.argmin())]
    return nearest


def _spread(count: int, step: int) -> IntArray:
    """Every so many-th index out from the middle, so that a flip keeps the choice."""
    half = np.arange(count // 2 + count % 2, count, step) if count % 2 == 0 else np.arange(count // 2, count, step)
    return np.unique(np.concatenate([count - 1 - half, half]))


def _lowest_between(depth: npt.NDArray[np.floating], first: IntArray, last: IntArray) -> FloatArray:
    """Smallest depth on the straight lines between voxels."""
    from scipy import ndimage

    share = np.linspace(0.0, 1.0, LINE_SAMPLES)[:, None, None]
    points = first * (1.0 - share) + last * share
    values = ndimage.map_coordinates(depth, np.moveaxis(points, 2, 0), order=1, output=np.float64)
    lowest: FloatArray = values.min(axis=0)
    return lowest


def contact_of(near: Neighbourhood, spacing: Triple) -> float:
    """Share of the lesion's outer voxel faces behind which the organ ends; NaN without an organ.

    Faces at the end of the image are left out: what lies behind is not known.
    """
    if near.organ is None:
        return float("nan")
    known = np.zeros(near.lesion.shape, dtype=bool)
    known[near.within] = True
    view = near.inner(tuple(n - 2 * extra + 2 for extra, n in zip(near.margin, near.lesion.shape, strict=True)))
    lesion, organ, known = near.lesion[view], near.organ[view], known[view]
    touching = total = 0.0
    for axis in range(3):
        area = float(np.prod(spacing)) / spacing[axis]
        for one, other in (((1, None), (None, -1)), ((None, -1), (1, None))):
            here = tuple(slice(*one) if a == axis else slice(None) for a in range(3))
            there = tuple(slice(*other) if a == axis else slice(None) for a in range(3))
            faces = lesion[here] & ~lesion[there] & known[there]
            total += area * np.count_nonzero(faces)
            touching += area * np.count_nonzero(faces & ~organ[there])
    return touching / total if total else float("nan")
