"""Lesion by lesion: which were found, which marks are false, and the FROC curve that follows (by MONAI)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import GeometryError

LabelArray = npt.NDArray[np.integer]
FloatArray = npt.NDArray[np.float64]

HIT_IOU = 0.1
"""Intersection over union above which a mark hits a lesion."""
CPM_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False marks an image at which CPM averages the sensitivity (LUNA16; Setio 2017, Med Image Anal 42:1)."""
SIZE_EDGES_MM = (0.0, 6.0, 10.0, 20.0, math.inf)
"""Edges of the groups of size, diameter of the sphere of equal volume, mm."""
NAN = float("nan")


@dataclass(frozen=True)
class TrueLesion:
    """One lesion of the truth.

    Parameters
    ----------
    label
        Its number in the truth.
    diameter_mm
        Diameter of the sphere of equal volume, mm.
    best_iou
        Largest intersection over union with a mark.
    dice
        Dice with all marks that touch it together; 0 when it was missed.
    score
        Largest probability of the marks that hit it; NaN when it was missed.
    """

    label: int
    diameter_mm: float
    best_iou: float
    dice: float
    score: float

    @property
    def found(self) -> bool:
        """Whether a mark hits it."""
        return not math.isnan(self.score)


@dataclass(frozen=True)
class Mark:
    """One mark of the model.

    Parameters
    ----------
    label
        Its number among the marks.
    diameter_mm
        Diameter of the sphere of equal volume, mm.
    score
        Its probability.
    verdict
        ``hit``; ``part`` of a lesion that another mark hits; ``ignored`` where nobody knows what is there; ``false``.
    """

    label: int
    diameter_mm: float
    score: float
    verdict: str


@dataclass(frozen=True)
class Matching:
    """Lesions and marks of one image, against each other."""

    lesions: tuple[TrueLesion, ...]
    marks: tuple[Mark, ...]

    def of_size(self, low_mm: float, high_mm: float) -> Matching:
        """Only the lesions and the marks whose diameter lies in ``low_mm <= d < high_mm``."""
        return Matching(
            tuple(lesion for lesion in self.lesions if low_mm <= lesion.diameter_mm < high_mm),
            tuple(mark for mark in self.marks if low_mm <= mark.diameter_mm < high_mm),
        )

    @property
    def counts(self) -> DetectionCounts:
        """Lesions, found lesions, marks that hit and false marks."""
        verdicts = [mark.verdict for mark in self.marks]
        found = sum(lesion.found for lesion in self.lesions)
        return DetectionCounts(len(self.lesions), found, verdicts.count("hit"), verdicts.count("false"))


@dataclass(frozen=True)
class DetectionCounts:
    """Lesions there are and that were found; marks that hit and false marks."""

    lesions: int
    found: int
    hits: int
    false: int

    @property
    def sensitivity(self) -> float:
        """Share of the lesions that were found; NaN without lesions."""
        return sensitivity(self.lesions, self.found)

    @property
    def precision(self) -> float:
        """Share of the marks that hit; NaN without marks."""
        return precision(self.hits, self.false)

    @property
    def f1(self) -> float:
        """Harmonic mean of the two; 0 when nothing was found, NaN without lesions."""
        return f1(self.lesions, self.found, self.hits, self.false)


def match_lesions(
    truth: LabelArray,
    marks: LabelArray,
    scores: Mapping[int, float],
    voxel_mm3: float,
    ignore: npt.NDArray[np.bool_] | None = None,
    hit_iou: float = HIT_IOU,
) -> Matching:
    """Match the marks of one image with its lesions.

    Parameters
    ----------
    truth, marks
        Label maps (z, y, x) on one grid, 0 is background.
    scores
        Probability of each mark.
    voxel_mm3
        Volume of a voxel, mm³.
    ignore
        Where nobody knows what is there: a mark that touches it and hits nothing counts neither way.
    hit_iou
        A mark hits a lesion when their intersection over union is above this.

    Raises
    ------
    GeometryError
        When the label maps differ in shape.
    """
    if truth.shape != marks.shape:
        raise GeometryError("Marks and lesions cannot be matched", f"shapes {truth.shape} and {marks.shape}")
    lesion_voxels, mark_voxels = _volumes(truth), _volumes(marks)
    shared = _shared(truth, marks)
    iou = {(a, b): common / (lesion_voxels[a] + mark_voxels[b] - common) for (a, b), common in shared.items()}
    hits = {pair for pair, value in iou.items() if value > hit_iou}
    hit_marks, hit_lesions = {b for _, b in hits}, {a for a, _ in hits}
    parts = {b for a, b in shared if a in hit_lesions} - hit_marks
    doubtful = set() if ignore is None else set(np.unique(marks[ignore]).tolist())

    def lesion(number: int, count: int) -> TrueLesion:
        touching = {b: common for (a, b), common in shared.items() if a == number}
        found = [scores[b] for a, b in hits if a == number]
        marked = count + sum(mark_voxels[b] for b in touching)
        return TrueLesion(
            label=number,
            diameter_mm=_diameter(count * voxel_mm3),
            best_iou=max((iou[number, b] for b in touching), default=0.0),
            dice=2.0 * sum(touching.values()) / marked if found else 0.0,
            score=float(max(found, default=NAN)),
        )

    def mark(number: int, count: int) -> Mark:
        known = (("hit", hit_marks), ("part", parts), ("ignored", doubtful))
        verdict = next((word for word, numbers in known if number in numbers), "false")
        return Mark(number, _diameter(count * voxel_mm3), float(scores[number]), verdict)

    return Matching(
        tuple(lesion(*item) for item in lesion_voxels.items()), tuple(mark(*item) for item in mark_voxels.items())
    )


def sensitivity(lesions: npt.ArrayLike, found: npt.ArrayLike) -> float:
    """Share of the lesions that were found, from counts an image; NaN without lesions."""
    return _ratio(np.sum(found), np.sum(lesions))


def precision(hits: npt.ArrayLike, false: npt.ArrayLike) -> float:
    """Share of the marks that hit, from counts an image; NaN without marks."""
    return _ratio(np.sum(hits), np.sum(hits) + np.sum(false))


def f1(lesions: npt.ArrayLike, found: npt.ArrayLike, hits: npt.ArrayLike, false: npt.ArrayLike) -> float:
    """Harmonic mean of sensitivity and precision; 0 when nothing was found, NaN when nothing was there to find."""
    recall, exact = sensitivity(lesions, found), precision(hits, false)
    if math.isnan(recall):
        return NAN
    return _ratio(2 * recall * exact, recall + exact) if np.sum(found) else 0.0


@dataclass(frozen=True)
class Froc:
    """Free-response curve: sensitivity against false marks an image, over every threshold of the score.

    Parameters
    ----------
    false_per_image, sensitivity
        Points of the curve, from the most sensitive to (0, 0).
    sensitivity_at
        Sensitivity at each rate of `CPM_RATES`; beyond the last point of the curve, that of the last point.
    cpm
        Their mean (competition performance metric).
    """

    false_per_image: tuple[float, ...]
    sensitivity: tuple[float, ...]
    sensitivity_at: tuple[float, ...]
    cpm: float


def froc(found_scores: Sequence[float], false_scores: Sequence[float], lesions: int, images: int) -> Froc:
    """Compute the curve from what the marks score.

    Parameters
    ----------
    found_scores
        Score of each lesion that was found.
    false_scores
        Score of each false mark.
    lesions, images
        Number of lesions that there are, and of images.
    """
    from monai.metrics import compute_froc_curve_data, compute_froc_score

    if not lesions or not images:
        return Froc((), (), (), NAN)
    # MONAI leaves out the lowest score: one below all others keeps the most sensitive point of the curve.
    false = np.array([*false_scores, -1.0])
    rates, shares = compute_froc_curve_data(false, np.array(found_scores, dtype=float), lesions, images)
    at = tuple(float(compute_froc_score(rates, shares, (rate,))) for rate in CPM_RATES)
    return Froc(tuple(map(float, rates)), tuple(map(float, shares)), at, float(np.mean(at)))


def size_groups() -> list[tuple[float, float]]:
    """Lower and upper diameter of each group of size, mm."""
    return list(pairwise(SIZE_EDGES_MM))


def _volumes(labels: LabelArray) -> dict[int, int]:
    numbers, counts = np.unique(labels, return_counts=True)
    return {int(number): int(count) for number, count in zip(numbers, counts, strict=True) if number}


def _shared(truth: LabelArray, marks: LabelArray) -> dict[tuple[int, int], int]:
    """Voxels in common of each lesion and mark that touch."""
    both = (truth > 0) & (marks > 0)
    pairs, counts = np.unique(np.stack([truth[both], marks[both]], axis=1), axis=0, return_counts=True)
    return {(int(a), int(b)): int(count) for (a, b), count in zip(pairs, counts, strict=True)}


def _diameter(volume_mm3: float) -> float:
    return round(math.cbrt(6.0 * volume_mm3 / math.pi), 9)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else NAN
