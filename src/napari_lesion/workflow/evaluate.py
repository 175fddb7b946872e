"""Evaluate a model on a datalist: every figure with its interval, a table of cases, and a page to look at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from napari_lesion.core.errors import InputError, LesionError
from napari_lesion.core.jobs import JobCancelled, JobContext
from napari_lesion.evaluation.classes import ClassSummary, summarise_classes
from napari_lesion.evaluation.summary import Summary, summarise
from napari_lesion.io.datalist import BARE, Datalist, DatalistCase, read_datalist
from napari_lesion.models.classifier import ClassifierInfo
from napari_lesion.models.training_data import read_training_data
from napari_lesion.workflow.cohort import unique_names
from napari_lesion.workflow.evaluate_case import CaseSettings, EvaluatedCase, evaluate_case
from napari_lesion.workflow.models import BundleInfo
from napari_lesion.workflow.parameters import DetectParameters, EvaluateParameters

log = logging.getLogger(__name__)

ContextOf = Callable[[str, int, int], JobContext]
IN_IMAGE = "lesion in the image"
"""Question that a detector answers where labels are numbers."""
ORDER = ("testing", "test", "validation", "training")
"""Sections in the order in which they are looked for."""


@dataclass(frozen=True)
class EvaluateRequest:
    """What to evaluate on what.

    Parameters
    ----------
    model
        The bundle: a detector, or a classifier of lesions.
    datalist
        Datalist in MONAI's format.
    choices, parameters
        Choices of the evaluation, and those of the detection.
    """

    model: BundleInfo | ClassifierInfo
    datalist: Path
    choices: EvaluateParameters = field(default_factory=EvaluateParameters)
    parameters: DetectParameters = field(default_factory=DetectParameters)

    @property
    def threshold(self) -> float:
        """Operating point: that of the user, or of the model; one half for a classifier."""
        stated = self.parameters.threshold
        if stated is not None:
            return stated
        return self.model.default_threshold if isinstance(self.model, BundleInfo) else 0.5

    @property
    def detector(self) -> BundleInfo:
        """The bundle that detects."""
        assert isinstance(self.model, BundleInfo)
        return self.model


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Parameters
    ----------
    request
        What was asked.
    cases
        Every case in the order of the datalist, also those that failed.
    outlines, classes
        Figures against label maps, or against classes by question; None or empty for the other one.
    warnings
        Sentences for the user: leaks, empty masks, patients that are not known.
    """

    request: EvaluateRequest
    cases: tuple[EvaluatedCase, ...]
    outlines: Summary | None
    classes: dict[str, ClassSummary]
    warnings: tuple[str, ...]

    @property
    def failed(self) -> tuple[EvaluatedCase, ...]:
        """Cases without figures."""
        return tuple(case for case in self.cases if case.error is not None)


def evaluate_cases(request: EvaluateRequest, context_of: ContextOf) -> Iterator[EvaluatedCase]:
    """Evaluate each case of the datalist; yields a result as soon as it is there.

    A case that cannot be used does not stop the others.

    Parameters
    ----------
    request
        What to do.
    context_of
        Gives the `JobContext` of a case, from its name, its position (from 0) and the number of cases.

    Raises
    ------
    LesionError
        When the datalist cannot be used, or the model's list of training data is garbled.
    JobCancelled
        When a job was asked to stop.
    """
    datalist = read_datalist(request.datalist)
    cases = chosen_cases(datalist, request.choices)
    _require_labels(datalist, cases)
    model = request.detector
    settings = CaseSettings(model, request.choices, request.parameters, read_training_data(model))
    for position, (name, case) in enumerate(zip(unique_names(c.name for c in cases), cases, strict=True)):
        yield _attempt(name, case, settings, context_of(name, position, len(cases)))


def _attempt(name: str, case: DatalistCase, settings: CaseSettings, ctx: JobContext) -> EvaluatedCase:
    try:
        return evaluate_case(name, case, settings, ctx)
    except JobCancelled:
        raise
    except LesionError as error:
        return EvaluatedCase(name, case, error=error)


def chosen_cases(datalist: Datalist, choices: EvaluateParameters) -> tuple[DatalistCase, ...]:
    """Cases that are evaluated.

    Raises
    ------
    InputError
        When none is left.
    """
    if choices.section:
        cases = datalist.section(choices.section)
    else:
        cases = next((part for part in _sections(datalist) if all(c.label is not None for c in part)), ())
        cases = cases or datalist.first(*ORDER)
    if choices.fold is not None:
        folds = sorted({case.fold for case in cases if case.fold is not None})
        cases = tuple(case for case in cases if case.fold == choices.fold)
        if not cases:
            stated = f"its folds are {', '.join(map(str, folds))}" if folds else "its cases state no fold"
            raise InputError(f"{datalist.path.name} has no cases of fold {choices.fold}", stated)
    return cases


def _sections(datalist: Datalist) -> Iterator[tuple[DatalistCase, ...]]:
    return (datalist.sections[name] for name in (BARE, *ORDER) if datalist.sections.get(name))


def _require_labels(datalist: Datalist, cases: Sequence[DatalistCase]) -> None:
    without = next((case for case in cases if case.label is None), None)
    if without is not None:
        raise InputError(
            f"{datalist.path.name} cannot be evaluated", f"the case {without.name} has no label", "Add its label"
        )
    maps = [isinstance(case.label, Path) for case in cases]
    if any(maps) and not all(maps):
        raise InputError(
            f"{datalist.path.name} cannot be evaluated", "some labels are label maps and others are numbers"
        )
    classes = sorted({case.label for case in cases if isinstance(case.label, float)} - {0.0, 1.0})
    if classes:
        raise InputError(
            f"{datalist.path.name} cannot be evaluated",
            f"the class {classes[0]:g} is out of range",
            "A detector answers with 0 (no lesion in the image) or 1 (a lesion)",
        )
    if not any(maps) and find_spec("sklearn") is None:
        raise InputError(
            "Classes cannot be evaluated", "scikit-learn is not installed", 'Type: pip install "napari-lesion[train]"'
        )


def conclude(request: EvaluateRequest, cases: Sequence[EvaluatedCase]) -> Evaluation:
    """Figures over all cases.

    Raises
    ------
    InputError
        When no case could be evaluated.
    """
    done = [case for case in cases if case.error is None]
    if not done:
        first = cases[0].error if cases else None
        raise InputError("No case could be evaluated", first.message if first else "the datalist holds none")
    figures = [case.figures for case in done if case.figures is not None]
    outlines = summarise(figures) if figures else None
    classes = {} if figures else {IN_IMAGE: _classes(request, done)}
    return Evaluation(request, tuple(cases), outlines, classes, tuple(warnings_of(done, outlines)))


def _classes(request: EvaluateRequest, done: Sequence[EvaluatedCase]) -> ClassSummary:
    truth = np.array([case.case.label for case in done], dtype=float)
    chance = np.array([case.score for case in done])
    return summarise_classes(truth, chance, [case.case.patient or case.name for case in done], request.threshold)


def warnings_of(done: Sequence[EvaluatedCase], outlines: Summary | None) -> Iterator[str]:
    """What the user should know about the cases, one clause each."""
    leaks = [case for case in done if case.leak]
    if leaks:
        shown = ", ".join(case.name for case in leaks[:3]) + (", ..." if len(leaks) > 3 else "")
        yield (
            f"{len(leaks)} of {len(done)} cases are no test of this model, since it was trained on their patient or "
            f"image ({shown}): figures that hold them are too good"
        )
    if not all(case.case.patient for case in done):
        yield "Some cases state no patient: each of them counts as a patient of its own in the intervals"
    if outlines is None:
        return
    empty = [case.name for case in done if case.figures and not case.figures.matching.lesions]
    if len(empty) == len(done):
        yield "No label map holds a lesion: only false marks are counted"
    elif empty:
        yield f"{len(empty)} label maps hold no lesion: only false marks are counted there ({', '.join(empty[:3])})"
    if outlines.patients < 2:
        yield "All cases are of one patient: the intervals mean nothing"
