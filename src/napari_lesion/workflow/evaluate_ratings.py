"""Evaluate a bundle that rates lesions: the lesions of a datalist against what readers said of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from napari_lesion.core.errors import InputError, LesionError
from napari_lesion.core.jobs import JobCancelled, JobContext
from napari_lesion.core.rating import Rating
from napari_lesion.core.section import section_of
from napari_lesion.core.volume import LabelMap
from napari_lesion.evaluation.classes import ClassSummary, summarise_classes, summarise_kinds
from napari_lesion.inference.rating.classify import Classifier
from napari_lesion.io.datalist import DatalistCase, read_datalist
from napari_lesion.io.fingerprint import voxel_sha256
from napari_lesion.measure.boxes import find_boxes
from napari_lesion.models.catalogue import rates, shipped_folder, user_folder
from napari_lesion.models.classifier import read_classifier
from napari_lesion.models.training_data import TrainingData
from napari_lesion.workflow.classify import rating_of, section_flag, volume_flag
from napari_lesion.workflow.cohort import unique_names
from napari_lesion.workflow.evaluate import ContextOf, EvaluateRequest, Evaluation, chosen_cases, warnings_of
from napari_lesion.workflow.evaluate_case import EvaluatedCase, read_mask
from napari_lesion.workflow.open_study import OpenRequest, open_study

SUSPICIOUS: Final = "suspicious"
"""Question that a plain number as label answers: 1 when readers would rate the lesion suspicious."""
CALCIFIED: Final = "calcified"
TEXTURE: Final = "texture"
THRESHOLD: Final = 0.5


@dataclass(frozen=True, eq=False)
class RatedCase:
    """One lesion, what was said of it, and what the classifier says."""

    done: EvaluatedCase
    rating: Rating


def find_rating_bundle(name: str | None) -> Path | None:
    """Folder of the bundle of this name or path when it rates lesions; None for any other."""
    if not name:
        return None
    places = (user_folder() / name, shipped_folder() / name, Path(name).expanduser())
    return next((path for path in places if path.is_dir() and rates(path)), None)


def open_rating_bundle(path: Path) -> Classifier:
    """The classifier of a bundle.

    Raises
    ------
    ModelError
        When it is damaged.
    """
    return Classifier(read_classifier(path))


def rate_cases(
    cases: Sequence[tuple[str, DatalistCase]], classifier: Classifier, context_of: ContextOf
) -> Iterator[RatedCase]:
    """Rate the lesion of each case; one that cannot be used does not stop the others."""
    seen = TrainingData(frozenset(classifier.info.training_patients))
    for position, (name, case) in enumerate(cases):
        ctx = context_of(name, position, len(cases))
        try:
            yield _rate(name, case, classifier, seen, ctx)
        except JobCancelled:
            raise
        except LesionError as error:
            yield RatedCase(EvaluatedCase(name, case, error=error), Rating())


def _rate(name: str, case: DatalistCase, classifier: Classifier, seen: TrainingData, ctx: JobContext) -> RatedCase:
    began = time.perf_counter()
    if case.mask is None:
        raise InputError(f"The case {name} cannot be rated", "it has no mask of the lesion", "Give its path as mask")
    volume = open_study(OpenRequest(case.image), ctx).volume
    array = (read_mask(case.mask, volume.grid) > 0).astype(np.uint8)
    labels = LabelMap(array, volume.grid)
    box = find_boxes(array).get(1)
    section = section_of(volume, labels, 1, box) if box else None
    if section is None:
        raise InputError(f"The case {name} cannot be rated", "its mask is empty")
    flag = volume_flag(volume, classifier.info.limits) or section_flag(section, classifier)
    if flag:
        raise InputError(f"The case {name} cannot be rated", flag)
    rating = rating_of(classifier, section, ctx)
    leak = seen.leak(case.patient, voxel_sha256(volume))
    done = EvaluatedCase(name, case, score=rating.suspicious, leak=leak, seconds=time.perf_counter() - began)
    return RatedCase(done, rating)


def questions(rated: Sequence[RatedCase], classifier: Classifier) -> dict[str, ClassSummary]:
    """Figures of every question that the datalist answers.

    Raises
    ------
    InputError
        When no case could be rated, a class is out of range, or no question is answered.
    """
    if find_spec("sklearn") is None:
        raise InputError(
            "Classes cannot be evaluated", "scikit-learn is not installed", 'Type: pip install "napari-lesion[train]"'
        )
    known = [case for case in rated if case.done.error is None]
    if not known:
        first = rated[0].done.error if rated else None
        raise InputError("No case could be evaluated", first.message if first else "the datalist holds none")
    found: dict[str, ClassSummary] = {}
    for name in (SUSPICIOUS, CALCIFIED):
        answered = [(case, truth) for case in known if (truth := _answer(case, name)) is not None]
        if answered:
            chance = [getattr(case.rating, name) for case, _ in answered]
            patients = [case.done.case.group for case, _ in answered]
            found[name] = summarise_classes([truth for _, truth in answered], chance, patients, THRESHOLD)
    textures = _textures(known, classifier.info.textures)
    if textures is not None:
        found[TEXTURE] = textures
    if not found:
        raise InputError("No case says what readers said", "", f"Give label, or ratings of {SUSPICIOUS}, {TEXTURE}")
    return found


def _answer(case: RatedCase, question: str) -> float | None:
    entry = case.done.case
    plain = entry.label if question == SUSPICIOUS and isinstance(entry.label, float) else None
    stated = entry.ratings.get(question, plain)
    if isinstance(stated, str):
        raise InputError(f"The case {case.done.name} cannot be evaluated", f"{question} is {stated!r}, not 0 or 1")
    return stated


def _textures(known: Sequence[RatedCase], names: Sequence[str]) -> ClassSummary | None:
    answered = [case for case in known if TEXTURE in case.done.case.ratings]
    if not answered:
        return None
    truth = []
    for case in answered:
        stated = case.done.case.ratings[TEXTURE]
        if stated not in names:
            why = f"the texture {stated!r} is out of range, the classes are {', '.join(names)}"
            raise InputError(f"The case {case.done.name} cannot be evaluated", why)
        truth.append(names.index(str(stated)))
    decided = [names.index(case.rating.texture) for case in answered]
    return summarise_kinds(truth, decided, [case.done.case.group for case in answered], names)


def evaluate_ratings(
    request: EvaluateRequest, classifier: Classifier, context_of: ContextOf, tell: Callable[[EvaluatedCase], None]
) -> Evaluation:
    """Rate every lesion of the datalist and compare; a lesion that cannot be rated does not stop the others.

    Parameters
    ----------
    request
        What to do; its model is the classifier's.
    classifier
        The classifier.
    context_of
        Gives the `JobContext` of a case, from its name, its position (from 0) and the number of cases.
    tell
        Called with each case when it is done.

    Raises
    ------
    LesionError
        When the datalist cannot be used, or no lesion could be rated.
    JobCancelled
        When a job was asked to stop.
    """
    cases = chosen_cases(read_datalist(request.datalist), request.choices)
    named = list(zip(unique_names(case.name for case in cases), cases, strict=True))
    rated = []
    for case in rate_cases(named, classifier, context_of):
        tell(case.done)
        rated.append(case)
    found = questions(rated, classifier)
    done = tuple(case.done for case in rated)
    warnings = tuple(warnings_of([case for case in done if case.error is None], None))
    return Evaluation(request, done, None, found, warnings)
