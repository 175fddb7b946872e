"""Statistics of the intensities of one lesion, from sorted values and their counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

COUNTING_RANGE = 1 << 17
"""Whole numbers within this range are counted instead of sorted."""


@dataclass(frozen=True)
class Distribution:
    """The finite values of a voxel set.

    Parameters
    ----------
    values
        Distinct values, ascending.
    counts
        How often each occurs.

    Notes
    -----
    Moments are population moments (divisor n), kurtosis is excess, percentiles interpolate linearly between order
    statistics (type 7). Every statistic of an empty distribution is NaN.
    """

    values: FloatArray
    counts: IntArray

    @classmethod
    def of(cls, values: npt.NDArray[np.generic]) -> Distribution:
        """Distribution of an array of numbers; NaN and infinities are left out."""
        if np.issubdtype(values.dtype, np.integer) and values.size:
            low, high = int(values.min()), int(values.max())
            if high - low < COUNTING_RANGE:
                counts = np.bincount((values.astype(np.int64) - low).ravel())
                present = np.flatnonzero(counts)
                return cls((present + low).astype(np.float64), counts[present].astype(np.int64))
        numbers = values.astype(np.float64)
        distinct, counts = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
        return cls(distinct, counts.astype(np.int64))

    @cached_property
    def n(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    @cached_property
    def _ends(self) -> IntArray:
        return np.cumsum(self.counts)

    @cached_property
    def total(self) -> float:
        """Sum."""
        return float(self.values @ self.counts)

    @cached_property
    def mean(self) -> float:
        """Mean."""
        return self.total / self.n if self.n else float("nan")

    @cached_property
    def minimum(self) -> float:
        """Smallest value."""
        return float(self.values[0]) if self.n else float("nan")

    @cached_property
    def maximum(self) -> float:
        """Largest value."""
        return float(self.values[-1]) if self.n else float("nan")

    def central_moment(self, order: int) -> float:
        """Population moment about the mean."""
        if not self.n:
            return float("nan")
        if len(self.values) == 1:
            return 0.0
        return float((self.values - self.mean) ** order @ self.counts) / self.n

    @cached_property
    def variance(self) -> float:
        """Population variance."""
        return self.central_moment(2)

    @property
    def sd(self) -> float:
        """Population standard deviation."""
        return float(np.sqrt(self.variance))

    @property
    def skewness(self) -> float:
        """Third standardised moment; 0 for a flat distribution."""
        return self._standardised(3)

    @property
    def kurtosis(self) -> float:
        """Excess kurtosis; 0 for a flat distribution (the rule of IBSI)."""
        standardised = self._standardised(4)
        return standardised - 3.0 if self.variance > 0 else standardised

    def _standardised(self, order: int) -> float:
        if self.variance == 0:
            return 0.0
        return float(self.central_moment(order) / np.power(self.variance, order / 2))

    @cached_property
    def energy(self) -> float:
        """Sum of squares."""
        return float(self.values**2 @ self.counts) if self.n else float("nan")

    @property
    def rms(self) -> float:
        """Root mean square."""
        return float(np.sqrt(self.energy / self.n)) if self.n else float("nan")

    def order_statistic(self, rank: int) -> float:
        """The value of this rank, 0 the smallest."""
        return float(self.values[np.searchsorted(self._ends, rank, side="right")])

    def percentile(self, percent: float) -> float:
        """Percentile, type 7: position (n - 1) p between order statistics."""
        if not self.n:
            return float("nan")
        position = (self.n - 1) * percent / 100.0
        low = int(np.floor(position))
        below = self.order_statistic(low)
        above = self.order_statistic(min(low + 1, self.n - 1))
        return below + (above - below) * (position - low)

    @property
    def median(self) -> float:
        """Median."""
        return self.percentile(50)

    def share(self, low: float = -np.inf, high: float = np.inf) -> float:
        """Share of values with low <= x <= high."""
        if not self.n:
            return float("nan")
        return float(self.counts[(self.values >= low) & (self.values <= high)].sum()) / self.n

    def mean_absolute_deviation(self, about: float) -> float:
        """Mean distance from a value."""
        return float(np.abs(self.values - about) @ self.counts) / self.n if self.n else float("nan")

    def between(self, low: float, high: float) -> Distribution:
        """The values with low <= x <= high."""
        keep = (self.values >= low) & (self.values <= high)
        return Distribution(self.values[keep], self.counts[keep])

    def binned(self, width: float) -> Distribution:
        """Bin numbers floor(x / width): edges at multiples of the width."""
        return self._gathered(np.floor(self.values / width))

    def binned_equally(self, bins: int) -> Distribution:
        """Bin numbers 1 to ``bins`` between minimum and maximum (IBSI fixed bin number)."""
        if self.n == 0 or self.maximum == self.minimum:
            return self._gathered(np.ones_like(self.values))
        place = np.floor(bins * (self.values - self.minimum) / (self.maximum - self.minimum)) + 1
        return self._gathered(np.minimum(place, bins))

    def _gathered(self, numbers: FloatArray) -> Distribution:
        distinct, inverse = np.unique(numbers, return_inverse=True)
        return Distribution(distinct, np.bincount(inverse, self.counts, len(distinct)).astype(np.int64))

    @property
    def entropy_bits(self) -> float:
        """Shannon entropy of the values, bit."""
        if not self.n:
            return float("nan")
        share = self.counts / self.n
        return float(abs(share @ np.log2(share)))

    @property
    def uniformity(self) -> float:
        """Sum of squared shares."""
        return float(np.sum((self.counts / self.n) ** 2)) if self.n else float("nan")
