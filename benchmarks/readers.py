"""How the measures of the boundary follow readers: rank correlations with ratings of LIDC-IDRI nodules.

    python benchmarks/readers.py DATA [--json FILE]

DATA holds ``lidc_nodules``: 101 nodules of 101 patients, resampled to 1 mm, HU saturated at 400, with the number of
readers who marked each voxel (without the outline that LIDC draws around a nodule) and the mean ratings. The lesion
is where at least half of the readers agree, the largest 26-connected part. Beside each Spearman correlation
stands the partial one given the volume, each with a 95 % interval (bootstrap by patient). ``chosen`` and ``kept``
are the two halves of the patients: definitions were chosen on the first, so only the second says what they are worth.
Patients below LIDC-IDRI-0100 were rated on another scale of spiculation and lobulation; ``later`` leaves them out.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.io.read import read_volume
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.registry import FEATURES
from napari_lesion.measure.spec import Family, Scale
from napari_lesion.measure.topology import largest_components

FloatArray = npt.NDArray[np.float64]

RATINGS = ("spiculation", "lobulation", "margin", "texture")
SIZE = "volume_mm3"
BESIDE = ("sphericity", "sphericity_crofton", "solidity", "area_density_hull", "density_mean_hu", "solid_fraction")
FIRST_LATER = 100
RESAMPLES = 1000
FEWEST = 20


def nodules(folder: Path) -> Iterator[dict[str, Any]]:
    """Ratings and measures of each nodule."""
    with (folder / "nodules.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        image = read_volume(folder / "images" / f"{row['case']}.nii.gz")
        readers = read_volume(folder / "masks" / f"{row['case']}.nii.gz").array
        agreed = largest_components(2 * readers >= max(2, int(row["n_readers"])))[0]
        volume = Volume(image.array, image.grid, Modality.CT, image.source)
        labels = LabelMap(agreed.astype(np.uint8), image.grid)
        measured = measure_lesions(volume, labels, MeasureRequest(features=("core", "contrast_z"))).rows[1]
        ratings = {name: float(row[f"{name}_mean"]) for name in RATINGS}
        yield {"patient": row["patient_id"], **ratings, **measured}


def subsets(patients: list[str]) -> dict[str, npt.NDArray[np.bool_]]:
    """All patients, those of consistent ratings, and the two halves."""
    order = np.random.default_rng(0).permutation(list(dict.fromkeys(patients)))
    chosen = np.isin(patients, order[: len(order) // 2])
    later = np.array([int(patient.rsplit("-", 1)[1]) >= FIRST_LATER for patient in patients])
    return {"all": np.ones(len(patients), dtype=bool), "later": later, "chosen": chosen, "kept": ~chosen}


def correlations(x: FloatArray, y: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Spearman correlation of x and y, and the partial one given size, along the last axis."""
    ranks = [rankdata(values, axis=-1) for values in (x, y, size)]
    units = [r - r.mean(axis=-1, keepdims=True) for r in ranks]
    units = [u / np.maximum(np.sqrt((u**2).sum(axis=-1, keepdims=True)), 1e-12) for u in units]
    xy, xs, ys = ((units[a] * units[b]).sum(axis=-1) for a, b in ((0, 1), (0, 2), (1, 2)))
    rest = np.sqrt(np.maximum((1 - xs**2) * (1 - ys**2), 0.0))
    return xy, np.where(rest > 1e-6, (xy - xs * ys) / np.maximum(rest, 1e-6), np.nan)


def figures(x: FloatArray, y: FloatArray, size: FloatArray) -> dict[str, Any] | None:
    """Both correlations of the nodules that have the measure, with 95 % intervals; None for too few."""
    known = np.isfinite(x)
    x, y, size = x[known], y[known], size[known]
    if len(x) < FEWEST:
        return None
    # one nodule a patient: a nodule drawn is a patient drawn
    draws = np.random.default_rng(1).integers(0, len(x), (RESAMPLES, len(x)))
    out: dict[str, Any] = {"n": len(x)}
    both = correlations(x, y, size), correlations(x[draws], y[draws], size[draws])
    for name, value, spread in zip(("rho", "partial"), *both, strict=True):
        if np.isfinite(value):
            low, high = np.nanpercentile(spread, [2.5, 97.5])
            out[name] = {"value": float(value), "low": float(low), "high": float(high)}
    return out


def measures() -> list[str]:
    """Size, every measure of the boundary, and what one might take instead."""
    boundary = [spec.column_name(Scale.HU) for spec in FEATURES if spec.family is Family.BOUNDARY]
    return list(dict.fromkeys([SIZE, *(name for name in boundary if name != "contact_fraction"), *BESIDE]))


def cell(found: dict[str, Any] | None, name: str) -> str:
    """One correlation for people."""
    if found is None or name not in found:
        return f"{'':20s}"
    return "{value:5.2f} [{low:5.2f} {high:5.2f}] ".format(**found[name])


def main() -> None:
    """Print the tables; write them when asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with lidc_nodules")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    rows = list(nodules(arguments.data / "lidc_nodules"))
    parts = subsets([row["patient"] for row in rows])
    print("patients: " + ", ".join(f"{name} {int(part.sum())}" for name, part in parts.items()))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in (*RATINGS, *measures())}
    result: dict[str, Any] = {}
    for rating in RATINGS:
        print(f"\n{rating}: Spearman [95 %]; partial given {SIZE} [95 %]")
        print(f"{'':26s}" + "".join(f"{name + ' rho':20s}{name + ' partial':20s}" for name in parts))
        for measure in measures():
            found = {
                name: figures(columns[measure][part], columns[rating][part], columns[SIZE][part])
                for name, part in parts.items()
            }
            result.setdefault(rating, {})[measure] = found
            print(f"{measure:26s}" + "".join(cell(f, "rho") + cell(f, "partial") for f in found.values()))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
