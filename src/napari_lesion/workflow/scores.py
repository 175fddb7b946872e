"""Scores of classifiers made by others: for the whole study, and for each lesion as columns of the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_lesion.core.jobs import JobContext
from napari_lesion.core.scores import ClassScores, LesionScore, mask_checksum, with_rim
from napari_lesion.core.table import Column, LesionTable, Row
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.inference.backends.choose import chosen
from napari_lesion.inference.bundles.crops import score_crops
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.measure.boxes import find_boxes
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.config.reading import read_configuration

if TYPE_CHECKING:
    from napari_lesion.workflow.study import Study


@dataclass(frozen=True, eq=False)
class ScoreRequest:
    """Which lesions to score, as they stood when the job was asked for."""

    volume: Volume
    labels: LabelMap
    model: BundleInfo
    settings: EngineSettings


def score_lesions(request: ScoreRequest, ctx: JobContext | None = None) -> ClassScores:
    """Scores of a classifier for every lesion.

    Raises
    ------
    ModelError
        When the model is refused, needs trust or other images, fails, or is no classifier.
    JobCancelled
        When the user stops it.
    """
    labels = request.labels.array
    boxes = find_boxes(labels)
    device = "cuda" if chosen(request.settings)[0].startswith("cuda") else "cpu"
    config = read_configuration(request.model.path)
    found = score_crops(request.volume, boxes, config, device, ctx or JobContext())
    classes = next((tuple(scored.named) for scored in found.values()), ())
    scores = {}
    for label, scored in found.items():
        rim = with_rim(boxes[label], labels.shape)
        scores[label] = LesionScore(tuple(scored.named.values()), rim, mask_checksum(labels, label, rim))
    return ClassScores(request.model.name, request.model.identity, classes, lesions=scores)


def install_scores(study: Study, scores: ClassScores) -> None:
    """Put scores into a study, in the place of those that the same model gave before."""
    study.scores = (*(other for other in study.scores if other.model != scores.model), scores)
    study.table = with_scores(study.table, study)
    study.touched()


def with_scores(table: LesionTable, study: Study) -> LesionTable:
    """The table with a column for each class of each classifier; NaN for a lesion that changed since."""
    given = [scores for scores in study.scores if scores.lesions]
    if not given:
        return table
    rows = {label: {**row, **_values(label, given, study)} for label, row in table.rows.items()}
    added = [column for scores in given for column in columns_of(scores)]
    known = {column.name for column in added}
    kept = [column for column in table.columns if column.name not in known]
    return LesionTable((*kept, *added), rows)


def columns_of(scores: ClassScores) -> list[Column]:
    """One column for each class of a classifier."""
    return [
        Column(
            _name(scores.model, place, name),
            title=f"{name}",
            unit="",
            ucum="1",
            definition=f"Score of the class {name!r} that {scores.identity} gives to a crop around the lesion.",
            decimals=2,
            experimental=True,
        )
        for place, name in enumerate(scores.classes)
    ]


def score_records(scores: Iterable[ClassScores]) -> list[dict[str, Any]]:
    """Scores for run.json."""
    return [
        {
            "model": one.identity,
            "classes": list(one.classes),
            "study": dict(zip(one.classes, one.whole, strict=True)) if one.whole else None,
            "lesions": sorted(one.lesions),
        }
        for one in scores
    ]


def whole_scores(model: BundleInfo, named: Mapping[str, float]) -> ClassScores:
    """Scores of a classifier for the whole image."""
    return ClassScores(model.name, model.identity, tuple(named), tuple(named.values()))


def _values(label: int, given: Iterable[ClassScores], study: Study) -> Row:
    row: Row = {}
    for scores in given:
        score = scores.lesions.get(label)
        true = score is not None and score.holds(study.labels.array, label)
        for place, name in enumerate(scores.classes):
            row[_name(scores.model, place, name)] = (
                score.values[place] if score is not None and true else float("nan")
            )
    return row


def _name(model: str, place: int, name: str) -> str:
    """Name of a column: the model, and the class in letters, digits and underscores."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return f"score_{re.sub(r'[^a-z0-9]+', '_', model.lower()).strip('_')}_{plain or place}"
