"""How large the lesion is."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from napari_lesion.core.table import Value
from napari_lesion.measure import hull
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.spec import Family, FeatureSpec

_mm = partial(FeatureSpec, family=Family.SIZE, unit="mm", ucum="mm", decimals=1)
_mm2 = partial(FeatureSpec, family=Family.SIZE, unit="mm²", ucum="mm2", decimals=1)
_mm3 = partial(FeatureSpec, family=Family.SIZE, unit="mm³", ucum="mm3", decimals=1)
_index = partial(FeatureSpec, family=Family.SIZE, ucum="1", decimals=0)

RECIST = "Eisenhauer 2009, Eur J Cancer 45:228 (RECIST 1.1)"
FLEISCHNER = "MacMahon 2017, Radiology 284:228 (Fleischner); Bankier 2017, Radiology 285:584"
IBSI = "Zwanenburg 2020, Radiology 295:328 (IBSI {})"


def half_up(value: float, step: float = 1.0) -> float:
    """Round to a multiple of a step, halves upwards, as guidelines ask (Python rounds halves to even).

    A relative 1e-9 is granted, so that a half that floating point puts just below itself is still a half.
    """
    return math.floor(value / step * (1 + 1e-9) + 0.5) * step


def _mean_diameter(c: LesionContext) -> float:
    return (c.axes.long_mm + c.axes.short_mm) / 2.0


def _lungrads(c: LesionContext) -> Value:
    long, short = half_up(c.axes.long_mm, 0.1), half_up(c.axes.short_mm, 0.1)
    return round(half_up((long + short) / 2.0, 0.1), 1)


def _equivalent_diameter(c: LesionContext) -> float:
    return float(np.cbrt(6.0 * c.n * c.voxel_volume / math.pi))


def _max_axial_area(c: LesionContext) -> float:
    return float(c.slice_areas.max()) * c.axial_spacing[1] * c.axial_spacing[2]


def _extent(patient_axis: int, c: LesionContext) -> Value:
    axis = c.grid.patient_axes[patient_axis]
    return float(c.mask.shape[axis] * c.spacing[axis])


def _bound(axis: int, end: int, c: LesionContext) -> Value:
    return int((c.box[axis].start, c.box[axis].stop)[end])


def _pca(order: int, c: LesionContext) -> Value:
    return 4.0 * math.sqrt(c.eigenvalues[order])


def _ellipsoid(order: int, c: LesionContext) -> Value:
    return 2.0 * math.sqrt(5.0 * c.eigenvalues[order] * (c.n - 1) / c.n)


def _pca_specs() -> list[FeatureSpec]:
    codes = ("TDIC", "P9VJ", "7J51")
    return [
        _mm(
            f"pca_{name}_mm",
            f"PCA {name} axis",
            function=partial(_pca, order),
            definition=f"4·sqrt of the {word} eigenvalue of the covariance of the voxel centres (divisor N - 1). "
            "10.6 % shorter than the axis of a solid ellipsoid by construction.",
            reference=IBSI.format(codes[order]),
            code=f"(IBSI {codes[order]}) {name.capitalize()} Axis in 3D Length",
            invariance=("T", "F", "R", "S1"),
            needs=("eigenvalues",),
        )
        for order, (name, word) in enumerate((("major", "largest"), ("minor", "middle"), ("least", "smallest")))
    ]


SIZE: tuple[FeatureSpec, ...] = (
    _mm3(
        "volume_mm3",
        "Volume",
        function=lambda c: c.n * c.voxel_volume,
        definition="Number of voxels times the volume of a voxel.",
        error="volume_err_mm3",
        reference=IBSI.format("YEKZ"),
        code="(SCT 118565006) Volume; method (DCM 126030) Sum of segmented voxel volumes",
        invariance=("T", "F", "S3"),
        needs=("moments",),
    ),
    FeatureSpec(
        "volume_ml",
        "Volume",
        Family.SIZE,
        lambda c: c.n * c.voxel_volume / 1000.0,
        "Volume in millilitres.",
        unit="ml",
        ucum="cm3",
        reference=IBSI.format("YEKZ"),
        code="(SCT 118565006) Volume; method (DCM 126030) Sum of segmented voxel volumes",
        decimals=3,
        invariance=("T", "F", "S3"),
        needs=("moments",),
    ),
    _mm3(
        "mesh_volume_mm3",
        "Mesh volume",
        function=lambda c: c.mesh_volume,
        definition="Volume inside the marching-cubes mesh of the mask (iso 0.5, not smoothed).",
        reference=IBSI.format("RNU0"),
        code="(IBSI RNU0) Volume of Mesh",
        invariance=("T", "F", "S3"),
        needs=("counts",),
    ),
    _mm(
        "long_axis_mm",
        "Long axis",
        function=lambda c: c.axes.long_mm,
        definition="Longest diameter in an axial slice: the largest distance on the convex hull of the outline "
        "through segment midpoints of one 8-connected component; components are never bridged.",
        error="long_axis_err_mm",
        reference=RECIST,
        code="(SCT 103339001) Long axis",
        invariance=("T", "F2", "S1"),
        needs=("axes",),
    ),
    _mm(
        "short_axis_mm",
        "Short axis",
        function=lambda c: c.axes.short_mm,
        definition="Longest segment perpendicular to the long axis, in the same slice and outline.",
        error="short_axis_err_mm",
        reference=RECIST,
        code="(SCT 103340004) Short axis",
        invariance=("T", "F2", "S1"),
        needs=("axes",),
    ),
    _mm2(
        "who_product_mm2",
        "WHO product",
        function=lambda c: c.axes.long_mm * c.axes.short_mm,
        definition="Long axis times short axis.",
        reference="Miller 1981, Cancer 47:207 (WHO)",
        code="(DCM 112029) WHO",
        invariance=("T", "F2", "S2"),
        needs=("axes",),
    ),
    _mm(
        "mean_diameter_mm",
        "Mean diameter",
        function=_mean_diameter,
        definition="Mean of long and short axis, not rounded.",
        error="mean_diameter_err_mm",
        reference=FLEISCHNER,
        code="(SCT 81827009) Diameter",
        invariance=("T", "F2", "S1"),
        needs=("axes",),
    ),
    _mm(
        "fleischner_diameter_mm",
        "Fleischner diameter",
        function=lambda c: int(half_up(_mean_diameter(c))),
        definition="Mean diameter rounded to whole millimetres, halves upwards.",
        reference=FLEISCHNER,
        decimals=0,
        invariance=("T", "F2"),
        needs=("axes",),
    ),
    _mm(
        "lungrads_diameter_mm",
        "Lung-RADS diameter",
        function=_lungrads,
        definition="Long and short axis rounded to 0.1 mm (halves upwards), their mean rounded to 0.1 mm. In the "
        "axial plane, where Lung-RADS allows any plane.",
        reference="ACR Lung-RADS v2022; Christensen 2024, Chest 165:738",
        invariance=("T", "F2"),
        needs=("axes",),
    ),
    _mm(
        "max_2d_diameter_mesh_mm",
        "Max 2-D diameter (mesh)",
        function=lambda c: hull.diameter_in_planes(c.axial_mask, c.extreme_vertices, c.axial_spacing),
        definition="Largest distance of two mesh vertices with the same axial coordinate; agrees with PyRadiomics "
        "Maximum2DDiameterSlice. May bridge components.",
        reference="van Griethuysen 2017, Cancer Res 77:e104 (PyRadiomics)",
        invariance=("T", "F2", "S1"),
        needs=("extreme_vertices",),
    ),
    _mm(
        "max_3d_diameter_mm",
        "Max 3-D diameter",
        function=lambda c: hull.diameter(c.hull.vertices),
        definition="Largest distance of two mesh vertices.",
        reference=IBSI.format("L0JK"),
        code="(IBSI L0JK) Maximum 3D Diameter of a Mesh",
        invariance=("T", "F", "S1"),
        needs=("hull",),
    ),
    _mm(
        "craniocaudal_mm",
        "Craniocaudal",
        function=partial(_extent, 2),
        definition="Number of axial slices from the first to the last, times the axial spacing.",
        code="(SCT 410668003) Length",
        invariance=("T", "F2", "S1"),
        needs=("box",),
    ),
    _mm(
        "equivalent_sphere_diameter_mm",
        "Equivalent sphere diameter",
        function=_equivalent_diameter,
        definition="Diameter of the sphere of the same volume; the least biased of the diameters.",
        invariance=("T", "F", "S1"),
        needs=("moments",),
    ),
    _mm2(
        "max_axial_area_mm2",
        "Max axial area",
        function=_max_axial_area,
        definition="Largest area in an axial slice, all components of the slice together.",
        code="(SCT 42798000) Area",
        invariance=("T", "F2", "S2"),
        needs=("slice_areas",),
    ),
    _mm(
        "effective_diameter_mm",
        "Effective diameter",
        function=lambda c: 2.0 * math.sqrt(_max_axial_area(c) / math.pi),
        definition="Diameter of the circle with the largest axial area.",
        invariance=("T", "F2", "S1"),
        needs=("slice_areas",),
    ),
    *(
        _mm(
            f"bbox_{letter}_mm",
            f"Extent {words}",
            function=partial(_extent, patient_axis),
            definition=f"Extent of the voxels along the array axis nearest to the patient's {words} axis.",
            reference="DICOM (DCM 121219) for the product of the three",
            invariance=("T", "S1"),
            needs=("box",),
        )
        for patient_axis, (letter, words) in enumerate((("l", "left-right"), ("p", "front-back"), ("s", "head-foot")))
    ),
    *(
        _index(
            f"bbox_{letter}{end}",
            f"Box {letter}{end}",
            function=partial(_bound, axis, end),
            definition=f"{('First index', 'One past the last index')[end]} of the lesion along array axis {letter}, "
            "counted from 0.",
            needs=("box",),
        )
        for axis, letter in enumerate("kji")
        for end in (0, 1)
    ),
    *_pca_specs(),
    *(
        _mm(
            f"ellipsoid_axis_{order + 1}_mm",
            f"Ellipsoid axis {order + 1}",
            function=partial(_ellipsoid, order),
            definition="Full axis of the solid ellipsoid with the same second moments: 2·sqrt(5·l·(N - 1)/N), "
            f"l the eigenvalue number {order + 1} of the covariance of the voxel centres.",
            invariance=("T", "F", "R", "S1"),
            needs=("eigenvalues",),
        )
        for order in range(3)
    ),
)
