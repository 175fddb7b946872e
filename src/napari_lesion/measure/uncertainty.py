"""What to make of a row: the flags that qualify its numbers."""

from __future__ import annotations

from napari_lesion.core.volume import Modality
from napari_lesion.measure.context import FEW_VOXELS, LesionContext
from napari_lesion.measure.spec import Family, FeatureSpec, Scale

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


def flags_of(c: LesionContext) -> str:
    """Flags of one lesion, alphabetical, joined by semicolons."""
    conditions = {
        "anisotropic": max(c.spacing) / min(c.spacing) > ANISOTROPY,
        "cavity": not c.is_tiny and bool(c.cavity_voxels),
        "few_voxels": c.n < FEW_VOXELS,
        "hu_clipped": is_clipped(c),
        "modality_guessed": c.volume.modality is Modality.CT and not c.volume.source.modality_stated,
        "multi_component": c.component_count > 1,
        "nonfinite": c.nonfinite_voxels > 0,
        "not_hu": c.scale is not Scale.HU,
        "oblique": c.grid.is_oblique,
        "thick_slices": c.axial_spacing[0] > THICK_SLICE_MM or c.slice_areas.size < 3,
        "thin": is_thin(c),
        "tiny": c.is_tiny,
        "touches_border": c.touches_border,
    }
    return ";".join(name for name, holds in conditions.items() if holds)


UNCERTAINTY: tuple[FeatureSpec, ...] = (
    FeatureSpec(
        "nonfinite_voxels",
        "Non-finite voxels",
        Family.UNCERTAINTY,
        lambda c: c.nonfinite_voxels,
        "Voxels of the lesion whose intensity is NaN or infinite; left out of the density, kept in the geometry.",
        ucum="1",
        decimals=0,
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
