"""Measurements of the engine on one slice, as the input of the boosted model.

A slice is measured as a volume of one slice, 1 mm thick whatever the scan, so that nothing depends on the scanner's
thickness.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.training.classifier.slices import NoduleSlice

FAMILIES = ("size", "shape", "density", "boundary", "histogram", "texture")

LEFT_OUT = (
    *("bbox_i", "bbox_j", "bbox_k", "bbox_s", "manual_"),
    *("flatness", "pca_least", "ellipsoid_axis_3", "craniocaudal"),
)
"""Beginnings of names that say where the crop lies, what a reader drew, or how thick the slice is."""

THICKNESS_MM = 1.0

FloatArray = npt.NDArray[np.float32]

log = logging.getLogger(__name__)


def measure_slice(nodule: NoduleSlice) -> dict[str, float]:
    """All numbers of the engine for the consensus of one nodule; NaN where undefined."""
    from napari_lesion.measure.engine import MeasureRequest, measure_lesions

    edge = nodule.spacing_mm
    grid = Grid((nodule.image.shape[1], nodule.image.shape[0], 1), (edge, edge, THICKNESS_MM))
    volume = Volume(nodule.image[None], grid, Modality.CT)
    labels = LabelMap(nodule.consensus[None].astype(np.uint16), grid)
    row = measure_lesions(volume, labels, MeasureRequest(features=known_families())).rows[1]
    return {
        name: float(value)
        for name, value in row.items()
        if isinstance(value, int | float) and name not in ("label", "probability") and not name.startswith(LEFT_OUT)
    }


def known_families() -> tuple[str, ...]:
    """Those of `FAMILIES` that hold measures."""
    from napari_lesion.measure.registry import FEATURES

    held = {spec.family.value for spec in FEATURES}
    return tuple(name for name in FAMILIES if name in held)


def measure_slices(nodules: Sequence[NoduleSlice], cache: Path) -> tuple[list[str], FloatArray]:
    """Measure all nodules once and keep the numbers.

    Parameters
    ----------
    nodules
        What to measure.
    cache
        ``.npz`` file; read when it holds the same nodules, written otherwise.

    Returns
    -------
    names, values
        Names of the measures, and their values, shape (nodule, measure).
    """
    ids = np.array([nodule.name for nodule in nodules])
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as kept:
            if np.array_equal(kept["ids"], ids):
                return kept["names"].tolist(), kept["values"]
    rows = []
    for number, nodule in enumerate(nodules):
        rows.append(measure_slice(nodule))
        if number % 250 == 0:
            log.info("measured %d of %d", number, len(nodules))
    names = sorted(set().union(*rows))
    values = np.array([[row.get(name, np.nan) for name in names] for row in rows], dtype=np.float32)
    varies = np.array([len(np.unique(column[~np.isnan(column)])) > 1 for column in values.T])
    names, values = [name for name, kept_one in zip(names, varies, strict=True) if kept_one], values[:, varies]
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(cache, ids=ids, names=np.array(names), values=values)
    return names, values
