"""Figures of all folds together: each case measured by the run that held its patient out.

``python -m napari_lesion.training.detector.pool REPORTS... --out FILE`` takes what
`napari_lesion.training.detector.measure` wrote for each fold. The logistic model of the marks is fitted on the other
folds for every fold.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from napari_lesion.core.errors import InputError
from napari_lesion.evaluation.bootstrap import bootstrap
from napari_lesion.evaluation.classification import expected_calibration_error
from napari_lesion.evaluation.detection import froc
from napari_lesion.models.bundle import MarkScore
from napari_lesion.training.detector.mark_score import fit_mark_score, is_hit, is_other, score_of
from napari_lesion.training.detector.measure import LEVELS, SeenCase, SeenMark, read_report
from napari_lesion.training.scoring import AGREED_READERS

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
WANTED_SENSITIVITY = 0.95
SIZES_MM = ((0.0, 6.0), (6.0, 10.0), (10.0, 20.0), (20.0, math.inf))
"""Groups by the diameter of a ball of the nodule's volume."""

log = logging.getLogger(__name__)

Reports = Mapping[int, Sequence[SeenCase]]


@dataclass(frozen=True)
class ScoredCase:
    """One case with the probability of each of its marks, by a model that saw neither.

    Parameters
    ----------
    case
        What was found.
    fold
        Its fold.
    level
        Level of the marks.
    scores
        Probability of each mark.
    """

    case: SeenCase
    fold: int
    level: float
    scores: tuple[float, ...]

    def dice(self, threshold: float) -> float:
        """Dice of the outlined nodule and the marks that touch it; 0 when none of them finds it."""
        chosen = [mark for mark, score in self._marks() if score >= threshold and mark.overlap]
        if not any(is_hit(mark) for mark in chosen):
            return 0.0
        overlap = sum(mark.overlap for mark in chosen)
        return 2 * overlap / (sum(mark.voxels for mark in chosen) + self.case.lesion_voxels)

    def found_at(self) -> float | None:
        """Largest probability of a mark that finds the nodule; None when there is none."""
        return max((score for mark, score in self._marks() if is_hit(mark)), default=None)

    def others(self) -> list[float]:
        """Probabilities of the other marks."""
        return [score for mark, score in self._marks() if is_other(mark)]

    def _marks(self) -> list[tuple[SeenMark, float]]:
        return list(zip(self.case.marks[str(self.level)], self.scores, strict=True))


def fold_rules(reports: Reports, level: float) -> dict[int, MarkScore]:
    """Model of the marks for each fold, fitted on the other folds."""
    return {
        fold: fit_mark_score([case for other, rest in reports.items() if other != fold for case in rest], level)
        for fold in sorted(reports)
    }


def score_folds(reports: Reports, level: float) -> list[ScoredCase]:
    """Give every mark its probability, by the model of the other folds."""
    rules, scored = fold_rules(reports, level), []
    for fold, cases in sorted(reports.items()):
        for case in cases:
            scores = tuple(score_of(mark, rules[fold]) for mark in case.marks[str(level)])
            scored.append(ScoredCase(case, fold, level, scores))
    return scored


def is_agreed(scored: ScoredCase) -> bool:
    """Whether it is a cube whose nodule three or more readers outlined."""
    return scored.case.kind == "cube" and scored.case.n_readers >= AGREED_READERS and scored.case.lesion_voxels > 0


def pool(reports: Reports, level: float, threshold: float | None = None) -> dict[str, Any]:
    """Every figure of the model card.

    Parameters
    ----------
    reports
        Cases by fold.
    level
        Level of the marks.
    threshold
        Probability of a mark that the case by case list and the intervals are given at; None for that of
        `choose_threshold`.
    """
    scored = score_folds(reports, level)
    agreed = [case for case in scored if is_agreed(case)]
    if not agreed:
        raise InputError("The folds cannot be pooled", "no nodule of three and more readers was measured")
    cubes = [case for case in scored if case.case.kind == "cube"]
    scans = [case for case in scored if case.case.kind == "scan"]
    rows = [_at(agreed, cubes, scans, value) for value in THRESHOLDS]
    if threshold is None:
        threshold = choose_threshold(rows)
    return {
        "folds": sorted(reports),
        "level": level,
        "threshold": threshold,
        "patients": len({case.case.patient_id for case in scored}),
        "nodules": len(agreed),
        "cubes": len(cubes),
        "dice": _interval(agreed, lambda case: case.dice(threshold)),
        "dice_median": float(np.median([case.dice(threshold) for case in agreed])),
        "sensitivity": _interval(agreed, lambda case: float(case.dice(threshold) > 0)),
        "readers_dice": _interval(agreed, lambda case: case.case.readers_dice or 0.0),
        "marks_per_cube": _interval(cubes, lambda case: float(_count(case.others(), threshold))),
        "by_fold": _by_fold(agreed, threshold),
        "by_size": [_of_size(agreed, low, high, threshold) for low, high in SIZES_MM],
        "thresholds": rows,
        "froc_cubes": _froc(agreed, cubes),
        "froc_scans": _froc([scan for scan in scans if scan.case.lesion_voxels], scans),
        "calibration_error": _calibration(scored),
        "marks": _mark_counts(scored),
        "mark_scores": {str(fold): asdict(rule) for fold, rule in fold_rules(reports, level).items()},
        "cases": [_row(case, threshold) for case in scored],
    }


def choose_threshold(rows: Sequence[Mapping[str, Any]]) -> float:
    """Largest threshold that finds `WANTED_SENSITIVITY` of the nodules; the smallest of all when none does."""
    enough = [float(row["threshold"]) for row in rows if row["sensitivity"] >= WANTED_SENSITIVITY]
    return max(enough, default=min(float(row["threshold"]) for row in rows))


def _count(scores: Sequence[float], threshold: float) -> int:
    return sum(score >= threshold for score in scores)


def _interval(cases: Sequence[ScoredCase], value: Callable[[ScoredCase], float]) -> dict[str, float]:
    values = [value(case) for case in cases]
    return asdict(bootstrap(lambda drawn: float(drawn.mean()), [case.case.patient_id for case in cases], values))


def _by_fold(agreed: Sequence[ScoredCase], threshold: float) -> list[dict[str, Any]]:
    folds = sorted({case.fold for case in agreed})
    groups = [[case for case in agreed if case.fold == fold] for fold in folds]
    return [
        {
            "fold": fold,
            "nodules": len(group),
            "dice": float(np.mean([case.dice(threshold) for case in group])),
            "sensitivity": float(np.mean([case.dice(threshold) > 0 for case in group])),
            "readers_dice": float(np.mean([case.case.readers_dice for case in group])),
        }
        for fold, group in zip(folds, groups, strict=True)
    ]


def ball_diameter(voxels: int) -> float:
    """Diameter of a ball of this volume, mm."""
    return float((6 * voxels / math.pi) ** (1 / 3))


def _of_size(agreed: Sequence[ScoredCase], low: float, high: float, threshold: float) -> dict[str, Any]:
    group = [case for case in agreed if low <= ball_diameter(case.case.lesion_voxels) < high]
    return {
        "from_mm": low,
        "to_mm": high if math.isfinite(high) else None,
        "nodules": len(group),
        "dice": float(np.mean([case.dice(threshold) for case in group])) if group else None,
        "sensitivity": float(np.mean([case.dice(threshold) > 0 for case in group])) if group else None,
        "sensitivity_interval": _interval(group, lambda case: float(case.dice(threshold) > 0)) if group else None,
    }


def _at(
    agreed: Sequence[ScoredCase], cubes: Sequence[ScoredCase], scans: Sequence[ScoredCase], threshold: float
) -> dict[str, Any]:
    targets = [scan for scan in scans if scan.case.lesion_voxels]
    return {
        "threshold": threshold,
        "dice": float(np.mean([case.dice(threshold) for case in agreed])),
        "sensitivity": float(np.mean([case.dice(threshold) > 0 for case in agreed])),
        "marks_per_cube": float(np.mean([_count(case.others(), threshold) for case in cubes])),
        "scan_targets_found": sum((scan.found_at() or 0.0) >= threshold for scan in targets),
        "scan_targets": len(targets),
        "marks_by_scan": {scan.case.name: _count(scan.others(), threshold) for scan in scans},
    }


def _froc(targets: Sequence[ScoredCase], images: Sequence[ScoredCase]) -> dict[str, Any] | None:
    if not targets:
        return None
    found = [score for case in targets if (score := case.found_at()) is not None]
    false = [score for case in images for score in case.others()]
    return asdict(froc(found, false, len(targets), len(images)))


def _calibration(scored: Sequence[ScoredCase]) -> float:
    """Expected calibration error of the marks' probabilities, in this mix of nodules and other marks."""
    pairs = [
        (is_hit(mark), score)
        for case in scored
        for mark, score in zip(case.case.marks[str(case.level)], case.scores, strict=True)
        if is_hit(mark) or is_other(mark)
    ]
    return float(expected_calibration_error([hit for hit, _ in pairs], [score for _, score in pairs]))


def _mark_counts(scored: Sequence[ScoredCase]) -> dict[str, int]:
    marks = [mark for case in scored for mark in case.case.marks[str(case.level)]]
    return {"nodules": sum(map(is_hit, marks)), "others": sum(map(is_other, marks))}


def _row(case: ScoredCase, threshold: float) -> dict[str, Any]:
    outlined = bool(case.case.lesion_voxels)
    return {
        "name": case.case.name,
        "patient_id": case.case.patient_id,
        "fold": case.fold,
        "kind": case.case.kind,
        "n_readers": case.case.n_readers,
        "diameter_mm": round(ball_diameter(case.case.lesion_voxels), 1) if outlined else None,
        "dice": round(case.dice(threshold), 4) if outlined else None,
        "readers_dice": case.case.readers_dice,
        "probability": case.found_at(),
        "other_marks": _count(case.others(), threshold),
    }


def read_folds(paths: Sequence[Path]) -> dict[int, list[SeenCase]]:
    """Reports of several folds.

    Raises
    ------
    InputError
        When a fold comes twice.
    """
    found = [read_report(path) for path in paths]
    if len({fold for fold, _ in found}) != len(found):
        raise InputError("The folds cannot be pooled", "one of them comes twice")
    return dict(found)


def final_score(reports: Reports, level: float) -> MarkScore:
    """Model of the marks that ships, fitted on all folds."""
    return fit_mark_score([case for cases in reports.values() for case in cases], level)


def main(
    reports: Annotated[list[Path], typer.Argument(help="JSON files of the folds.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    level: Annotated[float, typer.Option(help=f"Level of the marks: one of {LEVELS}.")] = LEVELS[0],
    threshold: Annotated[
        float | None, typer.Option(help="Probability from which a mark is shown; else the largest that finds 95 %.")
    ] = None,
) -> None:
    """Pool the figures of several folds."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pooled = pool(read_folds(reports), level, threshold)
    out.write_text(json.dumps(pooled, indent=1) + "\n", encoding="utf-8")
    for row in pooled["thresholds"]:
        log.info("%s", row)
    for key in ("dice", "sensitivity", "readers_dice", "marks_per_cube", "by_fold", "by_size", "calibration_error"):
        log.info("%s: %s", key, pooled[key])
    log.info("CPM on cubes: %.3f", pooled["froc_cubes"]["cpm"])


if __name__ == "__main__":
    typer.run(main)
