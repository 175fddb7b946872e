"""Measure the lesions of a label map: boxes once, then each lesion on its own crop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from napari_lesion.core.display import Box, shifted
from napari_lesion.core.grid import require_same_grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.rating import Rating
from napari_lesion.core.surroundings import Surroundings
from napari_lesion.core.table import Column, LesionTable, Row, Value
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.measure.boxes import boxes_of
from napari_lesion.measure.context import LesionContext, MeasureSettings
from napari_lesion.measure.registry import CORE, select
from napari_lesion.measure.spec import Family, Scale, scale_of

__all__ = ["MeasureRequest", "MeasureSettings", "measure_lesions"]


@dataclass(frozen=True)
class MeasureRequest:
    """What to measure, and how.

    Parameters
    ----------
    lesions
        What is known about each label; a label that is missing here counts as manual, without a probability.
    features
        Words for `registry.select`.
    only
        Labels to measure; None for all.
    boxes
        Box (z, y, x) of labels whose box is known. It must hold every voxel of the label and may be larger. Labels
        in ``only`` whose box is given are measured without a look at the rest of the volume.
    settings
        Choices that the definitions leave open.
    surroundings
        Organ, sides and parts that are known; columns about the place are empty without.
    probability
        What the model said, for measures of it; None without one.
    ratings
        What a classifier said, by label.
    overlapping
        Labels whose voxels another mask claims too.
    """

    lesions: Mapping[int, Lesion] = field(default_factory=dict)
    features: tuple[str, ...] = (CORE,)
    only: frozenset[int] | None = None
    boxes: Mapping[int, Box] | None = None
    settings: MeasureSettings = field(default_factory=MeasureSettings)
    surroundings: Surroundings = field(default_factory=Surroundings)
    probability: ProbabilityMap | None = None
    ratings: Mapping[int, Rating] = field(default_factory=dict)
    overlapping: frozenset[int] = frozenset()


def measure_lesions(
    volume: Volume, labels: LabelMap, request: MeasureRequest | None = None, ctx: JobContext | None = None
) -> LesionTable:
    """Measure lesions.

    Parameters
    ----------
    volume
        The image.
    labels
        Label map on the same grid; only read.
    request
        What to measure; all core measures of all labels when not given.
    ctx
        Progress and cancel, asked before every lesion.

    Returns
    -------
    LesionTable
        One row a label, ascending. A label without voxels has no row. Undefined numbers are NaN.

    Raises
    ------
    GeometryError
        When image and labels lie on different grids.
    LesionError
        When a feature is unknown.
    JobCancelled
        When the job was asked to stop.
    """
    request = request or MeasureRequest()
    require_same_grid(volume.grid, labels.grid, "The mask")
    plan = _plan(request.features, scale_of(volume))
    boxes = boxes_of(labels.array, request.only, request.boxes)
    rows: dict[int, Row] = {}
    for label, box in (ctx or JobContext()).track(boxes.items(), "Measuring", len(boxes)):
        lesion = request.lesions.get(label) or Lesion(label, Status.MANUAL)
        context = lesion_context(volume, labels, lesion, box, request)
        if context is not None:
            context = context if plan.boundary else replace(context, ring_asked=False)
            rows[label] = {name: function(context) for name, function in plan.functions.items()}
    return LesionTable(plan.columns, rows)


@dataclass(frozen=True)
class _Plan:
    """Columns of a request, the function behind each, and whether any of them is about the boundary."""

    columns: tuple[Column, ...]
    functions: Mapping[str, Callable[[LesionContext], Value]]
    boundary: bool


@cache
def _plan(features: tuple[str, ...], scale: Scale) -> _Plan:
    """Worked out once for each choice: while somebody paints, the same few columns are measured again and again."""
    specs = [spec for spec in select(features) if spec.applies_to(scale)]
    columns = tuple(spec.column(scale) for spec in specs)
    boundary = any(spec.family is Family.BOUNDARY for spec in specs)
    return _Plan(columns, {spec.column_name(scale): spec.function for spec in specs}, boundary)


def lesion_context(
    volume: Volume, labels: LabelMap, lesion: Lesion, box: Box, request: MeasureRequest | None = None
) -> LesionContext | None:
    """Context of one lesion on its tight crop; None when the box holds no voxel of it."""
    box = _plain(box, labels.array.shape)
    mask = labels.array[box] == lesion.label
    occupied = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not occupied[0].size:
        return None
    z, y, x = (slice(int(places[0]), int(places[-1]) + 1) for places in occupied)
    mask = np.ascontiguousarray(mask[z, y, x])
    request = request or MeasureRequest()
    return LesionContext(
        lesion,
        mask,
        shifted((z, y, x), box),
        volume,
        settings=request.settings,
        labels=labels,
        surroundings=request.surroundings,
        probability=request.probability,
        rating=request.ratings.get(lesion.label),
        overlaps=lesion.label in request.overlapping,
    )


def _plain(box: Box, shape: tuple[int, ...]) -> Box:
    """The same box with plain bounds inside the array."""
    z, y, x = (slice(*part.indices(size)[:2]) for part, size in zip(box, shape, strict=True))
    return z, y, x
