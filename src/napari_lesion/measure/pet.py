"""What PET measures of a lesion mean by themselves; only where the values are SUV by body weight."""

from __future__ import annotations

from functools import partial
from typing import Final

from napari_lesion.core.lesion import Status
from napari_lesion.core.table import Value
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.size import IBSI
from napari_lesion.measure.spec import Family, FeatureSpec, Scale

_base = partial(FeatureSpec, family=Family.DENSITY, scales=(Scale.SUV,))
_suv = partial(_base, unit="{s}", ucum="{s}", invariance=("T", "F", "S0"))

PERCIST: Final = "Wahl 2009, J Nucl Med 50 Suppl 1:122S (PERCIST)"
RULES: Final = {
    Status.MODEL: "mask of the model",
    Status.EDITED: "mask of the model, edited",
    Status.MANUAL: "mask as drawn or given",
}


def _mtv(c: LesionContext) -> float:
    return c.n * c.voxel_volume / 1000.0


def _rule(c: LesionContext) -> Value:
    return RULES[c.lesion.status]


PET: tuple[FeatureSpec, ...] = (
    _suv(
        "suv_max",
        "SUVmax",
        function=lambda c: c.intensities.maximum,
        definition="Largest SUV of a lesion voxel.",
        code="(DCM 126401) SUVbw + (SCT 56851009) Maximum",
        needs=("intensities",),
    ),
    _suv(
        "suv_mean",
        "SUVmean",
        function=lambda c: c.intensities.mean,
        definition="Mean SUV of the lesion voxels.",
        code="(DCM 126401) SUVbw + (SCT 373098007) Mean",
        needs=("intensities",),
    ),
    _suv(
        "suv_peak",
        "SUVpeak",
        function=lambda c: c.peaks[0],
        definition="Largest mean over a sphere of 1 ml centred on any lesion voxel, with image voxels outside the "
        "lesion too, and only inside the image.",
        reference=f"{PERCIST}; {IBSI.format('0F91')}",
        code="(DCM 126031) Peak Value Within ROI",
        invariance=("T", "F"),
        needs=("peaks",),
    ),
    _suv(
        "suv_peak_local",
        "SUVpeak (local)",
        function=lambda c: c.peaks[1],
        definition="Mean over a sphere of 1 ml centred on the voxel of SUVmax; the largest such mean when several "
        "voxels hold it.",
        reference=IBSI.format("VJGA"),
        invariance=("T", "F"),
        needs=("peaks",),
    ),
    _base(
        "mtv_ml",
        "MTV",
        function=_mtv,
        definition="Metabolic tumour volume: the volume of the lesion, by the rule that mtv_rule names.",
        unit="ml",
        ucum="cm3",
        code="(DCM 126032) Metabolic Volume",
        invariance=("T", "F", "S3"),
        needs=("moments",),
    ),
    _base(
        "tlg_g",
        "TLG",
        function=lambda c: c.intensities.mean * _mtv(c),
        definition="Total lesion glycolysis: SUVmean times MTV.",
        unit="g",
        ucum="g",
        code="(DCM 126033) Total Lesion Glycolysis",
        invariance=("T", "F", "S3"),
        needs=("moments", "intensities"),
    ),
    _base(
        "mtv_rule",
        "MTV rule",
        function=_rule,
        definition="How the voxels of MTV and TLG were chosen: no threshold is applied to the lesion.",
    ),
)
