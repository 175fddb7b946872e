"""Split one lesion into parts: its components, or two lobes of one component."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Triple
from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.components import components
from napari_lesion.workflow.edit_boxes import box_of

Mask = npt.NDArray[np.bool_]
Parts = npt.NDArray[np.int32]
Index = tuple[int, int, int]

NECK_LEVELS = 24
COARSE_EDGE = 64
"""Necks are looked for at 24 depths, on a grid of at most 64 steps along each axis."""


@dataclass(frozen=True, eq=False)
class SplitRequest:
    """A lesion to split, as it was when somebody asked for it.

    Parameters
    ----------
    label, box, mask
        Its number, its native box, and a copy of its mask there.
    spacing
        Along (z, y, x), mm.
    seeds
        Voxels of the mask (z, y, x), counted from the box, one in each wanted part; fewer than two for none.
    """

    label: int
    box: Box
    mask: Mask
    spacing: Triple
    seeds: tuple[Index, ...] = ()


def split_lesion(request: SplitRequest, ctx: JobContext | None = None) -> Parts:
    """Number the parts of a lesion as a job; see `split_mask`."""
    (ctx or JobContext()).step("Splitting")
    return split_mask(request.mask, request.spacing, request.seeds)


def split_mask(mask: Mask, spacing: Triple, seeds: Sequence[Index] = ()) -> Parts:
    """Number the parts of one lesion, the largest first.

    A mask of several 26-connected components gives one part each. A single component is cut by a watershed of its
    distance map, from the seeds when there are at least two, else from the two lobes that its deepest neck parts.
    A body without a neck is cut across the middle of its longest axis.

    Parameters
    ----------
    mask
        The lesion (z, y, x).
    spacing
        Along (z, y, x), mm.
    seeds
        Voxels (z, y, x) of the mask, one in each wanted part.

    Returns
    -------
    Parts
        0 outside, 1 to n inside, ordered by falling size (the first in scan order at equal size). Every voxel of the
        mask belongs to a part; n is 1 when the mask has a single voxel.
    """
    inner = box_of(mask)
    parts: Parts = np.zeros(mask.shape, dtype=np.int32)
    if inner is None:
        return parts
    body = mask[inner]
    local = [_inside(seed, inner) for seed in seeds]
    parts[inner] = _ordered(_cut(body, spacing, local))
    return parts


def _cut(body: Mask, spacing: Triple, seeds: Sequence[Index]) -> Parts:
    if len(seeds) >= 2:
        return _watershed(body, spacing, _seed_markers(body, seeds))
    connected = _components(body)
    if connected.max() > 1:
        return connected
    markers = _lobes(body, spacing)
    return _halves(body, spacing) if markers is None else _watershed(body, spacing, markers)


def _components(body: Mask) -> Parts:
    return np.asarray(components(body, connectivity=26), dtype=np.int32)


def _distance(body: Mask, spacing: Triple) -> npt.NDArray[np.float32]:
    import edt

    distance: npt.NDArray[np.float32] = edt.edt(np.ascontiguousarray(body), anisotropy=spacing, black_border=True)
    return distance


def _watershed(body: Mask, spacing: Triple, markers: Parts) -> Parts:
    """Watershed of the distance map; a component without a marker stays a part of its own."""
    from skimage.segmentation import watershed

    flooded: Parts = np.asarray(
        watershed(-_distance(body, spacing), markers, mask=body, connectivity=np.ones((3, 3, 3))), dtype=np.int32
    )
    dry = body & (flooded == 0)
    if dry.any():
        rest = _components(dry)
        flooded[dry] = rest[dry] + flooded.max()
    return flooded


def _seed_markers(body: Mask, seeds: Sequence[Index]) -> Parts:
    markers: Parts = np.zeros(body.shape, dtype=np.int32)
    for number, seed in enumerate(seeds, start=1):
        if all(0 <= i < n for i, n in zip(seed, body.shape, strict=True)) and body[seed]:
            markers[seed] = number
    return markers


def _lobes(body: Mask, spacing: Triple) -> Parts | None:
    """Markers in the two lobes that the deepest neck parts; None when the body has no neck.

    The distance map is cut at rising depths; the cut whose second largest component is largest parts the lobes.
    """
    step = max(1, -(-max(body.shape) // COARSE_EDGE))
    coarse = body[::step, ::step, ::step]
    z, y, x = spacing
    distance = _distance(coarse, (z * step, y * step, x * step))
    best, markers = 0, None
    for depth in np.linspace(0.0, float(distance.max(initial=0.0)), NECK_LEVELS, endpoint=False)[1:]:
        connected = _components(distance > depth)
        sizes = np.bincount(connected.ravel())[1:]
        if sizes.size < 2:
            continue
        first, second = np.argsort(-sizes, kind="stable")[:2]
        if sizes[second] > best:
            best = int(sizes[second])
            markers = np.where(connected == first + 1, 1, np.where(connected == second + 1, 2, 0))
    if markers is None:
        return None
    fine: Parts = np.zeros(body.shape, dtype=np.int32)
    fine[::step, ::step, ::step] = markers
    return fine


def _halves(body: Mask, spacing: Triple) -> Parts:
    """Two halves of equal size across the longest axis of inertia."""
    index = np.argwhere(body)
    parts: Parts = np.zeros(body.shape, dtype=np.int32)
    if len(index) < 2:
        parts[body] = 1
        return parts
    place = (index - index.mean(axis=0)) * np.asarray(spacing)
    _, axes = np.linalg.eigh(place.T @ place)
    along = place @ axes[:, -1]
    half = np.full(len(index), 2, dtype=np.int32)
    half[np.argsort(along, kind="stable")[: len(index) // 2]] = 1
    parts[body] = half
    return parts


def _ordered(parts: Parts) -> Parts:
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    order = [label for label in np.argsort(-sizes, kind="stable") if sizes[label]]
    lookup = np.zeros(sizes.size, dtype=np.int32)
    lookup[order] = np.arange(1, len(order) + 1)
    return lookup[parts]


def _inside(seed: Index, box: tuple[slice, slice, slice]) -> Index:
    z, y, x = (int(i) - part.start for i, part in zip(seed, box, strict=True))
    return z, y, x
