"""Measure the lesions of a study: all of them, or only those that somebody touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_lesion.core.display import Box
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.table import LesionTable
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.measure.boxes import boxes_of
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.rating import RATING
from napari_lesion.measure.registry import CORE, select
from napari_lesion.workflow.classify import rate_lesions
from napari_lesion.workflow.scores import with_scores
from napari_lesion.workflow.study import Study, with_identity
from napari_lesion.workflow.surroundings import surroundings_of

__all__ = ["CORE", "StudyMeasureRequest", "StudyMeasurement", "install_measurement", "measure_study", "request_for"]


@dataclass(frozen=True, eq=False)
class StudyMeasureRequest:
    """What to measure, as it stood when the job was asked for.

    Parameters
    ----------
    volume, labels
        Image and labels. The labels may go on being painted while the job runs; ``revision`` tells the caller then
        that the result is already out of date and another job follows.
    lesions
        Lesions by label.
    only
        Labels to measure; None for all.
    boxes
        Native box of each label where it is known; saves a pass over the volume.
    revision
        Revision of the study.
    features
        Families or names of measures, or ``core`` or ``all``.
    probability
        What the model said, for measures of it; None without a detection.
    """

    volume: Volume
    labels: LabelMap
    lesions: Mapping[int, Lesion]
    only: frozenset[int] | None = None
    boxes: Mapping[int, Box] | None = None
    revision: int = 0
    features: tuple[str, ...] = field(default=(CORE,))
    probability: ProbabilityMap | None = None


@dataclass(frozen=True)
class StudyMeasurement:
    """Rows of the labels that were asked for, and the revision that they belong to."""

    table: LesionTable
    asked: frozenset[int] | None
    revision: int


def request_for(
    study: Study, only: frozenset[int] | None = None, boxes: Mapping[int, Box] | None = None
) -> StudyMeasureRequest:
    """Request to measure a study, or some of its labels."""
    return StudyMeasureRequest(
        study.volume,
        study.labels,
        dict(study.lesions),
        only,
        boxes,
        study.revision,
        probability=study.detection.probability if study.detection else None,
    )


def measure_study(request: StudyMeasureRequest, ctx: JobContext | None = None) -> StudyMeasurement:
    """Measure, with what a detection found around; labels that are empty by now have no row."""
    boxes = boxes_of(request.labels.array, request.only, request.boxes)
    asked = any(spec in RATING for spec in select(request.features))
    wanted = MeasureRequest(
        request.lesions,
        request.features,
        frozenset(boxes),
        boxes,
        surroundings=surroundings_of(request.volume),
        probability=request.probability,
        ratings=rate_lesions(request.volume, request.labels, boxes, ctx) if asked else {},
    )
    table = measure_lesions(request.volume, request.labels, wanted, ctx)
    return StudyMeasurement(table, request.only, request.revision)


def install_measurement(study: Study, measurement: StudyMeasurement) -> None:
    """Put measured rows into the study's table, in the order of its lesions; rows of lost labels go.

    Names and decisions are those of now, not those of when the job was asked for.
    """
    table = study.table.updated(measurement.table) if measurement.asked is not None else measurement.table
    now = {label: study.lesions[label] for label in measurement.table.rows if label in study.lesions}
    named = with_identity(table, now, study.volume.source).ordered(study.lesions)
    study.table = with_scores(named, study)
