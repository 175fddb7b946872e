"""What the voxels of the lesion hold. Column names end in ``_hu`` on CT, ``_suv`` on PET, ``_au`` elsewhere."""

from __future__ import annotations

from functools import partial

from napari_lesion.core.table import Value
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.size import IBSI
from napari_lesion.measure.spec import Family, FeatureSpec, Scale

_base = partial(FeatureSpec, family=Family.DENSITY, invariance=("T", "F", "S0"), needs=("intensities",))
_value = partial(_base, unit="{s}", ucum="{s}", decimals=1)
_one = partial(_base, ucum="1")

ATTENUATION = "(DCM 112031) Attenuation Coefficient"
NAN = float("nan")


def _percentile(percent: float, c: LesionContext) -> Value:
    return c.intensities.percentile(percent)


def _iqr(c: LesionContext) -> float:
    return c.intensities.percentile(75) - c.intensities.percentile(25)


def _qcod(c: LesionContext) -> Value:
    low, high = c.intensities.percentile(25), c.intensities.percentile(75)
    return (high - low) / (high + low) if high + low else NAN


def _cv(c: LesionContext) -> Value:
    mean = c.intensities.mean
    too_small = abs(mean) < c.settings.cv_guard_hu if c.scale is Scale.HU else mean == 0
    return NAN if too_small else c.intensities.sd / mean


def _robust_mad(c: LesionContext) -> Value:
    x = c.intensities
    middle = x.between(x.percentile(10), x.percentile(90))
    return middle.mean_absolute_deviation(middle.mean)


_PERCENTILE_NOTES = {
    5: ("", "(SCT 371888009) 5th percentile"),
    10: (IBSI.format("QG58"), "(SCT 371890005) 10th percentile"),
    25: ("", ""),
    75: ("", ""),
    90: (IBSI.format("8DWT"), "(SCT 371887004) 90th percentile"),
    95: ("", "(SCT 371889001) 95th percentile"),
}

LEVELS: tuple[FeatureSpec, ...] = (
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
    *(
        _value(
            f"density_p{percent:02d}_{{s}}",
            f"P{percent}",
            function=partial(_percentile, percent),
            definition=f"Percentile {percent}, interpolated linearly between order statistics (type 7).",
            reference=reference,
            code=code,
        )
        for percent, (reference, code) in _PERCENTILE_NOTES.items()
    ),
)

SPREAD: tuple[FeatureSpec, ...] = (
    _base(
        "density_variance_{s}2",
        "Variance",
        function=lambda c: c.intensities.variance,
        definition="Population variance.",
        unit="{s}²",
        ucum="{s}2",
        reference=IBSI.format("ECT3"),
        optional=True,
        decimals=1,
    ),
    _value(
        "density_iqr_{s}",
        "IQR",
        function=_iqr,
        definition="Interquartile range, P75 - P25.",
        reference=IBSI.format("SALO"),
    ),
    _value(
        "density_range_{s}",
        "Range",
        function=lambda c: c.intensities.maximum - c.intensities.minimum,
        definition="Largest minus smallest value.",
        reference=IBSI.format("2OJQ"),
    ),
    _value(
        "density_mad_{s}",
        "Mean absolute deviation",
        function=lambda c: c.intensities.mean_absolute_deviation(c.intensities.mean),
        definition="Mean absolute deviation from the mean.",
        reference=IBSI.format("4FUA"),
        optional=True,
    ),
    _value(
        "density_robust_mad_{s}",
        "Robust mean absolute deviation",
        function=_robust_mad,
        definition="Mean absolute deviation from their mean of the values from P10 to P90.",
        reference=IBSI.format("1128"),
        optional=True,
    ),
    _value(
        "density_median_ad_{s}",
        "Median absolute deviation",
        function=lambda c: c.intensities.mean_absolute_deviation(c.intensities.median),
        definition="Mean absolute deviation from the median (IBSI's median absolute deviation).",
        reference=IBSI.format("N72L"),
        optional=True,
    ),
    _one(
        "density_skewness",
        "Skewness",
        function=lambda c: c.intensities.skewness,
        definition="m3/m2^1.5 with population moments; 0 for a flat lesion.",
        reference=IBSI.format("KE2A"),
        code="(DCM 126051) Skewness",
    ),
    _one(
        "density_kurtosis",
        "Kurtosis",
        function=lambda c: c.intensities.kurtosis,
        definition="Excess kurtosis m4/m2² - 3 with population moments (normal: 0); 0 for a flat lesion.",
        reference=IBSI.format("IPH6"),
        code="(DCM 126052) Kurtosis",
    ),
    _base(
        "density_entropy_bits",
        "Entropy",
        function=lambda c: c.binned.entropy_bits,
        definition="-sum p·log2 p. CT: bins of 25 HU with edges at multiples of 25. Elsewhere 64 bins between "
        "minimum and maximum, not comparable across scanners.",
        unit="bit",
        ucum="bit",
        reference=IBSI.format("TLU2"),
        needs=("binned",),
    ),
    _one(
        "density_uniformity",
        "Uniformity",
        function=lambda c: c.binned.uniformity,
        definition="Sum of p² over the bins of the entropy.",
        reference=IBSI.format("BJ5W"),
        decimals=3,
        needs=("binned",),
    ),
    _base(
        "density_energy_{s}2",
        "Energy",
        function=lambda c: c.intensities.energy,
        definition="Sum of squared values, raw, without a shift.",
        unit="{s}²",
        ucum="{s}2",
        reference=IBSI.format("N8CA"),
        decimals=0,
    ),
    _value(
        "density_rms_{s}",
        "RMS",
        function=lambda c: c.intensities.rms,
        definition="Root mean square of the raw values.",
        reference=IBSI.format("5ZWQ"),
        code="(UMLS C2347976) Root Mean Square",
    ),
    _one(
        "density_cv",
        "CV",
        function=_cv,
        definition="SD over mean. Empty on CT when the mean lies within 50 HU of 0, where it says nothing.",
        reference=IBSI.format("7TET"),
        code="(UMLS C0681921) Coefficient of Variance",
    ),
    _one(
        "density_qcod",
        "Quartile dispersion",
        function=_qcod,
        definition="(P75 - P25)/(P75 + P25).",
        reference=IBSI.format("9S40"),
        optional=True,
    ),
)

SPATIAL: tuple[FeatureSpec, ...] = (
    FeatureSpec(
        "density_peak_{s}",
        "Peak",
        Family.DENSITY,
        lambda c: c.peaks[0],
        "Largest mean over a sphere of 1 ml centred on any lesion voxel, with image voxels outside the lesion too.",
        unit="{s}",
        ucum="{s}",
        reference=IBSI.format("0F91"),
        code="(DCM 126031) Peak Value Within ROI",
        optional=True,
        decimals=1,
        invariance=("T", "F"),
        needs=("peaks",),
    ),
    FeatureSpec(
        "density_peak_local_{s}",
        "Local peak",
        Family.DENSITY,
        lambda c: c.peaks[1],
        "Mean over a sphere of 1 ml centred on the largest value; the largest such mean when several voxels hold it.",
        unit="{s}",
        ucum="{s}",
        reference=IBSI.format("VJGA"),
        optional=True,
        decimals=1,
        invariance=("T", "F"),
        needs=("peaks",),
    ),
    FeatureSpec(
        "integrated_intensity",
        "Integrated intensity",
        Family.DENSITY,
        lambda c: c.mesh_volume * c.intensities.mean,
        "Mesh volume times mean.",
        unit="{s}·mm³",
        ucum="{s}.mm3",
        reference=IBSI.format("99N0"),
        optional=True,
        decimals=0,
        invariance=("T", "F", "S3"),
        needs=("counts", "intensities"),
    ),
    FeatureSpec(
        "moran_i",
        "Moran's I",
        Family.DENSITY,
        lambda c: c.autocorrelation[0],
        "Spatial autocorrelation with weights 1/distance; empty beyond 20000 voxels.",
        ucum="1",
        reference=IBSI.format("N365"),
        optional=True,
        decimals=4,
        invariance=("T", "F", "S0"),
        needs=("autocorrelation",),
    ),
    FeatureSpec(
        "geary_c",
        "Geary's C",
        Family.DENSITY,
        lambda c: c.autocorrelation[1],
        "Spatial dissimilarity with weights 1/distance; empty beyond 20000 voxels.",
        ucum="1",
        reference=IBSI.format("NPT7"),
        optional=True,
        decimals=3,
        invariance=("T", "F", "S0"),
        needs=("autocorrelation",),
    ),
)


DENSITY: tuple[FeatureSpec, ...] = (*LEVELS, *SPREAD, *SPATIAL)
