"""Who the lesion is and where it lies."""

from __future__ import annotations

from functools import partial

import numpy as np

from napari_lesion.core.probability import SCALE
from napari_lesion.core.table import Value
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.provenance import lesion_uid
from napari_lesion.measure.rating import RATING
from napari_lesion.measure.spec import Family, FeatureSpec

_feature = partial(FeatureSpec, family=Family.IDENTITY)
_number = partial(_feature, unit="", ucum="1", decimals=0)
_mm = partial(_feature, unit="mm", ucum="mm", decimals=1)


def _probability_mean(c: LesionContext) -> Value:
    if c.probability is None:
        return float("nan")
    return float(np.mean(c.probability.dense(c.box)[c.mask], dtype=np.float64)) / SCALE


def _centroid_mm(axis: int, c: LesionContext) -> Value:
    return float(c.centroid_mm[axis])


def _centroid_index(axis: int, c: LesionContext) -> Value:
    return float(c.centroid_index[axis])


def _inner_point(axis: int, c: LesionContext) -> Value:
    return c.inside_distance[1][axis]


def _long_end(which: int, axis: int, c: LesionContext) -> Value:
    return float(c.axis_end_mm(c.axes.long_ends, which)[axis])


def _short_end(which: int, axis: int, c: LesionContext) -> Value:
    return float(c.axis_end_mm(c.axes.short_ends, which)[axis])


def _long_axis_slice(c: LesionContext) -> Value:
    return c.axes.slice_index + c.start[c.grid.axial_axis]


def _end_specs() -> list[FeatureSpec]:
    specs = []
    for name, end in (("long", _long_end), ("short", _short_end)):
        for which in (0, 1):
            for axis, letter in enumerate("lps"):
                specs.append(
                    _mm(
                        f"{name}_axis_p{which + 1}_{letter}_mm",
                        f"{name.capitalize()} axis P{which + 1} {letter.upper()}",
                        function=partial(end, which, axis),
                        definition=f"Patient coordinate {letter.upper()} (LPS) of end point {which + 1} "
                        f"of the {name} axis.",
                        reference="DICOM SCOORD3D",
                        needs=("axes",),
                    )
                )
    return specs


IDENTITY: tuple[FeatureSpec, ...] = (
    _number(
        "label",
        "Label",
        function=lambda c: c.lesion.label,
        definition="Value of the lesion in the mask.",
    ),
    _feature(
        "status",
        "Status",
        function=lambda c: str(c.lesion.status),
        definition="model: untouched prediction; edited: at least one voxel differs from the prediction; "
        "manual: no prediction below it.",
    ),
    _feature(
        "probability",
        "Probability",
        function=lambda c: c.lesion.probability,
        definition="Largest lesion probability of the model inside the mask; empty for a manual lesion. "
        "A score of the model, not the chance of malignancy.",
        ucum="1",
        decimals=2,
    ),
    *RATING,
    _feature(
        "review",
        "Review",
        function=lambda c: str(c.lesion.review),
        definition="Decision of the reader: empty, accepted or rejected.",
    ),
    _feature(
        "lesion_id",
        "Name",
        function=lambda c: c.lesion.tracking_id,
        definition="Name that stays the same across time points; the label as long as nobody gave another one.",
        code="(DCM 112039) Tracking Identifier",
    ),
    _feature(
        "lesion_uid",
        "UID",
        function=lambda c: lesion_uid(c.volume.source, c.lesion),
        definition="UID that follows from patient and name, so that it stays the same across time points. The "
        "patient is the keyed hash of the DICOM Patient ID, or of the word given with --patient; without either it "
        "is the case.",
        reference="UUID version 5 (RFC 9562) as a UID (ITU-T X.667)",
        code="(DCM 112040) Tracking Unique Identifier",
    ),
    _feature(
        "finding",
        "Finding",
        function=lambda c: c.lesion.finding,
        definition="What a model with several classes calls it; empty for a model that knows one kind of lesion.",
        code="(DCM 121071) Finding",
    ),
    _feature(
        "probability_mean",
        "Mean probability",
        function=_probability_mean,
        definition="Mean lesion probability of the model inside the mask; empty without a model.",
        ucum="1",
        decimals=2,
        optional=True,
    ),
    _number(
        "n_voxels",
        "Voxels",
        function=lambda c: c.n,
        definition="Number of voxels.",
        invariance=("T", "F", "S0"),
        needs=("moments",),
    ),
    _number(
        "n_slices",
        "Slices",
        function=lambda c: int((c.slice_areas > 0).sum()),
        definition="Number of axial slices with at least one voxel.",
        invariance=("T", "F2", "S0"),
        needs=("slice_areas",),
    ),
    _number(
        "n_components",
        "Components",
        function=lambda c: c.component_count,
        definition="Number of 26-connected components.",
        invariance=("T", "F", "S0"),
        needs=("component_count",),
    ),
    *(
        _mm(
            f"centroid_{letter}_mm",
            f"Centroid {letter.upper()}",
            function=partial(_centroid_mm, axis),
            definition=f"Mean {letter.upper()} coordinate (LPS) of the voxel centres, unweighted; the centroid "
            "may lie outside a concave lesion.",
            code="(DCM 128138) Center of Mass",
            needs=("moments",),
        )
        for axis, letter in enumerate("lps")
    ),
    *(
        _number(
            f"centroid_{letter}",
            f"Centroid {letter}",
            function=partial(_centroid_index, axis),
            definition=f"Mean index of the voxels along array axis {letter} (k, j, i = z, y, x), counted from 0.",
            decimals=1,
            needs=("moments",),
        )
        for axis, letter in enumerate("kji")
    ),
    *(
        _number(
            f"inner_point_{letter}",
            f"Inner point {letter}",
            function=partial(_inner_point, axis),
            definition=f"Index along array axis {letter} of the voxel deepest inside the lesion; always inside.",
            needs=("inside_distance",),
        )
        for axis, letter in enumerate("kji")
    ),
    _number(
        "long_axis_slice",
        "Slice",
        function=_long_axis_slice,
        definition="Index, from 0, along the axial array axis of the slice that holds the long axis.",
        needs=("axes",),
    ),
    *_end_specs(),
)
