"""Measurements of the engine on one slice, as the input of the boosted model.

A slice is measured as a volume of one slice, 1 mm thick whatever the scan, so that nothing depends on the scanner's
thickness; what its boundary is like is measured on a prism of several such slices.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.training.classifier.slices import NoduleSlice

FLAT_FAMILIES = ("size", "shape", "density", "histogram")
PRISM_FAMILIES = ("boundary",)
PRISM_SLICES = 9
"""Slices of the prism that the boundary is measured on: an edge profile needs a surface that is not all rim."""

LEFT_OUT = (
    *("bbox_i", "bbox_j", "bbox_k", "bbox_s", "manual_"),
    *("flatness", "pca_least", "ellipsoid_axis_3", "craniocaudal"),
)
"""Beginnings of names that say where the crop lies, what a reader drew, or how thick the slice is."""

THICKNESS_MM = 1.0

FloatArray = npt.NDArray[np.float32]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Measures:
    """Numbers of the engine for many nodules.

    Parameters
    ----------
    names
        Columns.
    values
        Shape (nodule, column); NaN where undefined.
    """

    names: tuple[str, ...]
    values: FloatArray


def measure_slice(nodule: NoduleSlice) -> dict[str, float]:
    """All numbers of the engine for the consensus of one nodule; NaN where undefined."""
    found = _measured(nodule, FLAT_FAMILIES, 1)
    return {**found, **_measured(nodule, PRISM_FAMILIES, PRISM_SLICES)}


def _measured(nodule: NoduleSlice, families: tuple[str, ...], slices: int) -> dict[str, float]:
    from napari_lesion.measure.engine import MeasureRequest, measure_lesions

    edge = nodule.spacing_mm
    grid = Grid((nodule.image.shape[1], nodule.image.shape[0], slices), (edge, edge, THICKNESS_MM))
    volume = Volume(np.repeat(nodule.image[None], slices, axis=0), grid, Modality.CT)
    labels = LabelMap(np.repeat(nodule.consensus[None].astype(np.uint16), slices, axis=0), grid)
    row = measure_lesions(volume, labels, MeasureRequest(features=families)).rows[1]
    return {
        name: float(value)
        for name, value in row.items()
        if isinstance(value, int | float) and name not in ("label", "probability") and not name.startswith(LEFT_OUT)
    }


def measure_slices(nodules: Sequence[NoduleSlice], cache: Path) -> Measures:
    """Measure all nodules once and keep the numbers.

    Parameters
    ----------
    nodules
        What to measure.
    cache
        ``.npz`` file; read when it holds the same nodules, written otherwise. Delete it when the engine has changed.
    """
    ids = np.array([nodule.name for nodule in nodules])
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as kept:
            if np.array_equal(kept["ids"], ids):
                return Measures(tuple(kept["names"].tolist()), kept["values"])
    rows = []
    for number, nodule in enumerate(nodules):
        rows.append(measure_slice(nodule))
        if number % 250 == 0:
            log.info("measured %d of %d", number, len(nodules))
    every = sorted(set().union(*rows))
    values = np.array([[row.get(name, np.nan) for name in every] for row in rows], dtype=np.float32)
    varies = [len(np.unique(column[~np.isnan(column)])) > 1 for column in values.T]
    names = [name for name, useful in zip(every, varies, strict=True) if useful]
    found = Measures(tuple(names), values[:, np.array(varies)])
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(cache, ids=ids, names=np.array(found.names), values=found.values)
    return found
