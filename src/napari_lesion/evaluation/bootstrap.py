"""95 % intervals of any figure, bootstrapped over patients: what belongs to one patient is not independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError

Figure = Callable[..., float]

RESAMPLES = 1000
SEED = 2026


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % bootstrap interval.

    Parameters
    ----------
    value
        On the data itself.
    low, high
        2.5th and 97.5th percentile over the resamples in which the figure is defined.
    """

    value: float
    low: float
    high: float


def bootstrap(
    figure: Figure, patients: Sequence[str], *values: npt.ArrayLike, resamples: int | None = None, seed: int = SEED
) -> Interval:
    """Interval of a figure over resampled patients.

    Parameters
    ----------
    figure
        Called with the arrays; a difference of two scores makes the comparison a paired one.
    patients
        Patient of each lesion; a drawn patient brings all his lesions.
    *values
        Arrays with one entry a lesion.
    resamples, seed
        How many (`RESAMPLES` when not given), and of which seed.
    """
    arrays = [np.asarray(value) for value in values]
    if not len(patients) or any(len(array) != len(patients) for array in arrays):
        raise InputError("The interval cannot be computed", "there is not one value a lesion")
    _, group = np.unique(np.asarray(patients), return_inverse=True)
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES if resamples is None else resamples):
        chosen = np.concatenate([members[k] for k in random.integers(len(members), size=len(members))])
        drawn.append(figure(*(array[chosen] for array in arrays)))
    finite = np.asarray(drawn)[np.isfinite(drawn)]
    low, high = np.percentile(finite, [2.5, 97.5]) if finite.size else (np.nan, np.nan)
    return Interval(float(figure(*arrays)), float(low), float(high))
