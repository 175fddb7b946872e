"""The edge of a lesion: its ring, its sharpness, its outline. Definitions with pictures: docs/boundary.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from napari_lesion.core.table import Value
from napari_lesion.measure.boundary_edge import EdgeProfile
from napari_lesion.measure.boundary_form import contact_of, lobes_of
from napari_lesion.measure.boundary_surface import curvature_of
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.spec import Family, FeatureSpec, Scale

__all__ = ["BOUNDARY", "EdgeProfile", "edge_profile"]

NAN = float("nan")
SPICULE_DIAMETER_MM = 8.0
CURVATURE_SIGMA = 0.05
CURVATURE_POINTS = 300
LARGEST_SIGMA_MM = 2.5


def edge_profile(context: LesionContext) -> EdgeProfile:
    """Intensity along the normals of a lesion's surface, from 5 mm inside to 5 mm outside.

    Parameters
    ----------
    context
        From `napari_lesion.measure.engine.lesion_context`.

    Returns
    -------
    EdgeProfile
        Offsets, median and quartiles over the surface, the two levels, the width and the place of the edge. NaN
        where less than half of the surface can be seen.
    """
    return context.edge


def diameter_of(c: LesionContext) -> float:
    """Diameter of the sphere of the same voxel volume, mm."""
    return float((6.0 * c.n * c.voxel_volume / np.pi) ** (1.0 / 3.0))


def radial_moments(c: LesionContext) -> tuple[float, float]:
    """Area-weighted mean and population SD of the distance from the centroid to the surface, mm."""
    away = np.linalg.norm((c.surface.points - c.moments.mean) * c.spacing, axis=1)
    mean = float(np.average(away, weights=c.surface.weights))
    return mean, float(np.sqrt(np.average((away - mean) ** 2, weights=c.surface.weights)))


def surface_concavity(c: LesionContext) -> float:
    """Area-weighted mean of the concave part of the mean curvature times the equivalent radius; 0 when convex."""
    surface, diameter = c.surface.sample(CURVATURE_POINTS, c.mask.shape), diameter_of(c)
    sigma = float(np.hypot(max(c.spacing), min(CURVATURE_SIGMA * diameter, LARGEST_SIGMA_MM)))
    curvature = curvature_of(surface, c.mask, c.spacing, sigma)
    known = np.isfinite(curvature)
    if not known.any():
        return NAN
    concave = np.clip(-curvature[known] * diameter / 2.0, 0.0, None)
    return float(np.average(concave, weights=surface.weights[known]))


def contrast(c: LesionContext) -> float:
    """Mean of the lesion minus mean of its ring."""
    return c.intensities.mean - c.ring.mean


def contrast_over_noise(c: LesionContext) -> Value:
    """Contrast over the SD of the ring; NaN for a flat ring."""
    return contrast(c) / c.ring.sd if c.ring.sd > 0 else NAN


def _irregularity(c: LesionContext) -> float:
    return c.crofton_area / (np.pi * diameter_of(c) ** 2) - 1.0


def _spicules(c: LesionContext) -> Value:
    return c.opening.spicules if diameter_of(c) >= SPICULE_DIAMETER_MM else NAN


def _unless_tiny(function: Callable[[LesionContext], Value], c: LesionContext) -> Value:
    """The value, or NaN for a lesion of fewer than 8 voxels."""
    return NAN if c.is_tiny else function(c)


_base = partial(FeatureSpec, family=Family.BOUNDARY)
_value = partial(_base, unit="{s}", ucum="{s}", decimals=1, invariance=("T", "F2"), needs=("ring",))
_mm = partial(_base, unit="mm", ucum="mm")
_one = partial(_base, ucum="1")
_z = partial(
    _one,
    "contrast_z",
    "Contrast z",
    function=contrast_over_noise,
    definition="Mean of the lesion in SDs of its ring, from the ring's mean: what a lesion on MR is worth beside "
    "others, whatever the units. The same number as `cnr`; on CT computed when asked for.",
    code="(DCM 113071) Z-score",
    invariance=("T", "F2"),
    needs=("intensities", "ring"),
)

RING: tuple[FeatureSpec, ...] = (
    _value(
        "ring_mean_{s}",
        "Ring mean",
        function=lambda c: c.ring.mean,
        definition="Mean of the ring: voxels farther than one pixel p (the larger in-plane spacing) from the lesion "
        "and at most p + 3 mm, not within p of another lesion, inside the organ where it is known. Empty below 30 "
        "voxels.",
    ),
    _value(
        "ring_sd_{s}",
        "Ring SD",
        function=lambda c: c.ring.sd,
        definition="Population standard deviation of the ring.",
    ),
    _one(
        "ring_voxels",
        "Ring voxels",
        function=lambda c: c.ring.voxels,
        definition="Number of voxels of the ring.",
        decimals=0,
        invariance=("T", "F2"),
        needs=("ring",),
    ),
    _value(
        "contrast_{s}",
        "Contrast",
        function=contrast,
        definition="Mean of the lesion minus mean of the ring.",
        needs=("intensities", "ring"),
    ),
    _one(
        "cnr",
        "Contrast to noise",
        function=contrast_over_noise,
        definition="Contrast over the SD of the ring; empty for a flat ring.",
        invariance=("T", "F2"),
        needs=("intensities", "ring"),
    ),
    _z(scales=(Scale.AU, Scale.SUV)),
    _z(scales=(Scale.HU,), optional=True),
)

EDGE: tuple[FeatureSpec, ...] = (
    _base(
        "edge_gradient_{s}_per_mm",
        "Edge gradient",
        function=lambda c: c.edge.gradient,
        definition="Area-weighted median over the surface of the steepest slope along the normal within 2 mm of the "
        "outline (central differences over 0.5 mm). It depends on the reconstruction kernel.",
        unit="{s}/mm",
        ucum="{s}/mm",
        decimals=1,
        invariance=("T", "F2"),
        needs=("edge",),
    ),
    _mm(
        "edge_width_10_90_mm",
        "Edge width",
        function=lambda c: c.edge.width_mm,
        definition="Distance between the 10 % and the 90 % crossing of the median profile across the outline; levels "
        "are its means over the innermost and outermost 1 mm within 5 mm. Blur of the scanner is part of it, that of "
        "the interpolation is taken off in quadrature (down to 0). Empty "
        "where the levels differ by less than 3·ring SD/sqrt(n), n the smaller number of voxels of lesion and ring.",
        invariance=("T", "F2"),
        needs=("edge", "ring"),
    ),
    _mm(
        "edge_offset_mm",
        "Edge offset",
        function=lambda c: c.edge.offset_mm,
        definition="Offset from the outline of the mask of the 50 % crossing of that profile: above 0 where the mask "
        "is too small.",
        invariance=("T", "F2"),
        needs=("edge", "ring"),
    ),
)

FORM: tuple[FeatureSpec, ...] = (
    _mm(
        "radial_sd_mm",
        "Radial SD",
        function=lambda c: radial_moments(c)[1],
        definition="Area-weighted SD of the distance from the centroid to the surface; 0 for a sphere.",
        invariance=("T", "F", "S1"),
        needs=("surface", "moments"),
    ),
    _one(
        "radial_cv",
        "Radial CV",
        function=lambda c: radial_moments(c)[1] / radial_moments(c)[0],
        definition="Radial SD over the mean distance.",
        decimals=3,
        invariance=("T", "F", "S0"),
        needs=("surface", "moments"),
    ),
    _one(
        "boundary_irregularity",
        "Irregularity",
        function=_irregularity,
        definition="Crofton surface area over that of the sphere of the same voxel volume, minus 1: 0 for a sphere, "
        "above 0 for smooth elongated bodies too.",
        decimals=3,
        invariance=("T", "F", "S0"),
        needs=("counts",),
    ),
    _one(
        "surface_concavity",
        "Concavity",
        function=surface_concavity,
        definition="Area-weighted mean of max(0, -k)·r, k the mean curvature of the surface smoothed by a bell of SD "
        "sqrt(a² + b²), a the largest spacing, b 5 % of the equivalent diameter (at most 2.5 mm), r the equivalent "
        "radius: 0 for a convex body. It follows readers' spiculation and lobulation beyond size.",
        decimals=3,
        invariance=("T", "F"),
        needs=("surface",),
    ),
    _one(
        "spiculation_index",
        "Spiculation",
        function=lambda c: c.opening.share,
        definition="Share of the lesion's volume that a ball of radius 0.3 equivalent diameters (at least 1.5 times "
        "the largest spacing) rolling inside cannot reach. The lesion here includes voxels within 3 mm of the mask "
        "that are connected to it and on its side of 40 % between the levels of the edge: masks cut spikes off. "
        "Empty when the ball fits nowhere.",
        reference="published alternative: area distortion of a conformal map, Choi 2021, Comput Methods Programs "
        "Biomed 200:105839",
        code="(DCM 112136) Spiculated, as finding",
        decimals=3,
        invariance=("T", "F2"),
        experimental=True,
        needs=("opening", "edge"),
    ),
    _one(
        "spicule_count",
        "Spicules",
        function=_spicules,
        definition="26-connected parts of what that ball cannot reach of at least 8 voxels that reach at least 2 mm "
        "out. Empty below 8 mm equivalent diameter.",
        decimals=0,
        invariance=("T", "F2"),
        experimental=True,
        needs=("opening", "edge"),
    ),
    _one(
        "lobulation_count",
        "Lobes",
        function=lambda c: lobes_of(c.depth, c.spacing),
        definition="Number of maxima of the inside distance that stand out by h = max(1 mm, half the largest "
        "spacing, 10 % of the largest one) above the straight lines to others; 1 for a single lobe.",
        code="(DCM 112135) Lobulated, as finding",
        decimals=0,
        invariance=("T", "F"),
        experimental=True,
        needs=("depth",),
    ),
    _one(
        "contact_fraction",
        "Contact",
        function=lambda c: contact_of(c.near, c.spacing),
        definition="Share of the area of the lesion's outer voxel faces behind which the organ ends; 0 for a free "
        "lesion, above 0.5 for a broad base. Empty without a trusted mask of the organ.",
        invariance=("T", "F", "S0"),
        needs=("near",),
    ),
)

BOUNDARY: tuple[FeatureSpec, ...] = tuple(
    replace(spec, function=partial(_unless_tiny, spec.function)) for spec in (*RING, *EDGE, *FORM)
)
