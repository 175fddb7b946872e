"""What the reader measured by hand with the caliper; it stands beside the computed axes and never replaces them."""

from __future__ import annotations

import math
from functools import partial

from napari_lesion.core.lesion import Caliper
from napari_lesion.core.table import Value
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.spec import Family, FeatureSpec

_mm = partial(FeatureSpec, family=Family.SIZE, unit="mm", ucum="mm", decimals=1, invariance=("T",))

RECIST = "Eisenhauer 2009, Eur J Cancer 45:228 (RECIST 1.1)"
NOBODY = Caliper()


def _long(c: LesionContext) -> Value:
    return (c.lesion.caliper or NOBODY).long_mm


def _short(c: LesionContext) -> Value:
    return (c.lesion.caliper or NOBODY).short_mm


def _mean(c: LesionContext) -> Value:
    """Mean of the axes as they stand in the viewer: those of the reader, and the computed one that nobody moved."""
    caliper = c.lesion.caliper
    if caliper is None:
        return math.nan
    long = c.axes.long_mm if caliper.long_ends is None else caliper.long_mm
    short = c.axes.short_mm if caliper.short_ends is None else caliper.short_mm
    return (long + short) / 2.0


def _source(c: LesionContext) -> Value:
    return "computed" if c.lesion.caliper is None else "manual"


def _end(name: str, which: int, axis: int, c: LesionContext) -> Value:
    caliper = c.lesion.caliper or NOBODY
    ends = caliper.long_ends if name == "long" else caliper.short_ends
    return math.nan if ends is None else ends[which][axis]


def _end_specs() -> list[FeatureSpec]:
    return [
        _mm(
            f"manual_{name}_axis_p{which + 1}_{letter}_mm",
            f"Manual {name} axis P{which + 1} {letter.upper()}",
            function=partial(_end, name, which, axis),
            definition=f"Patient coordinate {letter.upper()} (LPS) of end point {which + 1} of the {name} axis that "
            "the reader set.",
            reference="DICOM SCOORD3D",
            optional=True,
            invariance=(),
        )
        for name in ("long", "short")
        for which in (0, 1)
        for axis, letter in enumerate("lps")
    ]


MANUAL: tuple[FeatureSpec, ...] = (
    FeatureSpec(
        "axes_source",
        "Axes",
        Family.SIZE,
        _source,
        "manual: the reader set at least one axis with the caliper, see the manual columns; computed: nobody did. "
        "The computed axes are there in either case.",
        invariance=("T", "F", "S0"),
    ),
    _mm(
        "manual_long_axis_mm",
        "Manual long axis",
        function=_long,
        definition="Length of the long axis as the reader set it in an axial slice; empty when nobody moved it.",
        reference=RECIST,
        code="(SCT 103339001) Long axis",
    ),
    _mm(
        "manual_short_axis_mm",
        "Manual short axis",
        function=_short,
        definition="Length of the short axis as the reader set it in an axial slice; empty when nobody moved it. It "
        "is not forced to be perpendicular to the long axis.",
        reference=RECIST,
        code="(SCT 103340004) Short axis",
    ),
    _mm(
        "manual_mean_diameter_mm",
        "Manual mean diameter",
        function=_mean,
        definition="Mean of long and short axis, unrounded: those of the reader, and the computed one for an axis "
        "that nobody moved; empty without a manual axis.",
        reference="MacMahon 2017, Radiology 284:228 (Fleischner)",
        code="(SCT 81827009) Diameter",
        needs=("axes",),
    ),
    *_end_specs(),
)
