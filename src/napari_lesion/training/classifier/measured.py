"""Measurements of the engine on the slices of the training set, as the input of the boosted model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_lesion.measure.axial_slice import measure_axial_slice
from napari_lesion.training.classifier.slices import NoduleSlice

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
    edge = nodule.spacing_mm
    return measure_axial_slice(nodule.image, nodule.consensus, (edge, edge))


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
