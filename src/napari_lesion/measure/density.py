"""What the voxels of the lesion hold. Column names end in ``_hu`` on CT, ``_suv`` on PET, ``_au`` elsewhere."""

from __future__ import annotations

from functools import partial

from napari_lesion.core.table import Value
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.size import IBSI
from napari_lesion.measure.spec import Family, FeatureSpec

_value = partial(
    FeatureSpec,
    family=Family.DENSITY,
    unit="{s}",
    ucum="{s}",
    decimals=1,
    invariance=("T", "F", "S0"),
    needs=("intensities",),
)
_one = partial(
    FeatureSpec, family=Family.DENSITY, ucum="1", decimals=2, invariance=("T", "F", "S0"), needs=("intensities",)
)

ATTENUATION = "(DCM 112031) Attenuation Coefficient"


def _percentile(percent: float, c: LesionContext) -> Value:
    return c.intensities.percentile(percent)


DENSITY: tuple[FeatureSpec, ...] = (
    _value(
        "density_mean_{s}",
        "Mean",
        function=lambda c: c.intensities.mean,
        definition="Mean of the finite intensities.",
        reference=IBSI.format("Q4LE"),
        code=f"{ATTENUATION}, (SCT 373098007) Mean",
    ),
    _value(
        "density_sd_{s}",
        "SD",
        function=lambda c: c.intensities.sd,
        definition="Population standard deviation.",
        reference=IBSI.format("ECT3, its root"),
        code=f"{ATTENUATION}, (SCT 386136009) Standard Deviation",
    ),
    _value(
        "density_median_{s}",
        "Median",
        function=lambda c: c.intensities.median,
        definition="Median.",
        reference=IBSI.format("Y12H"),
        code=f"{ATTENUATION}, (SCT 373099004) Median",
    ),
    _value(
        "density_min_{s}",
        "Min",
        function=lambda c: c.intensities.minimum,
        definition="Smallest value.",
        reference=IBSI.format("1GSF"),
        code=f"{ATTENUATION}, (SCT 255605001) Minimum",
    ),
    _value(
        "density_max_{s}",
        "Max",
        function=lambda c: c.intensities.maximum,
        definition="Largest value.",
        reference=IBSI.format("84IY"),
        code=f"{ATTENUATION}, (SCT 56851009) Maximum",
    ),
)
