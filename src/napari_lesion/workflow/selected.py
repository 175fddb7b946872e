"""What there is to see of one lesion beside its numbers: histogram, edge, place on the size scale, change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.table import LesionTable, Row
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.measure.boundary import EdgeProfile, edge_profile
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.distribution import Distribution
from napari_lesion.measure.engine import MeasureRequest, MeasureSettings, lesion_context, measure_lesions
from napari_lesion.measure.spec import Scale
from napari_lesion.measure.tissue import CALCIUM_HU
from napari_lesion.workflow.rating_words import rating_sentences
from napari_lesion.workflow.study import Study
from napari_lesion.workflow.surroundings import surroundings_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_BINS = 40
NICE_STEPS = (1.0, 2.0, 5.0)
COMPARED = ("volume_mm3", "long_axis_mm", "short_axis_mm")
BOX = tuple((f"bbox_{axis}0", f"bbox_{axis}1") for axis in "kji")


@dataclass(frozen=True)
class Mark:
    """A value that is worth a tick, a word for the tick, and what it stands for."""

    value: float
    word: str
    meaning: str


SIZE_LIMITS = (
    Mark(6.0, "6", "6 mm: mean diameter from which solid nodules are followed up as a rule (Fleischner 2017)"),
    Mark(8.0, "8", "8 mm: mean diameter above which the largest size group of nodules begins (Fleischner 2017)"),
    Mark(10.0, "10", "10 mm: smallest long axis that counts as measurable (RECIST 1.1)"),
)
"""Well-known limits, for orientation; they are no advice."""
CT_ONLY = (6.0, 8.0)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Intensities of a lesion.

    Parameters
    ----------
    edges, counts
        Edges of the bins (one more than bins) at multiples of their width, and voxels in each.
    unit
        Unit of the values.
    mean, median, p10, p90
        Statistics of all finite values.
    marks
        Thresholds that matter on this kind of image.
    """

    edges: FloatArray
    counts: IntArray
    unit: str
    mean: float
    median: float
    p10: float
    p90: float
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, eq=False)
class Edge:
    """Intensity from inside to outside, along the normals of the surface.

    Parameters
    ----------
    offsets_mm
        Distance from the outline of the mask, negative inside.
    median, low, high
        Median and quartiles over the surface; NaN where too few samples are valid.
    crossings
        Offset and value of the 90 % and of the 10 % crossing of the median; empty when there is no edge to speak of.
    width_mm
        The edge width of the table: distance of the two, the blur of the interpolation taken off; NaN without edge.
    unit
        Unit of the values.
    """

    offsets_mm: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray
    crossings: tuple[tuple[float, float], ...]
    width_mm: float
    unit: str


@dataclass(frozen=True)
class SizeScale:
    """Where the lesion stands among sizes.

    Parameters
    ----------
    diameter_mm, error_mm
        Mean diameter, and the 95 % half width of it; the half width is NaN when unknown.
    long_axis_mm
        Long axis; NaN when unknown.
    others
        Mean diameters of the other lesions of the study by label.
    marks
        Well-known limits.
    """

    diameter_mm: float
    error_mm: float
    long_axis_mm: float
    others: Mapping[int, float]
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Change:
    """One value in the model's mask and in the present one."""

    title: str
    unit: str
    decimals: int
    before: float
    after: float

    @property
    def percent(self) -> float:
        """Change in percent; NaN when there was nothing before."""
        return 100.0 * (self.after - self.before) / self.before if self.before else math.nan


@dataclass(frozen=True, eq=False)
class SelectedRequest:
    """What to describe, as it stood when the job was asked for.

    Parameters
    ----------
    volume, labels
        Image and labels; the labels may go on being painted, another request follows then.
    lesion, row
        The lesion and its measurements.
    box
        Native box (z, y, x) of its voxels.
    table
        Measurements of all lesions: the others stand on the size scale too.
    model_labels
        Labels as the model gave them.
    model_row
        Measurements of the model's own mask; empty when nobody took them.
    """

    volume: Volume
    labels: LabelMap
    lesion: Lesion
    row: Row
    box: Box
    table: LesionTable
    model_labels: LabelMap
    model_row: Row = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Selected:
    """What there is to see of one lesion; a part is None (or empty) where there is nothing to show.

    ``rating`` holds sentences about how readers would rate it.
    """

    label: int
    histogram: Histogram | None = None
    edge: Edge | None = None
    scale: SizeScale | None = None
    changes: tuple[Change, ...] = ()
    rating: tuple[str, ...] = ()


def selected_request(study: Study, label: int, model_row: Row | None = None) -> SelectedRequest | None:
    """Request to describe a lesion of a study; None as long as it has not been measured."""
    lesion, row = study.lesions.get(label), study.table.rows.get(label, {})
    box = box_of_row(row)
    if lesion is None or box is None:
        return None
    return SelectedRequest(
        study.volume, study.labels, lesion, row, box, study.table, study.model_labels, model_row or {}
    )


def describe_selected(request: SelectedRequest, ctx: JobContext | None = None) -> Selected:
    """Describe a lesion.

    Parameters
    ----------
    request
        What to describe.
    ctx
        Cancel, asked between the parts.

    Returns
    -------
    Selected
        Empty but for its label when the lesion has no voxel any more.

    Raises
    ------
    JobCancelled
        When the job was asked to stop.
    """
    ctx = ctx or JobContext()
    label = request.lesion.label
    around = MeasureRequest(surroundings=surroundings_of(request.volume))
    context = lesion_context(request.volume, request.labels, request.lesion, request.box, around)
    if context is None:
        return Selected(label)
    ctx.step("Describing the lesion", 0, 3)
    histogram = histogram_of(context)
    ctx.step("Describing the lesion", 1, 3)
    edge = edge_of(context)
    ctx.step("Describing the lesion", 2, 3)
    return Selected(label, histogram, edge, size_scale(request), changes(request), rating_sentences(request.row))


def histogram_of(context: LesionContext) -> Histogram | None:
    """Histogram of the finite intensities; None without any."""
    x = context.intensities
    if not x.n:
        return None
    width = nice_width(x)
    bins = x.binned(width)
    first = int(bins.minimum)
    counts = np.zeros(int(bins.maximum) - first + 1, dtype=np.int64)
    counts[bins.values.astype(int) - first] = bins.counts
    edges = (first + np.arange(len(counts) + 1, dtype=np.float64)) * width
    marks: tuple[Mark, ...] = ()
    if context.scale is Scale.HU:
        solid = MeasureSettings().solid_threshold_hu
        marks = (
            Mark(solid, "solid", f"{solid:.0f} HU: counts as solid from here up"),
            Mark(CALCIUM_HU, "calcified", f"{CALCIUM_HU:.0f} HU: counts as calcified above"),
        )
    unit = context.scale.unit
    return Histogram(edges, counts, unit, x.mean, x.median, x.percentile(10), x.percentile(90), marks)


def nice_width(x: Distribution) -> float:
    """Width of bins: the smallest of 1, 2 and 5 times a power of ten that needs at most `MOST_BINS` of them.

    Not below 1 where the image holds whole numbers: narrower bins would show gaps that are none.
    """
    least = (x.maximum - x.minimum) / (MOST_BINS - 1)
    whole = bool(np.all(x.values == np.round(x.values)))
    least = max(least, 1.0 if whole else 0.0)
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (*NICE_STEPS, 10.0) if step * power >= least * (1 - 1e-9))


def edge_of(context: LesionContext) -> Edge | None:
    """Profile across the boundary, for the eye; None where too little of the surface can be seen."""
    if context.is_tiny:
        return None
    profile = edge_profile(context)
    if np.isfinite(profile.median).sum() < 2:
        return None
    return Edge(
        profile.offsets_mm,
        profile.median,
        profile.p25,
        profile.p75,
        crossings_of(profile),
        profile.width_mm,
        context.scale.unit,
    )


def crossings_of(profile: EdgeProfile) -> tuple[tuple[float, float], ...]:
    """Offset and value of the 90 % and of the 10 % crossing that make the width; empty without a width."""
    if not math.isfinite(profile.width_mm):
        return ()
    step = profile.inside_level - profile.outside_level
    known = np.isfinite(profile.median)
    offsets, share = profile.offsets_mm[known], (profile.median[known] - profile.outside_level) / step
    made = []
    for level in (0.9, 0.1):
        at = np.flatnonzero((share[:-1] >= level) & (share[1:] < level))
        places = offsets[at] + (share[at] - level) / (share[at] - share[at + 1]) * (offsets[at + 1] - offsets[at])
        side = places[places <= profile.offset_mm][-1:] if level > 0.5 else places[places >= profile.offset_mm][:1]
        made += [(float(place), profile.outside_level + level * step) for place in side]
    return tuple(made)


def size_scale(request: SelectedRequest) -> SizeScale | None:
    """Place of the lesion on the size scale; None when it has no diameter."""
    diameter = _number(request.row, "mean_diameter_mm")
    if not diameter > 0:
        return None
    sizes = {label: _number(row, "mean_diameter_mm") for label, row in request.table.rows.items()}
    others = {label: size for label, size in sizes.items() if size > 0 and label != request.lesion.label}
    on_ct = request.volume.modality is Modality.CT
    marks = tuple(mark for mark in SIZE_LIMITS if on_ct or mark.value not in CT_ONLY)
    return SizeScale(diameter, diameter_error(request), _number(request.row, "long_axis_mm"), others, marks)


def diameter_error(request: SelectedRequest) -> float:
    """95 % half width of the mean diameter, mm; NaN when unknown.

    The column that the mean diameter names, where there is one; otherwise the mean of the half widths of both axes,
    which holds however the errors of the two hang together.
    """
    own = _half_width(request, "mean_diameter_mm")
    if math.isfinite(own):
        return own
    return (_half_width(request, "long_axis_mm") + _half_width(request, "short_axis_mm")) / 2.0


def changes(request: SelectedRequest) -> tuple[Change, ...]:
    """Volume and axes against the model's mask; empty unless the lesion was edited."""
    if request.lesion.status is not Status.EDITED:
        return ()
    before = request.model_row or _measured_on_model(request)
    made = []
    for name in COMPARED:
        old, new = _number(before, name), _number(request.row, name)
        if math.isfinite(old) and math.isfinite(new):
            column = request.table.column(name)
            decimals = 0 if column.unit == "mm³" else column.decimals
            made.append(Change(column.title, column.unit, decimals, old, new))
    return tuple(made)


def _measured_on_model(request: SelectedRequest) -> Row:
    """The model's mask of this number, measured now: of a study that was restored, nobody kept its rows."""
    label = request.lesion.label
    asked = MeasureRequest(features=COMPARED, only=frozenset({label}))
    return measure_lesions(request.volume, request.model_labels, asked).rows.get(label, {})


def _half_width(request: SelectedRequest, name: str) -> float:
    error = request.table.column(name).error if name in request.table.names else ""
    return _number(request.row, error) if error else math.nan


def box_of_row(row: Row) -> Box | None:
    """Native box (z, y, x) that a row of measurements states; None as long as it states none."""
    bounds = [(_number(row, first), _number(row, last)) for first, last in BOX]
    if not all(math.isfinite(first) and math.isfinite(last) for first, last in bounds):
        return None
    z, y, x = (slice(int(first), int(last)) for first, last in bounds)
    return z, y, x


def _number(row: Row, name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, (int, float)) else math.nan
