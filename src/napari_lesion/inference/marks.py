"""How likely a mark is a lesion: one number a mark, from how it looks as a whole.

A network decides voxel by voxel, and inside a mark it is nearly always sure. What tells a lesion from a vessel is
more the mark as a whole: how sure the network is on average, its size, its shape, and whether there is air around it.
A logistic model of these, fitted on marks of patients that the network never saw, gives each mark a probability.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.inference.components import components
from napari_lesion.models.bundle import MARK_FEATURES, Intensity, MarkScore

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

NEAR_MM: Final = 1.0
AROUND_MM: Final = 3.0
"""Air is looked for between these two distances from a mark."""
INSIDE: Final = 0.9
OUTSIDE: Final = 0.15
"""Share of a mark's probability that its faintest voxel is given, and the most that a voxel around it gets: a
threshold between the two keeps the outline."""
SURE: Final = 1e-4


@dataclass(frozen=True, eq=False)
class Mark:
    """One mark on the model grid.

    Parameters
    ----------
    box
        A little more than the smallest box around it.
    mask
        Its voxels in this box.
    features
        Values in the order of `MARK_FEATURES`.
    """

    box: tuple[slice, slice, slice]
    mask: BoolArray
    features: npt.NDArray[np.float64]


def find_marks(
    dense: FloatArray, image: npt.NDArray[Any], air_below: float, spacing_mm: Triple, level: float, min_voxels: int
) -> Iterator[Mark]:
    """Marks of a probability map and how each looks.

    Parameters
    ----------
    dense
        Probability of lesion on the model grid.
    image
        What the network saw, on the same grid.
    air_below
        Value of the image below which a voxel is aerated.
    spacing_mm
        Spacing of the grid, mm, in the order of its axes.
    level
        Probability from which a voxel belongs to a mark; voxels that touch by a corner belong together.
    min_voxels
        Smaller marks are left out.
    """
    import cc3d

    labels = components(dense >= level, 26)
    statistics: dict[str, Any] = cc3d.statistics(labels, no_slice_conversion=False)
    margin = [math.ceil(AROUND_MM / step) + 1 for step in spacing_mm]
    for number, tight in enumerate(statistics["bounding_boxes"]):
        if number == 0 or statistics["voxel_counts"][number] < min_voxels:
            continue
        z, y, x = (
            slice(max(0, part.start - more), min(n, part.stop + more))
            for part, more, n in zip(tight, margin, dense.shape, strict=True)
        )
        mask = labels[z, y, x] == number
        yield Mark((z, y, x), mask, features_of(mask, dense[z, y, x], image[z, y, x], air_below, spacing_mm))


def features_of(
    mask: BoolArray, dense: FloatArray, image: npt.NDArray[Any], air_below: float, spacing_mm: Triple
) -> npt.NDArray[np.float64]:
    """How one mark looks.

    Returns
    -------
    ndarray
        Logit of the mean probability, log of the volume in mm³, log of longest by shortest principal axis, share of
        aerated voxels between 1 and 3 mm from it, and 90th percentile of the image in it: contrast medium and bone
        are brighter than most lesions.
    """
    mean = float(np.clip(dense[mask].mean(dtype=np.float64), SURE, 1 - SURE))
    volume = float(mask.sum()) * math.prod(spacing_mm)
    shape = math.log(_axis_ratio(mask, spacing_mm))
    air = _air(mask, image < air_below, spacing_mm)
    bright = float(np.percentile(image[mask].astype(np.float64), 90))
    return np.array([math.log(mean / (1 - mean)), math.log(volume), shape, air, bright])


def _axis_ratio(mask: BoolArray, spacing_mm: Triple) -> float:
    """Longest by shortest principal axis; each voxel counts as a box of its size."""
    step = np.array(spacing_mm)
    places = np.argwhere(mask) * step
    variance = np.cov(places.T, bias=True) + np.diag(step**2) / 12
    axes = np.sqrt(np.linalg.eigvalsh(variance))
    return float(axes[-1] / axes[0])


def _air(mask: BoolArray, air: BoolArray, spacing_mm: Triple) -> float:
    import edt

    distance = edt.edt(~mask, anisotropy=spacing_mm)
    shell = (distance > NEAR_MM) & (distance <= AROUND_MM)
    return float(air[shell].mean()) if shell.any() else 0.0


def probability_of_mark(features: npt.NDArray[np.float64], rule: MarkScore) -> float:
    """Probability that a mark is a lesion, by the logistic model of a bundle."""
    value = rule.intercept + float(features @ np.array([rule.weights[name] for name in MARK_FEATURES]))
    return float(1 / (1 + np.exp(-np.clip(value, -30, 30))))


def scored(
    dense: FloatArray, image: FloatArray, intensity: Intensity, spacing_mm: Triple, rule: MarkScore
) -> FloatArray:
    """The probability map with each mark's own probability as its largest value.

    Parameters
    ----------
    dense, image, spacing_mm
        As for `find_marks`.
    intensity
        How the image was scaled for the network.
    rule
        Level, smallest mark and logistic model.

    Returns
    -------
    numpy.ndarray
        float32. With s the probability of a mark and p that of a voxel in it, the voxel is given s times a value
        that rises from 0.9 at the level to 1 at p = 1; a voxel around it at most 0.15 s, falling to 0 with p. So a
        threshold chooses marks; the outline of one stays where the network drew it while the threshold lies between
        0.15 and 0.9 of its probability. 0 where no mark is near.
    """
    result = np.zeros_like(dense)
    air_below = intensity.scaled(rule.air_below)
    for mark in find_marks(dense, image, air_below, spacing_mm, rule.level, rule.min_voxels):
        p = dense[mark.box]
        inside = INSIDE + (1 - INSIDE) * (p - rule.level) / (1 - rule.level)
        rise = np.where(mark.mask, inside, np.where(p < rule.level, OUTSIDE * p / rule.level, 0.0))
        np.maximum(result[mark.box], probability_of_mark(mark.features, rule) * rise, out=result[mark.box])
    return result
