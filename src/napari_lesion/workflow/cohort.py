"""Detect over many inputs: one folder of results a case; one bad input does not stop the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_lesion.core.errors import LesionError
from napari_lesion.io.series import case_name
from napari_lesion.measure.registry import select
from napari_lesion.workflow.cohort_case import CaseResult, CaseTask
from napari_lesion.workflow.cohort_cluster import run_on_cluster
from napari_lesion.workflow.cohort_pipeline import ContextOf, run_here
from napari_lesion.workflow.cohort_tables import CohortTables
from napari_lesion.workflow.export import make_folder
from napari_lesion.workflow.models import BundleInfo
from napari_lesion.workflow.parameters import CohortParameters, DetectParameters, ExportParameters

__all__ = ["CaseResult", "CohortRequest", "detect_cases", "plan_cases", "unique_names"]


@dataclass(frozen=True)
class CohortRequest:
    """What to detect in which inputs.

    Parameters
    ----------
    inputs
        Image files, DICOM files and DICOM folders.
    out
        Folder that gets one folder a case, and the tables of all.
    model
        The bundle to run.
    opening, parameters, export
        Choices of the user.
    """

    inputs: Sequence[Path]
    out: Path
    model: BundleInfo
    opening: CohortParameters = field(default_factory=CohortParameters)
    parameters: DetectParameters = field(default_factory=DetectParameters)
    export: ExportParameters = field(default_factory=ExportParameters)


def detect_cases(request: CohortRequest, context_of: ContextOf) -> Iterator[CaseResult]:
    """Detect in each input and write ``out/<case>/``; yields a result as soon as it is there.

    A case whose results are there already, from the same input, model and choices, is not done again. The tables of
    the cohort are written after every case.

    Parameters
    ----------
    request
        What to do.
    context_of
        Gives the `JobContext` of a case, from its name, its position (from 0) and the number of cases.

    Raises
    ------
    LesionError
        When further images are given with several inputs, or the scheduler does not answer.
    OutputError
        When the output folder cannot be made or the tables not be written.
    JobCancelled
        When a job was asked to stop; the cases that are done stay done.
    """
    tasks = plan_cases(request)
    make_folder(request.out)
    if request.opening.scheduler:
        found = run_on_cluster(tasks, request.opening.scheduler, context_of("Cohort", 0, len(tasks)))
    else:
        found = run_here(tasks, context_of)
    tables = CohortTables(request.out, pseudonymise=request.export.pseudonymise)
    for result in found:
        if len(tasks) > 1:
            tables.add(result)
        yield result


def plan_cases(request: CohortRequest) -> list[CaseTask]:
    """One task an input, with a name and a folder of its own.

    Raises
    ------
    LesionError
        When further images are given with several inputs, or a measure is unknown.
    """
    select(request.export.names)
    if request.opening.further and len(request.inputs) > 1:
        raise LesionError(
            "--also belongs to one input", f"{len(request.inputs)} are given", "Run the command once for each study"
        )
    names = unique_names([case_name(path) for path in request.inputs])
    out = request.out.absolute()
    return [
        CaseTask(
            case, path.absolute(), out / case, request.model, request.opening, request.parameters, request.export
        )
        for path, case in zip(request.inputs, names, strict=True)
    ]


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
