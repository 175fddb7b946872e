"""Our values beside the reference values of IBSI and the baselines that PyRadiomics keeps of itself.

    python benchmarks/references.py [--data FOLDER] [--markdown] [--json FILE]

FOLDER holds reference/pyradiomics (images and labels of the cases, baseline_shape_tidy.csv and
baseline_firstorder_tidy.csv: the columns case, baseline_id, feature, value); NAPARI_LESION_DATA names it too. Without
it only the IBSI phantom, which comes with the package, is compared.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from napari_lesion.core.table import Row
from napari_lesion.core.volume import LabelMap, Modality
from napari_lesion.io.masks import read_labels
from napari_lesion.io.read import read_volume
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.hull import ExtremeVertices, diameter_in_planes
from napari_lesion.measure.pyradiomics import FIRST_ORDER, SHAPE, SHIFT
from napari_lesion.workflow.ibsi import IbsiRow, check_ibsi

CONVERTED = {
    "MajorAxisLength": "times sqrt((N - 1)/N): its covariance divides by N",
    "MinorAxisLength": "times sqrt((N - 1)/N)",
    "LeastAxisLength": "times sqrt((N - 1)/N)",
    "Kurtosis": "plus 3: it is not excess kurtosis there",
    "Energy": "of values with 2000 added",
    "RootMeanSquared": "of values with 2000 added; from the energy",
    "TotalEnergy": "energy of values with 2000 added, times the voxel volume",
    "Maximum2DDiameterColumn": "no column here: our rule in coronal planes",
    "Maximum2DDiameterRow": "no column here: our rule in sagittal planes",
}
MESH = ("MeshVolume", "SurfaceArea", "SurfaceVolumeRatio", "Sphericity")


@dataclass(frozen=True)
class Compared:
    """One baseline value and ours in its convention."""

    case: str
    baseline: str
    feature: str
    theirs: float
    ours: float

    @property
    def difference(self) -> float:
        """Relative difference; absolute where theirs is 0."""
        return (self.ours - self.theirs) / (abs(self.theirs) or 1.0)


def compare_pyradiomics(folder: Path) -> Iterator[Compared]:
    """Every row of the baselines that is a feature."""
    rows = [*_rows(folder / "baseline_shape_tidy.csv"), *_rows(folder / "baseline_firstorder_tidy.csv")]
    for case in dict.fromkeys(row["case"] for row in rows):
        volume = read_volume(folder / f"{case}_image.nrrd", modality=Modality.CT)
        labels = read_labels(folder / f"{case}_label.nrrd")
        (row,) = measure_lesions(volume, labels, MeasureRequest(features=("all",))).rows.values()
        values = in_their_convention(row, labels)
        for found in rows:
            if found["case"] == case and found["feature"] in values:
                name = found["feature"]
                yield Compared(case, found["baseline_id"], name, float(found["value"]), values[name])


def _rows(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(10**8)
    with path.open(encoding="utf-8", newline="") as lines:
        return [row for row in csv.DictReader(lines) if not row["feature"].startswith("diagnostics")]


def in_their_convention(row: Row, labels: LabelMap) -> dict[str, float]:
    """Our columns under PyRadiomics' names."""
    values = {name: float(row[column]) for name, column in (SHAPE | FIRST_ORDER).items()}  # type: ignore[arg-type]
    n = int(row["n_voxels"])  # type: ignore[arg-type]
    for name in ("MajorAxisLength", "MinorAxisLength", "LeastAxisLength"):
        values[name] *= math.sqrt((n - 1) / n)
    values["Kurtosis"] += 3.0
    values["Energy"] += 2 * SHIFT * values["Mean"] * n + SHIFT**2 * n
    values["RootMeanSquared"] = math.sqrt(values["Energy"] / n)
    values["TotalEnergy"] = values["Energy"] * labels.grid.voxel_volume_mm3
    spacing = labels.grid.spacing_zyx
    for name, axis in (("Maximum2DDiameterColumn", 1), ("Maximum2DDiameterRow", 2)):
        turned = np.moveaxis(labels.array > 0, axis, 0)
        others = [spacing[k] for k in range(3) if k != axis]
        vertices = ExtremeVertices.of(turned)
        values[name] = diameter_in_planes(turned, vertices, (spacing[axis], others[0], others[1]))
    return values


def ibsi_table(rows: tuple[IbsiRow, ...]) -> str:
    """Every reference value of the phantom, Markdown."""
    lines = ["| column | IBSI | value | reference | tolerance | |", "|---|---|---|---|---|---|"]
    lines += [
        f"| `{row.column}` | {row.ibsi_id} | {row.value:.6g} | {row.reference} | {row.tolerance:g} | "
        f"{'pass' if row.passed else '**fail**'} |"
        for row in rows
    ]
    passed = sum(row.passed for row in rows)
    return "\n".join([f"{passed} of {len(rows)} values within the tolerance of IBSI.", "", *lines])


def pyradiomics_table(found: list[Compared]) -> str:
    """Relative difference of every feature and case, then of the rows that are no comparison, Markdown."""
    cases = list(dict.fromkeys(one.case for one in found))
    plain = {(one.feature, one.case): one.difference for one in found if one.baseline == one.case}
    lines = ["| feature | ours, in its convention | " + " | ".join(cases) + " |", "|---|---|" + "---|" * len(cases)]
    for feature in dict.fromkeys(one.feature for one in found):
        column = (SHAPE | FIRST_ORDER).get(feature)
        how = ", ".join(part for part in (f"`{column}`" if column else "", CONVERTED.get(feature, "")) if part)
        cells = [f"{plain[feature, case]:+.0e}" if (feature, case) in plain else "" for case in cases]
        lines.append(f"| {feature} | {how} | " + " | ".join(cells) + " |")
    lines += ["", "| left out | rows | median and largest difference of our values from them |", "|---|---|---|"]
    for baseline in dict.fromkeys(one.baseline for one in found if one.baseline != one.case):
        sizes = sorted(abs(one.difference) for one in found if one.baseline == baseline)
        lines.append(f"| {baseline} | {len(sizes)} | {np.median(sizes):.2g}, {sizes[-1]:.2g} |")
    return "\n".join(lines)


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("NAPARI_LESION_DATA"), help="see above")
    parser.add_argument("--markdown", action="store_true", help="print the tables of the docs")
    parser.add_argument("--only", choices=("ibsi", "pyradiomics"), help="one of the two")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    if arguments.only == "pyradiomics" and not arguments.data:
        parser.error("name the folder that holds reference/pyradiomics: --data FOLDER or NAPARI_LESION_DATA")
    ibsi = check_ibsi() if arguments.only != "pyradiomics" else ()
    found: list[Compared] = []
    if arguments.only != "ibsi" and arguments.data:
        found = list(compare_pyradiomics(Path(arguments.data) / "reference" / "pyradiomics"))
    if arguments.markdown:
        print("\n\n".join([ibsi_table(ibsi)] * bool(ibsi) + [pyradiomics_table(found)] * bool(found)))
    else:
        print(f"IBSI: {sum(row.passed for row in ibsi)} of {len(ibsi)} values within tolerance")
        for one in found:
            print(f"{one.baseline:22s} {one.feature:28s} {one.theirs:16.9g} {one.ours:16.9g} {one.difference:+.1e}")
    if arguments.json:
        document = {"ibsi": [asdict(row) for row in ibsi], "pyradiomics": [asdict(one) for one in found]}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
