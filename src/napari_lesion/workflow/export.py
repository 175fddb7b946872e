"""Write what was found: lesions.csv, the mask, and run.json with definitions and provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_lesion.core.errors import OutputError
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.table import Column
from napari_lesion.core.volume import LabelMap
from napari_lesion.io.masks import verify_labels, write_labels
from napari_lesion.io.records import write_json
from napari_lesion.io.tables import write_table
from napari_lesion.workflow.classify import classifier_record
from napari_lesion.workflow.measure import StudyMeasurement, install_measurement, measure_study, request_for
from napari_lesion.workflow.parameters import MASK_FORMATS as MASK_FORMATS
from napari_lesion.workflow.parameters import ExportParameters as ExportParameters
from napari_lesion.workflow.record import (
    column_record,
    input_record,
    library_versions,
    product_record,
    pseudonymous_table,
)
from napari_lesion.workflow.scores import score_records, with_scores
from napari_lesion.workflow.study import Study


@dataclass(frozen=True, eq=False)
class ExportRequest:
    """What to export and where to.

    Parameters
    ----------
    study
        The study; it must not be edited while the job runs.
    folder
        Made when it is missing.
    parameters
        Choices of the user.
    measured
        The wanted measures of all lesions as they are now, where the caller has them; measured anew when None.
    """

    study: Study
    folder: Path
    parameters: ExportParameters = field(default_factory=ExportParameters)
    measured: StudyMeasurement | None = None


@dataclass(frozen=True)
class ExportResult:
    """What was written.

    Parameters
    ----------
    folder, files
        Where, and the files.
    lesions, checked
        Number of lesions, and of those whose centroid was found again in the written mask.
    measurement
        The measurements that were written, and the revision of the study that the files hold.
    """

    folder: Path
    files: tuple[Path, ...]
    lesions: int
    checked: int
    measurement: StudyMeasurement

    @property
    def sentence(self) -> str:
        """One line for the dock."""
        if not self.lesions:
            return "Exported: no lesions; an empty table and mask were written"
        return f"Exported and checked: {self.checked} of {self.lesions} lesions on their place"


def export_study(request: ExportRequest, ctx: JobContext | None = None) -> ExportResult:
    """Write lesions.csv, mask and run.json of one study; each file atomically, the mask read back and compared.

    The study itself is not changed: `install_export` does that, on the thread that owns it.

    Raises
    ------
    OutputError
        When a file cannot be written, or the mask read back puts a lesion elsewhere; nothing wrong is kept.
    """
    ctx = ctx or JobContext()
    study, parameters = request.study, request.parameters
    make_folder(request.folder)
    ctx.step("Measuring")
    measurement = request.measured or measure_study(replace(request_for(study), features=parameters.names))
    measured = with_scores(measurement.table.ordered(study.lesions), study)
    if parameters.pseudonymise:
        measured = pseudonymous_table(measured)
    ctx.step("Writing the mask")
    mask = request.folder / f"mask{parameters.mask_format}"
    labels = _smallest(study.labels)
    write_labels(mask, labels, study.volume.source)
    ctx.step("Reading the mask back")
    checked = verify_labels(mask, labels)
    ctx.step("Writing the table")
    table = request.folder / "lesions.csv"
    write_table(table, measured)
    files = [table, mask]
    if parameters.save_probability and study.detection is not None:
        files.append(_write_probability(request))
    run = request.folder / "run.json"
    write_json(run, run_record(study, parameters, measured.columns, files))
    files.append(run)
    return ExportResult(request.folder, tuple(files), len(measured.rows), checked, measurement)


def install_export(study: Study, result: ExportResult) -> None:
    """Note in a study that it was exported, and take over the rows that were measured for it."""
    if result.measurement.revision == study.revision:
        install_measurement(study, result.measurement)
    study.exported_revision = result.measurement.revision


def run_record(
    study: Study, parameters: ExportParameters, columns: Sequence[Column], files: Sequence[Path]
) -> dict[str, Any]:
    """Provenance of an export: input, model, parameters, versions, edits, and the definition of each column."""
    return {
        **product_record(),
        "input": input_record(study.volume, study.check, pseudonymise=parameters.pseudonymise),
        "detection": _detection(study),
        "classifier": classifier_record(columns),
        "scores": score_records(study.scores),
        "lesions": {
            "count": len(study.lesions),
            "edited": study.edited_labels,
            "reviewed": {str(label): str(lesion.review) for label, lesion in study.lesions.items() if lesion.review},
        },
        "edits": [record.as_dict() for record in study.log],
        "files": [path.name for path in files],
        "columns": [column_record(column) for column in columns],
        "versions": library_versions(),
    }


def _detection(study: Study) -> dict[str, Any] | None:
    found = study.detection
    if found is None:
        return None
    return {
        "model": {"name": found.model.name, "version": found.model.version, "sha256": found.model.weights_sha256},
        "parameters": asdict(found.parameters),
        "threshold": study.threshold,
        "min_volume_mm3": study.min_volume_mm3,
        "device": found.device,
        "backend": found.backend,
        "precision": found.precision,
        "windows": found.windows,
        "organ": found.organ,
        "notes": list(found.notes),
        "seconds": {stage: round(seconds, 3) for stage, seconds in found.seconds.items()},
    }


def _smallest(labels: LabelMap) -> LabelMap:
    """Labels in the smallest unsigned type that holds them."""
    highest = int(labels.array.max(initial=0))
    dtype = np.uint8 if highest < 2**8 else np.uint16 if highest < 2**16 else np.uint32
    return LabelMap(labels.array.astype(dtype), labels.grid)


def _write_probability(request: ExportRequest) -> Path:
    """Write the stored probability, uint8 0 to 250 = 0 to 1, on the grid of the image."""
    study = request.study
    assert study.detection is not None
    path = request.folder / f"probability{request.parameters.mask_format}"
    write_labels(path, LabelMap(study.detection.probability.dense(), study.volume.grid), study.volume.source)
    return path


def make_folder(folder: Path) -> None:
    """Make a folder for results, with those above it; `OutputError` when that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be made", error.strerror or str(error), "Choose another folder"
        ) from error
