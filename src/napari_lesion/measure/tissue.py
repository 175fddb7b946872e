"""What the attenuation says about the tissue; only on CT, in HU."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from napari_lesion.core.table import Value
from napari_lesion.measure import topology
from napari_lesion.measure.axes import InPlaneAxes
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.spec import Family, FeatureSpec, Scale

NAN = float("nan")
CALCIUM_HU = 130.0
DENSE_CALCIUM_HU = 200.0
FAT_HU = (-120.0, -30.0)
NECROSIS_HU = 30.0

_base = partial(FeatureSpec, family=Family.DENSITY, scales=(Scale.HU,), invariance=("T", "F", "S0"))
_share = partial(_base, ucum="1", needs=("intensities",))
_mm = partial(_base, unit="mm", ucum="mm", decimals=1, needs=("solid_axes",), invariance=("T", "F2", "S1"))

SCHOLTEN = "Scholten 2015, Eur Radiol 25:488"
MASS = "de Hoop 2010, Radiology 255:199; Lee 2008, Korean J Radiol 9:219"


def above(c: LesionContext, threshold: float) -> float:
    """Share of voxels strictly above a threshold."""
    return c.intensities.share(low=math.nextafter(threshold, math.inf))


def _below(threshold: float, c: LesionContext) -> Value:
    return c.intensities.share(high=math.nextafter(threshold, -math.inf))


def solid_fraction(c: LesionContext) -> float:
    """Share of voxels at or above the threshold of solid tissue."""
    return c.intensities.share(low=c.settings.solid_threshold_hu)


def _solid_volume(c: LesionContext) -> Value:
    return solid_fraction(c) * c.intensities.n * c.voxel_volume


def _solid(axes: InPlaneAxes | None, c: LesionContext, which: str) -> float:
    if axes is None:
        return NAN
    values = {
        "long": axes.long_mm,
        "short": axes.short_mm,
        "mean": (axes.long_mm + axes.short_mm) / 2.0,
        "ratio": axes.long_mm / c.axes.long_mm,
    }
    return float(values[which])


def nodule_type(c: LesionContext) -> str:
    """Suggested type of a lung nodule; empty without a finite voxel."""
    fraction = solid_fraction(c)
    if math.isnan(fraction):
        return ""
    if fraction < c.settings.ground_glass_below:
        return "ground-glass"
    return "solid" if fraction > c.settings.solid_above else "part-solid"


def _fat(c: LesionContext) -> Value:
    return c.intensities.share(*FAT_HU) if solid_fraction(c) >= 0.5 else NAN


def _fat_core(c: LesionContext) -> Value:
    if not solid_fraction(c) >= 0.5:
        return NAN
    values = c.crop[c.interior]
    values = values[np.isfinite(values)]
    return float(np.mean((values >= FAT_HU[0]) & (values <= FAT_HU[1]))) if values.size else NAN


def _necrotic(c: LesionContext) -> Value:
    """Share of the largest enclosed part below the threshold; 0 when there is none."""
    if not c.intensities.n:
        return NAN
    low = c.mask & (c.crop < NECROSIS_HU)
    labels, count = topology.components_26(low)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    sizes[np.unique(labels[low & ~c.interior])] = 0
    return float(sizes.max()) / c.intensities.n


TISSUE: tuple[FeatureSpec, ...] = (
    _share(
        "density_cv_shifted",
        "CV (shifted)",
        function=lambda c: c.intensities.sd / (c.intensities.mean + 1000.0) if c.intensities.mean > -1000.0 else NAN,
        definition="SD over (mean + 1000 HU).",
    ),
    _base(
        "mass_mg",
        "Mass",
        function=lambda c: c.n * c.voxel_volume * (c.intensities.mean + 1000.0) / 1000.0,
        definition="Volume times (mean + 1000)/1000 mg/mm³, water being 1 mg/mm³; not clipped.",
        unit="mg",
        ucum="mg",
        reference=MASS,
        decimals=1,
        invariance=("T", "F", "S3"),
        needs=("moments", "intensities"),
    ),
    *(
        _share(
            f"frac_below_m{level}",
            f"Share below -{level} HU",
            function=partial(_below, -float(level)),
            definition=f"Share of the finite voxels below -{level} HU.",
        )
        for level in (300, 600)
    ),
    _base(
        "solid_threshold_hu",
        "Solid threshold",
        function=lambda c: c.settings.solid_threshold_hu,
        definition="Threshold of solid tissue that the next columns use. -300 HU finds part-solid nodules with 90 % "
        "sensitivity and 88 % specificity.",
        unit="HU",
        ucum="[hnsf'U]",
        reference=SCHOLTEN,
        decimals=0,
    ),
    _base(
        "solid_volume_mm3",
        "Solid volume",
        function=_solid_volume,
        definition="Volume of the voxels at or above the solid threshold.",
        unit="mm³",
        ucum="mm3",
        reference=SCHOLTEN,
        decimals=1,
        invariance=("T", "F", "S3"),
        needs=("intensities",),
    ),
    _share(
        "solid_fraction",
        "Solid fraction",
        function=solid_fraction,
        definition="Share of the finite voxels at or above the solid threshold.",
        reference=SCHOLTEN,
    ),
    *(
        _mm(
            f"solid_{name}_mm",
            f"Solid {title}",
            function=lambda c, which=which: _solid(c.solid_axes, c, which),
            definition=f"{title.capitalize()} of the largest 26-connected part (at least 3 voxels) of the "
            "solid voxels, measured as that of the lesion.",
            reference="MacMahon 2017, Radiology 284:228 (Fleischner); ACR Lung-RADS v2022",
        )
        for name, title, which in (
            ("long_axis", "long axis", "long"),
            ("short_axis", "short axis", "short"),
            ("mean_diameter", "mean diameter", "mean"),
        )
    ),
    _base(
        "solid_ratio",
        "Solid ratio",
        function=lambda c: _solid(c.solid_axes, c, "ratio"),
        definition="Long axis of the solid part over that of the lesion (consolidation-tumour ratio).",
        ucum="1",
        invariance=("T", "F2", "S0"),
        needs=("solid_axes", "axes"),
    ),
    _base(
        "nodule_type",
        "Type",
        function=nodule_type,
        definition="ground-glass below a solid fraction of 0.05, solid above 0.80, part-solid between; a suggestion.",
        code="(DCM 112120) Ground glass opacity, for ground-glass",
        needs=("intensities",),
    ),
    _share(
        "calcified_fraction",
        "Calcified share",
        function=lambda c: above(c, CALCIUM_HU),
        definition="Share of the finite voxels above 130 HU. Not valid after contrast.",
        reference="130 HU as in calcium scoring (Agatston 1990, J Am Coll Cardiol 15:827)",
        code="(DCM 112019) Calcification",
    ),
    _share(
        "calcified_fraction_200",
        "Calcified share (200 HU)",
        function=lambda c: above(c, DENSE_CALCIUM_HU),
        definition="Share of the finite voxels above 200 HU. Not valid after contrast.",
    ),
    _share(
        "fat_fraction",
        "Fat share",
        function=_fat,
        definition="Share of the finite voxels from -120 to -30 HU; empty when the solid fraction is below 0.5, as "
        "ground glass mixed with air falls there too.",
    ),
    _share(
        "fat_fraction_core",
        "Fat share (core)",
        function=_fat_core,
        definition="The same without the voxels that have a face neighbour outside the lesion.",
        needs=("intensities", "interior"),
    ),
    _share(
        "necrotic_fraction",
        "Necrotic share",
        function=_necrotic,
        definition="Largest 26-connected part of the voxels below 30 HU that holds no voxel with a face neighbour "
        "outside the lesion, as a share of the finite voxels; 0 when there is none. Only after contrast does it "
        "speak of necrosis, no threshold is agreed upon, and enclosed air counts too.",
        code="(SCT 6574001) Necrosis",
        optional=True,
        needs=("intensities", "interior"),
    ),
)
