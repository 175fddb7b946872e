"""One case of a cohort: read, detect, write; done once, and known to be done by the record that is written last."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from napari_lesion import __version__
from napari_lesion.core.errors import LesionError, ModelError
from napari_lesion.core.findings import Level
from napari_lesion.core.jobs import JobCancelled, JobContext
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.io.records import read_json, write_json
from napari_lesion.workflow.channels import Images
from napari_lesion.workflow.detect import Detection, detect_lesions, install_detection, request_for
from napari_lesion.workflow.export import ExportRequest, export_study
from napari_lesion.workflow.fit import check_fit
from napari_lesion.workflow.measure import CORE, StudyMeasurement
from napari_lesion.workflow.models import CLASS_SCORES, BundleInfo, find_model
from napari_lesion.workflow.open_study import OpenRequest, open_study
from napari_lesion.workflow.parameters import CohortParameters, DetectParameters, ExportParameters
from napari_lesion.workflow.study import Study

log = logging.getLogger(__name__)
T = TypeVar("T")

RECORD: Final = "case.json"
SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class CaseTask:
    """What to do with one input; plain enough to be sent to another machine.

    Parameters
    ----------
    case
        Name of the case and of its folder.
    path
        Image file or DICOM folder.
    folder
        Where the results go.
    model
        The bundle to run.
    opening, parameters, export
        Choices of the user.
    """

    case: str
    path: Path
    folder: Path
    model: BundleInfo
    opening: CohortParameters
    parameters: DetectParameters
    export: ExportParameters

    def fingerprint(self) -> str:
        """Hash of the input's files, the model and all choices: the same only when the results would be the same."""
        files = [self.path, *self.opening.further]
        scores = self.opening.score_with
        stated = {
            "version": __version__,
            "files": [_state_of(path) for path in files],
            "model": self.model.identity,
            "scores": find_model(scores).identity if scores else "",
            "choices": [asdict(replace(self.opening, scheduler="")), asdict(self.parameters), asdict(self.export)],
        }
        return hashlib.sha256(json.dumps(stated, sort_keys=True, default=str).encode()).hexdigest()


def _state_of(path: Path) -> list[tuple[int, int]]:
    """Size and time of change of every file of an input, without its name."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    states = [file.stat() for file in files if file.is_file()]
    return [(state.st_size, state.st_mtime_ns) for state in states]


@dataclass(frozen=True)
class CaseResult:
    """What became of one input.

    Parameters
    ----------
    case, path
        Name and input.
    folder
        Results; None after an error.
    lesions
        Number of lesions.
    warnings
        Sentences for the user.
    error
        Why there are no results.
    seconds
        Wall time of reading, detection and writing; 0 when it was done before.
    resumed
        Whether the results of an earlier run were found and kept.
    """

    case: str
    path: Path
    folder: Path | None = None
    lesions: int = 0
    warnings: tuple[str, ...] = ()
    error: LesionError | None = None
    seconds: float = 0.0
    resumed: bool = False


@dataclass(frozen=True, eq=False)
class ReadCase:
    """A case that was read and is ready for the model."""

    task: CaseTask
    study: Study
    others: tuple[Volume, ...]
    warnings: tuple[str, ...]
    began: float


def finished(task: CaseTask) -> CaseResult | None:
    """Result of an earlier run with the same input, model and choices; None when there is none."""
    try:
        record = read_json(task.folder / RECORD)
        same = record.get("fingerprint") == task.fingerprint()
    except (LesionError, OSError):
        return None
    if not same or not (task.folder / "lesions.csv").is_file() or not (task.folder / "run.json").is_file():
        return None
    warnings = tuple(str(text) for text in record.get("warnings", ()))
    return CaseResult(task.case, task.path, task.folder, int(record.get("lesions", 0)), warnings, resumed=True)


def read_case(task: CaseTask, ctx: JobContext | None = None) -> ReadCase:
    """Read the input and look whether it suits the model; the search region is found on the way."""
    began = time.perf_counter()
    chosen = task.opening
    modality = Modality(chosen.modality) if chosen.modality else None
    study = open_study(OpenRequest(task.path, modality=modality, resample_sheared=chosen.resample_sheared), ctx)
    others = tuple(open_study(OpenRequest(other), ctx).volume for other in chosen.further)
    fit = check_fit(study.volume, task.model, task.parameters, ctx)
    checks = (study.check, fit.check)
    warnings = tuple(f.message for check in checks for f in check.findings if f.level == Level.YELLOW)
    return ReadCase(task, study, others, warnings, began)


def detect_case(read: ReadCase, ctx: JobContext | None = None) -> Detection:
    """Run the model on a case and put the marks into its study."""
    images = Images((read.study.volume, *read.others))
    detection = detect_lesions(request_for(read.study, read.task.model, read.task.parameters, images), ctx)
    install_detection(read.study, detection)
    if read.task.opening.score_with:
        classifier = _classifier(read.task)
        install_detection(read.study, detect_lesions(request_for(read.study, classifier, read.task.parameters), ctx))
    return detection


def _classifier(task: CaseTask) -> BundleInfo:
    """The model that scores the lesions of a case; ModelError when it is none."""
    found = find_model(task.opening.score_with)
    if found.task != CLASS_SCORES:
        raise ModelError(
            f"The model {found.name} scores no lesions", f"its task is {found.task}", "Give a classifier"
        )
    return found


def write_case(read: ReadCase, detection: Detection, ctx: JobContext | None = None) -> CaseResult:
    """Write the results, and last of all the record that says so."""
    task = read.task
    (task.folder / RECORD).unlink(missing_ok=True)
    exported = export_study(ExportRequest(read.study, task.folder, task.export, _measured(read)), ctx)
    warnings = (*read.warnings, *detection.notes)
    seconds = time.perf_counter() - read.began
    record = {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": task.fingerprint(),
        "lesions": exported.lesions,
        # a warning may quote a comment of the file
        "warnings": [] if task.export.pseudonymise else list(warnings),
        "seconds": round(seconds, 3),
    }
    write_json(task.folder / RECORD, record)
    return CaseResult(task.case, task.path, task.folder, exported.lesions, warnings, seconds=seconds)


def _measured(read: ReadCase) -> StudyMeasurement | None:
    """What the detection measured, when that is what the export asks for: nobody edits a case of a cohort."""
    if read.task.export.names != (CORE,):
        return None
    return StudyMeasurement(read.study.table, None, read.study.revision)


def run_case(task: CaseTask, ctx: JobContext | None = None) -> CaseResult:
    """Do one case from input to record; what goes wrong is part of the result.

    Raises
    ------
    JobCancelled
        When the job was asked to stop.
    """
    done = finished(task)
    if done is not None:
        return done

    def whole() -> CaseResult:
        read = read_case(task, ctx)
        return write_case(read, detect_case(read, ctx), ctx)

    return attempt(task, whole)


def attempt(task: CaseTask, step: Callable[[], T]) -> T | CaseResult:
    """Result of a step of a case, or that of a case that went wrong.

    Raises
    ------
    JobCancelled
        When the job was asked to stop.
    """
    try:
        return step()
    except (LesionError, JobCancelled) as error:
        return failed(task, error)
    except Exception as error:  # a fault in one study of two hundred must not cost the others
        log.exception("%s", task.path)
        return failed(task, error)


def failed(task: CaseTask, error: BaseException) -> CaseResult:
    """Result of a case that went wrong; a cancel is raised again."""
    if isinstance(error, JobCancelled):
        raise error
    if not isinstance(error, LesionError):
        reason = str(error).splitlines()[0] if str(error) else ""
        error = LesionError(
            "The program failed on this study",
            f"{type(error).__name__}: {reason}",
            "Report it with the lines above; it is a fault of the program",
        )
    return CaseResult(task.case, task.path, error=error)
