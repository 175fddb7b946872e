"""Measure masks that came from anywhere, on their image: files in, one table and its record out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_lesion.core.errors import InputError, OutputError
from napari_lesion.core.findings import Level
from napari_lesion.core.grid import Grid, require_same_grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.surroundings import Surroundings
from napari_lesion.core.table import Column, LesionTable, Row
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.io.masks import read_labels
from napari_lesion.io.patient import pseudonym_of_patient
from napari_lesion.io.records import write_json
from napari_lesion.io.tables import write_table
from napari_lesion.measure.components import split_components
from napari_lesion.measure.engine import MeasureRequest, MeasureSettings, measure_lesions
from napari_lesion.measure.rating import RATING
from napari_lesion.measure.registry import select
from napari_lesion.measure.spec import Scale, scale_of
from napari_lesion.workflow.claims import Claims
from napari_lesion.workflow.classify import classifier_record, rate_lesions
from napari_lesion.workflow.export import make_folder
from napari_lesion.workflow.open_study import OpenRequest, open_study
from napari_lesion.workflow.parameters import MeasureParameters
from napari_lesion.workflow.record import (
    column_record,
    input_record,
    library_versions,
    product_record,
    pseudonymous_table,
)
from napari_lesion.workflow.study import Study
from napari_lesion.workflow.surroundings import LUNG, StatedSurroundings, read_surroundings

RECORD_SUFFIX = ".run.json"
MASK_COLUMNS = (
    Column("mask", "Mask", definition="File of the mask that holds the lesion; only where several were given."),
    Column("mask_label", "Label in the mask", ucum="1", definition="Value of the lesion in that file.", decimals=0),
)


@dataclass(frozen=True)
class MeasureFilesRequest:
    """What to measure.

    Parameters
    ----------
    image
        Image file or DICOM folder.
    masks
        Label maps on the grid of the image; every value but 0 is one lesion. The labels of the first one stay; those
        of a later one are raised by the highest number of the masks before it.
    out
        The table to write; its record goes beside it, as ``<stem>.run.json``.
    parameters
        Choices of the user.
    """

    image: Path
    masks: tuple[Path, ...]
    out: Path
    parameters: MeasureParameters = field(default_factory=MeasureParameters)

    @property
    def settings(self) -> MeasureSettings:
        """Choices that the definitions leave open."""
        width = self.parameters.bin_width
        return MeasureSettings() if width is None else MeasureSettings(bin_width=width)

    @property
    def record(self) -> Path:
        """The record beside the table."""
        return self.out.with_name(f"{self.out.stem}{RECORD_SUFFIX}")


@dataclass(frozen=True)
class MeasuredFiles:
    """What was measured, and what the user should know about it."""

    table: LesionTable
    warnings: tuple[str, ...] = ()


def measure_files(request: MeasureFilesRequest, ctx: JobContext | None = None) -> MeasuredFiles:
    """Read all files, measure every lesion, and write table and record (header only when nothing is marked).

    Raises
    ------
    InputError
        When a file cannot be read, or a mask lies on another grid than the image.
    LesionError
        When a measure is unknown, or a choice makes no sense.
    OutputError
        When the table cannot be written there.
    """
    ctx = ctx or JobContext()
    _check(request)
    stated = request.parameters.modality
    study = open_study(OpenRequest(request.image, modality=Modality(stated) if stated else None), ctx)
    volume = _of_patient(study.volume, request.parameters.patient)
    claims = _read_masks(request, volume.grid, ctx)
    stated_around = StatedSurroundings(request.parameters.organ, request.parameters.lobes)
    surroundings, notes = read_surroundings(volume, stated_around, ctx)
    table = _measure(request, volume, claims, surroundings, ctx)
    shown = pseudonymous_table(table) if request.parameters.pseudonymise else table
    make_folder(request.out.parent)
    write_table(request.out, shown)
    write_json(request.record, _record(request, replace(study, volume=volume), shown))
    return MeasuredFiles(table, (*_warnings(request, study, table), *notes))


def _check(request: MeasureFilesRequest) -> None:
    """Refuse what can be seen without reading a voxel."""
    select(request.parameters.names)
    if request.out.suffix.lower() != ".csv":
        raise OutputError(f"{request.out.name} was not written", "a table ends in .csv", "Choose a name with .csv")
    known = [path.resolve() for path in request.masks]
    for place, path in enumerate(known):
        if path in known[:place]:
            raise InputError(f"The mask {path.name} is given twice", "", "Give each mask once")


def _of_patient(volume: Volume, word: str) -> Volume:
    if not word.strip():
        return volume
    headers = {**volume.source.headers, "patient": pseudonym_of_patient(word.strip())}
    return replace(volume, source=replace(volume.source, headers=headers))


def _read_masks(request: MeasureFilesRequest, grid: Grid, ctx: JobContext) -> Claims:
    # the same grid up to rounding in the header: places are reported through the image's
    claims = Claims(grid)
    for path in ctx.track(request.masks, "Reading the mask", len(request.masks)):
        labels = read_labels(path)
        require_same_grid(grid, labels.grid, f"The mask {path.name}")
        claims.add(split_components(labels) if request.parameters.components else labels)
    return claims


def _measure(
    request: MeasureFilesRequest, volume: Volume, claims: Claims, surroundings: Surroundings, ctx: JobContext
) -> LesionTable:
    table = LesionTable()
    asked = any(spec in RATING for spec in select(request.parameters.names))
    for mask in claims.masks:
        wanted = MeasureRequest(
            lesions={label: Lesion(label, Status.MANUAL) for label in mask.boxes},
            features=request.parameters.names,
            only=frozenset(mask.boxes),
            boxes=mask.boxes,
            settings=request.settings,
            overlapping=claims.overlapping,
            surroundings=surroundings,
        )
        with claims.shown(mask) as labels:
            if asked:
                wanted = replace(wanted, ratings=rate_lesions(volume, labels, mask.boxes, ctx))
            table = table.updated(measure_lesions(volume, labels, wanted, ctx))
    return _with_masks(request, table, claims) if len(claims.masks) > 1 else table


def _with_masks(request: MeasureFilesRequest, table: LesionTable, claims: Claims) -> LesionTable:
    """The table with the file of each lesion, behind the decision of the reader."""
    rows: dict[int, Row] = {}
    for mask, name in zip(claims.masks, _mask_names(request), strict=True):
        for label in mask.boxes:
            rows[label] = {**table.rows[label], "mask": name, "mask_label": label - mask.first}
    place = table.names.index("review") + 1
    return LesionTable((*table.columns[:place], *MASK_COLUMNS, *table.columns[place:]), rows)


def _mask_names(request: MeasureFilesRequest) -> list[str]:
    """Names of the mask files; with their folders where two have one name, numbers where names are hidden."""
    if request.parameters.pseudonymise:
        return [f"mask {number}" for number in range(1, len(request.masks) + 1)]
    names = [path.name for path in request.masks]
    return names if len(set(names)) == len(names) else [str(path) for path in request.masks]


def _warnings(request: MeasureFilesRequest, study: Study, table: LesionTable) -> list[str]:
    found = [finding.message for finding in study.check.findings if finding.level == Level.YELLOW]
    if request.parameters.bin_width is not None and scale_of(study.volume) is not Scale.HU:
        found.append("The bin width was not used: the values are not HU, and are binned into a fixed number of bins")
    if not table.rows:
        found.append("No voxel is marked: the table has a header only")
    return found


def _record(request: MeasureFilesRequest, study: Study, table: LesionTable) -> Mapping[str, Any]:
    """Everything that is needed to measure the same again."""
    return {
        **product_record(),
        "command": "measure",
        "input": input_record(study.volume, study.check, pseudonymise=request.parameters.pseudonymise),
        "masks": _mask_names(request) if request.parameters.pseudonymise else [str(path) for path in request.masks],
        "parameters": _parameters(request.parameters),
        "settings": asdict(request.settings),
        "classifier": classifier_record(table.columns),
        "lesions": {"count": len(table.rows)},
        "files": [request.out.name, request.record.name],
        "columns": [column_record(column) for column in table.columns],
        "versions": library_versions(),
    }


def _parameters(parameters: MeasureParameters) -> dict[str, Any]:
    """Choices of the user; a word for the patient is theirs to keep, and paths go where names are hidden."""
    hidden = {"patient": "given" if parameters.patient.strip() else ""}
    if parameters.pseudonymise:
        for name in ("organ", "lobes"):
            path = getattr(parameters, name)
            hidden[name] = "given" if path not in ("", LUNG) else path
    return {**asdict(parameters), **hidden}
