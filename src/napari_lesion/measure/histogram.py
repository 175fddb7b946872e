"""The intensity histogram family of IBSI: statistics of the bin numbers of density entropy; all optional."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.distribution import Distribution
from napari_lesion.measure.size import IBSI
from napari_lesion.measure.spec import Family, FeatureSpec

FloatArray = npt.NDArray[np.float64]

NAN = float("nan")


def mode(bins: Distribution) -> float:
    """Fullest bin; of several the one nearest to the mean, then the lower one."""
    if not bins.n:
        return NAN
    fullest = bins.values[bins.counts == bins.counts.max()]
    return float(fullest[np.argmin(np.abs(fullest - bins.mean))])


def gradient(bins: Distribution) -> tuple[FloatArray, FloatArray]:
    """Bin numbers from the first to the last, empty ones included, and the slope of the histogram at each.

    Central differences, one-sided at both ends. Empty for fewer than two bins.
    """
    if len(bins.values) < 2:
        return np.empty(0), np.empty(0)
    numbers = np.arange(bins.values[0], bins.values[-1] + 1)
    counts = np.zeros(len(numbers))
    counts[(bins.values - bins.values[0]).astype(np.int64)] = bins.counts
    return numbers, np.gradient(counts)


def _steepest(bins: Distribution, sign: float) -> tuple[float, float]:
    numbers, slopes = gradient(bins)
    if not slopes.size:
        return NAN, NAN
    place = int(np.argmax(sign * slopes))
    return float(slopes[place]), float(numbers[place])


def _iqr(bins: Distribution) -> float:
    return bins.percentile(75) - bins.percentile(25)


def _robust_mad(bins: Distribution) -> float:
    middle = bins.between(bins.percentile(10), bins.percentile(90))
    return middle.mean_absolute_deviation(middle.mean)


def _cv(bins: Distribution) -> float:
    return bins.sd / bins.mean if bins.mean else NAN


def _qcod(bins: Distribution) -> float:
    total = bins.percentile(75) + bins.percentile(25)
    return _iqr(bins) / total if total else NAN


_ROWS: tuple[tuple[str, str, str, Callable[[Distribution], float]], ...] = (
    ("mean", "Mean bin", "X6K6", lambda bins: bins.mean),
    ("variance", "Variance of the bin", "CH89", lambda bins: bins.variance),
    ("skewness", "Skewness of the bin", "88K1", lambda bins: bins.skewness),
    ("kurtosis", "Excess kurtosis of the bin", "C3I7", lambda bins: bins.kurtosis),
    ("median", "Median bin", "WIFQ", lambda bins: bins.median),
    ("min", "Smallest bin", "1PR8", lambda bins: bins.minimum),
    ("p10", "Percentile 10 of the bin", "GPMT", lambda bins: bins.percentile(10)),
    ("p90", "Percentile 90 of the bin", "OZ0C", lambda bins: bins.percentile(90)),
    ("max", "Largest bin", "3NCY", lambda bins: bins.maximum),
    ("mode", "Fullest bin", "AMMC", mode),
    ("iqr", "Interquartile range of the bin", "WR0O", _iqr),
    ("range", "Range of the bin", "5Z3W", lambda bins: bins.maximum - bins.minimum),
    ("mad", "Mean absolute deviation of the bin", "D2ZX", lambda bins: bins.mean_absolute_deviation(bins.mean)),
    ("robust_mad", "The same between P10 and P90", "WRZB", _robust_mad),
    ("median_ad", "Mean absolute deviation from the median", "4RNL", lambda b: b.mean_absolute_deviation(b.median)),
    ("cv", "Coefficient of variation of the bin", "CWYJ", _cv),
    ("qcod", "Quartile coefficient of dispersion of the bin", "SLWD", _qcod),
    ("entropy_bits", "Entropy of the bins, bit", "TLU2", lambda bins: bins.entropy_bits),
    ("uniformity", "Uniformity of the bins", "BJ5W", lambda bins: bins.uniformity),
    ("max_gradient", "Largest slope of the histogram", "12CE", lambda bins: _steepest(bins, 1.0)[0]),
    ("max_gradient_bin", "Bin of the largest slope", "8E6O", lambda bins: _steepest(bins, 1.0)[1]),
    ("min_gradient", "Smallest slope of the histogram", "VQB3", lambda bins: _steepest(bins, -1.0)[0]),
    ("min_gradient_bin", "Bin of the smallest slope", "RHQZ", lambda bins: _steepest(bins, -1.0)[1]),
)


def _spec(name: str, title: str, code: str, function: Callable[[Distribution], float]) -> FeatureSpec:
    def value(c: LesionContext) -> float:
        return function(c.binned)

    return FeatureSpec(
        f"hist_{name}",
        title,
        Family.HISTOGRAM,
        value,
        f"{title}, over the bins of density_entropy_bits.",
        ucum="1",
        reference=IBSI.format(code),
        optional=True,
        invariance=("T", "F", "S0"),
        needs=("binned",),
    )


HISTOGRAM: tuple[FeatureSpec, ...] = tuple(_spec(*row) for row in _ROWS)
