"""What to make of a row: how far its numbers may be off, and the flags that qualify them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from napari_lesion.core.table import Value
from napari_lesion.core.volume import Modality
from napari_lesion.measure.context import FEW_VOXELS, LesionContext
from napari_lesion.measure.errorbars import (
    LONG_AXIS,
    ROUND_PIXELS,
    SHORT_AXIS,
    AxisNoise,
    long_axis_error,
    mean_diameter_error,
    short_axis_error,
    volume_error,
)
from napari_lesion.measure.rating import WHY_NOT
from napari_lesion.measure.spec import Family, FeatureSpec, Scale
from napari_lesion.measure.tissue import CALCIUM_HU, above

THICK_SLICE_MM = 2.5
ANISOTROPY = 3.0
CLIPPED_SHARE = 0.01


def is_thin(c: LesionContext) -> bool:
    """Any side of the box at most 2 voxels, or nowhere deeper than 1.5 times the smallest spacing."""
    # the distance map is float32
    return min(c.mask.shape) <= 2 or c.inside_distance[0] < 1.5 * min(c.spacing) * (1 - 1e-6)


def is_clipped(c: LesionContext) -> bool:
    """At least 1 % of the voxels at the stored minimum or maximum of the image."""
    intensities = c.intensities
    if not intensities.n:
        return False
    least = CLIPPED_SHARE * intensities.n
    at_ends = int(intensities.counts[0]), int(intensities.counts[-1])
    if max(at_ends) < least / 2:
        return False
    low, high = c.image_extremes
    clipped = at_ends[0] * (intensities.minimum == low) + at_ends[1] * (intensities.maximum == high)
    return clipped >= least


def _calcium_in_doubt(c: LesionContext) -> bool:
    """Dense voxels on a CT whose header does not say whether contrast was given."""
    return c.scale is Scale.HU and above(c, CALCIUM_HU) > 0 and "contrast" not in c.volume.source.headers


def _not_rated(name: str, c: LesionContext) -> bool:
    return c.rating is not None and c.rating.flag == name


def digitisation_sd(c: LesionContext) -> float:
    """SD of the volume when the same body is drawn at random places on the grid, mm³.

    Every boundary voxel is in or out with an error that is uniform over one voxel (variance 1/12); anisotropy
    enters by an exponent fitted on digital spheres and ellipsoids.
    """
    boundary = c.n - int(c.interior.sum())
    anisotropy = max(c.spacing) / min(c.spacing)
    return float(c.voxel_volume * math.sqrt(boundary / 12.0) * anisotropy**0.75)


def _volume_shifted(sign: float, c: LesionContext) -> Value:
    quarter_voxel = 0.25 * c.voxel_volume ** (1.0 / 3.0)
    return float(max(0.0, c.n * c.voxel_volume + sign * c.crofton_area * quarter_voxel))


@dataclass(frozen=True)
class Flag:
    """One word that qualifies a row.

    Parameters
    ----------
    name
        As written in the column ``flags``.
    meaning
        Condition and effect, for the docs.
    holds
        Whether it holds for a lesion.
    """

    name: str
    meaning: str
    holds: Callable[[LesionContext], bool]


FLAGS: tuple[Flag, ...] = (
    Flag(
        "anisotropic",
        "Largest over smallest spacing above 3: the mesh area is biased.",
        lambda c: max(c.spacing) / min(c.spacing) > ANISOTROPY,
    ),
    Flag(
        "cavity",
        "The lesion encloses background; it counts as surface.",
        lambda c: not c.is_tiny and bool(c.cavity_voxels),
    ),
    Flag(
        "contrast_unknown",
        "CT with voxels above 130 HU, and the header does not say whether contrast was given: the calcified share "
        "may be enhancement.",
        _calcium_in_doubt,
    ),
    Flag("few_voxels", "Fewer than 64 voxels: shape and higher moments are unreliable.", lambda c: c.n < FEW_VOXELS),
    Flag(
        "hu_clipped",
        "At least 1 % of the voxels at the smallest or largest value of the image: percentiles are unreliable.",
        is_clipped,
    ),
    Flag(
        "modality_guessed",
        "Measured as CT although nothing states the modality.",
        lambda c: c.volume.modality is Modality.CT and not c.volume.source.modality_stated,
    ),
    Flag(
        "multi_component",
        "Several 26-connected components; the axes are those of one, the 3-D diameter spans all.",
        lambda c: c.component_count > 1,
    ),
    Flag("nonfinite", "Some voxels are NaN or infinite.", lambda c: c.nonfinite_voxels > 0),
    Flag("not_hu", "The values are not HU: columns end in `_au` or `_suv`.", lambda c: c.scale is not Scale.HU),
    Flag(
        "oblique",
        "Axial slices are tilted by more than 15 degrees; measured in their plane.",
        lambda c: c.grid.is_oblique,
    ),
    Flag("overlaps", "Voxels of this lesion are claimed by another mask too.", lambda c: c.overlaps),
    *(Flag(name, meaning, partial(_not_rated, name)) for name, meaning in sorted(WHY_NOT.items())),
    Flag(
        "ring_small",
        "Fewer than 30 voxels around the lesion that may count as background: contrast is empty. Looked at when a "
        "measure of the boundary is asked for.",
        lambda c: c.ring_asked and not c.is_tiny and c.ring.is_small,
    ),
    Flag(
        "thick_slices",
        "Axial spacing above 2.5 mm or fewer than 3 slices: the axes may miss the largest section.",
        lambda c: c.axial_spacing[0] > THICK_SLICE_MM or c.slice_areas.size < 3,
    ),
    Flag(
        "thin",
        "A side of the box of at most 2 voxels, or nowhere deeper than 1.5 times the smallest spacing.",
        is_thin,
    ),
    Flag("tiny", "Fewer than 8 voxels: shape columns are empty, except the areas.", lambda c: c.is_tiny),
    Flag(
        "touches_border",
        "A voxel lies on the border of the image: sizes are lower limits, the cut face counts as surface.",
        lambda c: c.touches_border,
    ),
)


def flags_of(c: LesionContext) -> str:
    """Flags of one lesion, alphabetical, joined by semicolons."""
    return ";".join(flag.name for flag in FLAGS if flag.holds(c))


def _axis_definition(name: str, noise: AxisNoise, radius: str) -> str:
    return (
        f"95 % half width of the {name} from pixel and slice spacing, fitted on digital spheres and ellipsoids: the "
        "95 % quantile of |x|, x normal with "
        f"mean z - w·({noise.outline:g} + {noise.roundness:g}·g) + {noise.tip:g}·d and "
        f"variance s² + w²·({noise.sd:g}² + ({noise.sd_round:g}·g)²) + ({noise.sd_tip:g}·d)². w is the width of a "
        "pixel along the axis, d = p·(p/r)^(1/3) with p² the area of a pixel and the radius of curvature at the tip "
        f"r = {radius}, g = exp(-((long - short)/({ROUND_PIXELS:g}·q))²) with q the longer side of a pixel; z and s "
        "are mean and SD of what is lost between slices. "
        "No reader, model, threshold or partial volume in it."
    )


_mm3 = partial(
    FeatureSpec, family=Family.UNCERTAINTY, unit="mm³", ucum="mm3", decimals=1, invariance=("T", "F", "S3")
)
_mm = partial(FeatureSpec, family=Family.UNCERTAINTY, unit="mm", ucum="mm", decimals=1, invariance=("T", "F2", "S1"))

UNCERTAINTY: tuple[FeatureSpec, ...] = (
    _mm3(
        "volume_digitisation_sd_mm3",
        "Volume SD (grid)",
        function=digitisation_sd,
        definition="Standard deviation of the volume from where the grid happens to lie: v·sqrt(boundary voxels/12)"
        "·(largest/smallest spacing)^0.75. No reader or model variability in it.",
        needs=("interior",),
    ),
    _mm3(
        "volume_err_mm3",
        "Volume ±",
        function=volume_error,
        definition="95 % half width of the volume from where the grid happens to lie: 1.96 times the SD of the "
        "number of lattice points in the ellipsoid of the same moments, times the root of surface over that of the "
        "ellipsoid; with one or two slices also the difference to a sphere with the same sections. No reader, model, "
        "threshold or partial volume in it; a flat face along the grid may be off by more.",
        reference="Kendall 1948, Q J Math 19:1 (lattice points in an oval)",
        needs=("moments", "counts"),
    ),
    _mm3(
        "volume_low_mm3",
        "Volume, low",
        function=partial(_volume_shifted, -1.0),
        definition="Volume if the boundary lay a quarter voxel further in everywhere (partial volume, choice of "
        "threshold): volume - Crofton area·0.25·v^(1/3), not below 0. A scenario, not a 95 % bar.",
        needs=("counts",),
    ),
    _mm3(
        "volume_high_mm3",
        "Volume, high",
        function=partial(_volume_shifted, 1.0),
        definition="Volume if the boundary lay a quarter voxel further out everywhere. A scenario, not a 95 % bar.",
        needs=("counts",),
    ),
    _mm(
        "long_axis_err_mm",
        "Long axis ±",
        function=long_axis_error,
        definition=_axis_definition("long axis", LONG_AXIS, "short²/(2·long)"),
        needs=("axes", "moments"),
    ),
    _mm(
        "short_axis_err_mm",
        "Short axis ±",
        function=short_axis_error,
        definition=_axis_definition("short axis", SHORT_AXIS, "long²/(2·short)"),
        needs=("axes", "moments"),
    ),
    _mm(
        "mean_diameter_err_mm",
        "Mean diameter ±",
        function=mean_diameter_error,
        definition="95 % half width of the mean diameter, from the parts of both axes; what one axis gains and the "
        "other loses on a round section is left out. No reader, model, threshold or partial volume in it.",
        needs=("axes", "moments"),
    ),
    FeatureSpec(
        "nonfinite_voxels",
        "Non-finite voxels",
        Family.UNCERTAINTY,
        lambda c: c.nonfinite_voxels,
        "Voxels of the lesion whose intensity is NaN or infinite; left out of the density, kept in the geometry.",
        ucum="1",
        decimals=0,
        invariance=("T", "F", "S0"),
        needs=("intensities",),
    ),
    FeatureSpec(
        "flags",
        "Flags",
        Family.UNCERTAINTY,
        flags_of,
        "What qualifies the numbers of this row, separated by semicolons.",
        needs=("everything",),
    ),
)
