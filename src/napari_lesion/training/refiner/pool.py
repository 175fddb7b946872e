"""Figures of all folds together: each nodule measured by the run that held its patient out.

``python -m napari_lesion.training.refiner.pool FIGURES... --out FILE`` takes what
`napari_lesion.training.refiner.measure` wrote for each fold.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from napari_lesion.core.errors import InputError
from napari_lesion.evaluation.bootstrap import bootstrap
from napari_lesion.training.scoring import AGREED_READERS

log = logging.getLogger(__name__)

Case = dict[str, Any]


def pool(folds: Sequence[dict[str, Any]], threshold: float) -> dict[str, Any]:
    """Pool the figures of several folds at one threshold.

    Parameters
    ----------
    folds
        Reports of `napari_lesion.training.refiner.measure`, one a fold.
    threshold
        One of their thresholds.

    Returns
    -------
    dict
        Mean Dice (missed nodules count 0), sensitivity and Dice of the readers against each other over nodules of
        three and more readers, and other marks a cube, each with its 95 % interval over resampled patients; the mean
        Dice of each fold and their standard deviation.

    Raises
    ------
    InputError
        When a fold comes twice, or the threshold was not measured.
    """
    numbers = [fold["fold"] for fold in folds]
    if len(set(numbers)) != len(numbers):
        raise InputError("The folds cannot be pooled", f"folds {sorted(numbers)}: one of them comes twice")
    cubes = [case for fold in folds for case in fold["cases"] if case["threshold"] == threshold and _is_cube(case)]
    agreed = [case for case in cubes if case["n_readers"] >= AGREED_READERS]
    if not agreed:
        raise InputError("The folds cannot be pooled", f"no nodule was measured at the threshold {threshold}")
    by_fold = {fold["fold"]: _mean(fold["cases"], threshold) for fold in folds}
    return {
        "threshold": threshold,
        "nodules": len(agreed),
        "patients": len({case["patient_id"] for case in agreed}),
        "dice": _interval(agreed, lambda case: float(case["dice"])),
        "sensitivity": _interval(agreed, lambda case: float(case["found"])),
        "readers_dice": _interval(agreed, lambda case: float(case["readers_dice"])),
        "marks_per_cube": _interval(cubes, lambda case: float(case["other_marks"])),
        "dice_by_fold": by_fold,
        "dice_sd_of_folds": float(np.std(list(by_fold.values()))),
    }


def _is_cube(case: Case) -> bool:
    return bool(case["kind"] == "cube")


def _mean(cases: Sequence[Case], threshold: float) -> float:
    chosen = [case for case in cases if case["threshold"] == threshold and _is_cube(case)]
    return float(np.mean([case["dice"] for case in chosen if case["n_readers"] >= AGREED_READERS]))


def _interval(cases: Sequence[Case], value: Callable[[Case], float]) -> dict[str, float]:
    patients = [case["patient_id"] for case in cases]
    return asdict(bootstrap(lambda values: float(values.mean()), patients, [value(case) for case in cases]))


def main(
    figures: Annotated[list[Path], typer.Argument(help="JSON files of the folds.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    threshold: Annotated[float, typer.Option(help="Probability from which a voxel is marked.")] = 0.5,
) -> None:
    """Pool the figures of several folds."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pooled = pool([json.loads(path.read_text(encoding="utf-8")) for path in figures], threshold)
    out.write_text(json.dumps(pooled, indent=1) + "\n", encoding="utf-8")
    log.info("%s", json.dumps(pooled, indent=1))


if __name__ == "__main__":
    typer.run(main)
