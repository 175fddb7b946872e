"""The digital phantom of IBSI, measured with this engine, beside the reference values of the standard."""

from __future__ import annotations

import csv
import math
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from napari_lesion.core.errors import InputError
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.table import Row, Value
from napari_lesion.core.volume import Modality
from napari_lesion.io.masks import read_labels
from napari_lesion.io.read import read_volume
from napari_lesion.io.records import write_json
from napari_lesion.measure.engine import MeasureRequest, MeasureSettings, measure_lesions
from napari_lesion.measure.registry import ALL
from napari_lesion.workflow.record import library_versions, product_record

SETTINGS = MeasureSettings(bin_width=1.0, cv_guard_hu=0.0)
"""What the reference values were computed with: one bin a grey level. The phantom has no unit, so that its mean near
0 HU says nothing against its coefficient of variation."""


@dataclass(frozen=True)
class IbsiRow:
    """One reference value and ours.

    Parameters
    ----------
    column
        Our column.
    ibsi_id, name
        Identifier and name in the IBSI reference manual.
    value
        What this engine computes; NaN when the column is missing or empty.
    reference
        The reference value, as printed there.
    tolerance
        Tolerance of the standard, or half a unit of the last printed digit where that is larger.
    consensus
        How well the teams of IBSI agreed.
    """

    column: str
    ibsi_id: str
    name: str
    value: float
    reference: str
    tolerance: float
    consensus: str

    @property
    def passed(self) -> bool:
        """Whether our value lies within the tolerance; round-off of the subtraction is allowed for."""
        return abs(self.value - float(self.reference)) <= self.tolerance * (1 + 1e-9)


def check_ibsi(ctx: JobContext | None = None) -> tuple[IbsiRow, ...]:
    """Measure the phantom and compare every value that IBSI gives for it, texture left out.

    Raises
    ------
    InputError
        When the phantom or its values are missing from this installation.
    """
    ctx = ctx or JobContext()
    folder = _folder()
    ctx.step("Measuring the phantom")
    volume = read_volume(folder / "phantom.nii.gz", modality=Modality.CT, ctx=ctx)
    labels = read_labels(folder / "mask.nii.gz")
    request = MeasureRequest(features=(ALL,), settings=SETTINGS)
    (row,) = measure_lesions(volume, labels, request, ctx).rows.values()
    return tuple(_compared(reference, row) for reference in reference_values())


@cache
def reference_values() -> tuple[dict[str, str], ...]:
    """Rows of ``resources/ibsi/values.csv``: column, IBSI id, name, value, tolerance, consensus."""
    path = _folder() / "values.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        return tuple(csv.DictReader(lines))


def write_ibsi(path: Path, rows: tuple[IbsiRow, ...]) -> None:
    """Write the comparison as JSON, with the settings and versions that it was made with."""
    record: dict[str, Any] = {
        **product_record(),
        "command": "doctor --ibsi",
        "settings": asdict(SETTINGS),
        "passed": sum(row.passed for row in rows),
        "failed": sum(not row.passed for row in rows),
        "rows": [{**asdict(row), "passed": row.passed} for row in rows],
        "versions": library_versions(),
    }
    write_json(path, record)


def _folder() -> Path:
    folder = Path(str(files("napari_lesion").joinpath("resources", "ibsi")))
    if not (folder / "values.csv").is_file():
        raise InputError("The IBSI phantom is missing", f"{folder} does not hold it", "Install napari-lesion again")
    return folder


def _compared(reference: dict[str, str], row: Row) -> IbsiRow:
    printed = Decimal(reference["value"])
    half_digit = Decimal(5).scaleb(int(printed.as_tuple().exponent) - 1)
    return IbsiRow(
        column=reference["column"],
        ibsi_id=reference["ibsi_id"],
        name=reference["name"],
        value=_number(row.get(reference["column"])),
        reference=reference["value"],
        tolerance=float(max(Decimal(reference["tolerance"]), half_digit)),
        consensus=reference["consensus"],
    )


def _number(value: Value) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
