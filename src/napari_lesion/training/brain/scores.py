"""How well marks agree with outlined brain lesions: voxels by Dice, lesions by touching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.evaluation.segmentation import dice
from napari_lesion.inference.components import components

BoolArray = npt.NDArray[np.bool_]

MIN_LESION_MM3 = 10.0
"""Smaller lesions are not asked for, and a mark that touches one is not false."""


Sweep = dict[float, list["VisitScore"]]
"""Scores of the same visits at every threshold."""


@dataclass(frozen=True)
class VisitScore:
    """One visit at one threshold.

    Parameters
    ----------
    visit, patient
        Whose.
    threshold
        Probability, or robust z-score of the baseline, from which a voxel is marked.
    dice
        Over all voxels.
    lesions, found
        Outlined lesions of at least 10 mm³ (26-connected), and those that a mark touches.
    marks, false_marks
        Marks of at least the least volume, and those that touch no outlined voxel.
    true_ml, marked_ml
        Volumes, ml.
    """

    visit: str
    patient: str
    threshold: float
    dice: float
    lesions: int
    found: int
    marks: int
    false_marks: int
    true_ml: float
    marked_ml: float

    @property
    def sensitivity(self) -> float:
        """Share of the lesions that were found."""
        return self.found / self.lesions if self.lesions else float("nan")

    @property
    def precision(self) -> float:
        """Share of the marks that touch a lesion; 0 without marks."""
        return 1 - self.false_marks / self.marks if self.marks else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two, by touching as in Carass et al. 2017 (doi:10.1016/j.neuroimage.2016.12.064)."""
        total = self.sensitivity + self.precision
        return 2 * self.sensitivity * self.precision / total if total else 0.0

    def record(self) -> dict[str, Any]:
        """Values for JSON, rounded to what they can bear."""
        values = {**asdict(self), "sensitivity": self.sensitivity, "precision": self.precision, "f1": self.f1}
        return {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}


def score_visit(
    names: tuple[str, str], threshold: float, marked: BoolArray, lesion: BoolArray, voxel_mm3: float, min_mm3: float
) -> VisitScore:
    """Score the marks of one visit.

    Parameters
    ----------
    names
        Visit and patient.
    threshold
        What the marks were made with.
    marked, lesion
        Masks of one shape.
    voxel_mm3
        Volume of a voxel, mm³.
    min_mm3
        Smaller marks are dropped before anything is counted.
    """
    import cc3d

    least = int(np.ceil(min_mm3 / voxel_mm3))
    marks = cc3d.dust(components(marked, 26).astype(np.uint32), least, connectivity=26)
    outlined = components(lesion, 26)
    sizes = np.bincount(outlined.ravel())
    asked = set(np.flatnonzero(sizes * voxel_mm3 >= MIN_LESION_MM3).tolist()) - {0}
    found = set(np.unique(outlined[marks > 0]).tolist()) & asked
    numbers = set(np.unique(marks).tolist()) - {0}
    touching = set(np.unique(marks[lesion]).tolist()) - {0}
    return VisitScore(
        *names,
        threshold=threshold,
        dice=dice(lesion, marks > 0),
        lesions=len(asked),
        found=len(found),
        marks=len(numbers),
        false_marks=len(numbers - touching),
        true_ml=float(lesion.sum()) * voxel_mm3 / 1e3,
        marked_ml=float((marks > 0).sum()) * voxel_mm3 / 1e3,
    )


def by_patient(scores: Sequence[VisitScore], figure: str) -> list[float]:
    """Mean of a figure over the visits of each patient, in the order of the patients' names."""
    patients = sorted({score.patient for score in scores})
    return [float(np.mean([getattr(s, figure) for s in scores if s.patient == patient])) for patient in patients]


def merit(scores: Sequence[VisitScore]) -> float:
    """What a threshold is chosen by: mean over patients of Dice and lesion-wise F1, half and half."""
    return float(np.mean([by_patient(scores, figure) for figure in ("dice", "f1")]))


def best_threshold(table: Sweep) -> float:
    """Threshold of the greatest merit."""
    return max(table, key=lambda threshold: merit(table[threshold]))


def nested(table: Sweep) -> list[VisitScore]:
    """Score of each visit at the threshold that is best for the other patients."""
    chosen = []
    for patient in sorted({score.patient for row in table.values() for score in row}):
        others = {threshold: [s for s in row if s.patient != patient] for threshold, row in table.items()}
        chosen += [score for score in table[best_threshold(others)] if score.patient == patient]
    return chosen


def summary(scores: Sequence[VisitScore]) -> dict[str, Any]:
    """Mean over patients of each figure, with the lowest and the highest patient."""
    rows: dict[str, Any] = {"patients": len({s.patient for s in scores}), "visits": len(scores)}
    for figure in ("dice", "sensitivity", "precision", "f1", "false_marks"):
        values = by_patient(scores, figure)
        rows[figure] = {
            "mean": round(float(np.mean(values)), 4),
            "low": round(min(values), 4),
            "high": round(max(values), 4),
        }
    return rows
