"""Detect over many inputs: one folder of results a case; one bad input does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_lesion.core.errors import LesionError
from napari_lesion.core.findings import Level
from napari_lesion.core.jobs import JobCancelled, JobContext
from napari_lesion.core.volume import Modality
from napari_lesion.io.series import case_name
from napari_lesion.workflow.detect import detect_lesions, install_detection, request_for
from napari_lesion.workflow.export import ExportRequest, ExportResult, export_study, make_folder
from napari_lesion.workflow.fit import check_fit
from napari_lesion.workflow.models import BundleInfo
from napari_lesion.workflow.open_study import OpenRequest, open_study
from napari_lesion.workflow.parameters import DetectParameters, ExportParameters, OpenParameters

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CohortRequest:
    """What to detect in which inputs.

    Parameters
    ----------
    inputs
        Image files, DICOM files and DICOM folders.
    out
        Folder that gets one folder a case.
    model
        The bundle to run.
    opening, parameters, export
        Choices of the user.
    """

    inputs: Sequence[Path]
    out: Path
    model: BundleInfo
    opening: OpenParameters = field(default_factory=OpenParameters)
    parameters: DetectParameters = field(default_factory=DetectParameters)
    export: ExportParameters = field(default_factory=ExportParameters)


@dataclass(frozen=True)
class CaseResult:
    """What became of one input: an export with its warnings, or an error."""

    case: str
    path: Path
    export: ExportResult | None = None
    warnings: tuple[str, ...] = ()
    error: LesionError | None = None


def detect_cases(request: CohortRequest, context_of: Callable[[str, int, int], JobContext]) -> Iterable[CaseResult]:
    """Detect in each input and write ``out/<case>/``; yields a result as soon as it is there.

    Parameters
    ----------
    request
        What to do.
    context_of
        Gives the `JobContext` of a case, from its name, its position (from 0) and the number of cases.

    Raises
    ------
    LesionError
        When further images are given with several inputs.
    OutputError
        When the output folder cannot be made: no case could be written then.
    """
    if request.opening.further and len(request.inputs) > 1:
        raise LesionError(
            "--also belongs to one input", f"{len(request.inputs)} are given", "Run the command once for each study"
        )
    make_folder(request.out)
    names = unique_names([case_name(path) for path in request.inputs])
    for position, (path, case) in enumerate(zip(request.inputs, names, strict=True)):
        ctx = context_of(case, position, len(names))
        try:
            yield _run_case(request, path, case, ctx)
        except LesionError as error:
            yield CaseResult(case, path, error=error)
        except JobCancelled:
            raise
        except Exception as error:  # a fault of ours in one study of two hundred must not cost the others
            log.exception("%s", path)
            yield CaseResult(case, path, error=_fault(error))


def unique_names(names: Iterable[str]) -> list[str]:
    """Names of which none comes twice: the second ``ct`` becomes ``ct-2``, the third ``ct-3``."""
    taken: set[str] = set()
    unique = []
    for name in names:
        candidate, number = name, 2
        while candidate.casefold() in taken:
            candidate, number = f"{name}-{number}", number + 1
        taken.add(candidate.casefold())
        unique.append(candidate)
    return unique


def _fault(error: Exception) -> LesionError:
    reason = str(error).splitlines()[0] if str(error) else ""
    return LesionError(
        "The program failed on this study",
        f"{type(error).__name__}: {reason}",
        "Report it with the lines above; it is a fault of the program",
    )


def _run_case(request: CohortRequest, path: Path, case: str, ctx: JobContext) -> CaseResult:
    chosen = request.opening
    modality = Modality(chosen.modality) if chosen.modality else None
    study = open_study(OpenRequest(path, modality=modality, resample_sheared=chosen.resample_sheared), ctx)
    fit = check_fit(study.volume, request.model, request.parameters, ctx)
    warnings = [f.message for check in (study.check, fit.check) for f in check.findings if f.level == Level.YELLOW]
    others = tuple(open_study(OpenRequest(other), ctx).volume for other in chosen.further)
    detection = detect_lesions(request_for(study, request.model, request.parameters, others), ctx)
    install_detection(study, detection)
    exported = export_study(ExportRequest(study, request.out / case, request.export), ctx)
    return CaseResult(case, path, exported, (*warnings, *detection.notes))
