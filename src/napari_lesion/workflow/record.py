"""What every run.json says: product, input, columns and versions; and how an export hides who it is of."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib import metadata
from typing import Any

from napari_lesion import __version__
from napari_lesion.core.findings import Check
from napari_lesion.core.table import Column, LesionTable, Row, Value
from napari_lesion.core.volume import Volume
from napari_lesion.io.records import pseudonymous_uid
from napari_lesion.workflow.study import now_utc

RUN_SCHEMA_VERSION = 1
DISCLAIMER = "Research use only. Not a medical device; not for diagnosis."
RECORDED_LIBRARIES = (
    "numpy",
    "scipy",
    "torch",
    "monai",
    "openvino",
    "SimpleITK",
    "nibabel",
    "napari",
    "connected-components-3d",
)
UID_COLUMNS = ("lesion_uid", "series_uid", "sop_instance_uid")
DATE_COLUMNS = ("series_date",)
PSEUDONYM_DIGITS = 12
COMMENT = "file_comment"


def product_record() -> dict[str, Any]:
    """Who wrote a record, in which version of its schema, and when."""
    return {
        "schema_version": RUN_SCHEMA_VERSION,
        "product": "napari-lesion",
        "version": __version__,
        "disclaimer": DISCLAIMER,
        "created": now_utc(),
    }


def input_record(volume: Volume, check: Check, *, pseudonymise: bool = False) -> dict[str, Any]:
    """The image: where it came from, its grid, and what the input check said."""
    source = volume.source
    record: dict[str, Any] = {
        "case": source.case,
        "modality": str(volume.modality),
        "modality_stated": source.modality_stated,
        "series_uid": source.series_uid,
        "series_date": source.series_date,
        "description": source.description,
        "path": str(source.path) if source.path else "",
        "grid": volume.grid.as_dict(),
        "check": check.as_dict(),
        "notes": list(source.notes),
    }
    if pseudonymise:
        record["series_uid"] = _hidden_uid(source.series_uid)
        record["path"] = record["description"] = record["series_date"] = ""
        record["case"] = pseudonymous_case(source.case)
        record["check"] = _without_comments(check).as_dict()
    return record


def column_record(column: Column) -> dict[str, str]:
    """Definition of one column."""
    return {
        "name": column.name,
        "unit": column.unit,
        "ucum": column.ucum,
        "definition": column.definition,
        "reference": column.reference,
        "code": column.code,
    }


def library_versions() -> dict[str, str]:
    """Versions of Python, the platform and the libraries that compute."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for name in RECORDED_LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def pseudonymous_case(case: str) -> str:
    """A name for a case that says nothing of it, and is the same whenever this user asks."""
    return f"case-{pseudonymous_uid(case)[-PSEUDONYM_DIGITS:]}"


def pseudonymous_table(table: LesionTable) -> LesionTable:
    """The table with UIDs and cases replaced by keyed hashes, and without dates of the study."""
    return replace(table, rows={label: _hidden(row) for label, row in table.rows.items()})


def _without_comments(check: Check) -> Check:
    """The findings without free text of the file."""
    found = (replace(f, message="The file has a comment") if f.code == COMMENT else f for f in check.findings)
    return Check(tuple(found))


def _hidden(row: Row) -> Row:
    hidden: dict[str, Value] = {name: _hidden_uid(str(row[name])) for name in UID_COLUMNS if name in row}
    hidden |= dict.fromkeys((name for name in DATE_COLUMNS if name in row), "")
    if "case" in row:
        hidden["case"] = pseudonymous_case(str(row["case"]))
    return {**row, **hidden}


def _hidden_uid(uid: str) -> str:
    return pseudonymous_uid(uid) if uid else ""
