"""Figures over many images: means with 95 % intervals by patient, by size of lesion, and the FROC curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from napari_lesion.evaluation.bootstrap import Interval, bootstrap
from napari_lesion.evaluation.detection import (
    DetectionCounts,
    Froc,
    Matching,
    f1,
    froc,
    precision,
    sensitivity,
    size_groups,
)
from napari_lesion.evaluation.segmentation import MaskFigures

FloatArray = npt.NDArray[np.float64]
MASK_FIGURES = ("dice", "hd95_mm", "surface_dice", "volume_error_percent")


@dataclass(frozen=True)
class CaseFigures:
    """What was found in one image.

    Parameters
    ----------
    name, patient
        Names; the patient is what intervals resample.
    mask
        All marks together against all lesions together.
    matching
        Lesion by lesion at the operating point.
    swept
        The same for the marks of a low threshold, from which the FROC curve is made.
    """

    name: str
    patient: str
    mask: MaskFigures
    matching: Matching
    swept: Matching


@dataclass(frozen=True)
class MeanFigure:
    """A figure over all images.

    Parameters
    ----------
    interval
        Value and 95 % interval.
    n
        Images, or lesions, that it is a figure of.
    median
        Median over them; NaN for a share.
    """

    interval: Interval
    n: int
    median: float = float("nan")


@dataclass(frozen=True)
class SizeGroup:
    """Lesion-wise figures of one group of size, diameter ``low_mm <= d < high_mm``."""

    low_mm: float
    high_mm: float
    counts: DetectionCounts
    figures: dict[str, MeanFigure]


@dataclass(frozen=True)
class Summary:
    """Everything that is said of many images."""

    images: int
    patients: int
    figures: dict[str, MeanFigure]
    counts: DetectionCounts
    sizes: tuple[SizeGroup, ...]
    froc: Froc


def summarise(cases: Sequence[CaseFigures]) -> Summary:
    """Summarise the figures of several images; at least one must be given."""
    patients = [case.patient for case in cases]
    figures = {name: _mean_of_cases(cases, name) for name in MASK_FIGURES}
    figures["volume_error_absolute_percent"] = _mean_of_cases(cases, "volume_error_percent", absolute=True)
    matchings = [case.matching for case in cases]
    figures |= _lesion_figures(cases, matchings)
    false = np.array([matching.counts.false for matching in matchings], dtype=float)
    figures["false_marks_per_image"] = MeanFigure(
        bootstrap(_mean, patients, false), len(cases), float(np.median(false))
    )
    curve, cpm = _froc(cases)
    figures["cpm"] = cpm
    sizes = tuple(_size_group(cases, low, high) for low, high in size_groups())
    return Summary(len(cases), len(set(patients)), figures, _total(matchings), sizes, curve)


def _mean_of_cases(cases: Sequence[CaseFigures], name: str, *, absolute: bool = False) -> MeanFigure:
    values = np.array([getattr(case.mask, name) for case in cases], dtype=float)
    values = np.abs(values) if absolute else values
    known = values[np.isfinite(values)]
    interval = bootstrap(_mean, [case.patient for case in cases], values)
    return MeanFigure(interval, int(known.size), float(np.median(known)) if known.size else float("nan"))


def _lesion_figures(cases: Sequence[CaseFigures], matchings: Sequence[Matching]) -> dict[str, MeanFigure]:
    """Sensitivity, precision and F1 over all lesions, and their mean Dice, a missed one counting 0."""
    counts = [matching.counts for matching in matchings]
    lesions, found, hits, false = (
        np.array([getattr(count, name) for count in counts], dtype=float)
        for name in ("lesions", "found", "hits", "false")
    )
    dice = np.array([sum(lesion.dice for lesion in matching.lesions) for matching in matchings], dtype=float)
    every = [lesion.dice for matching in matchings for lesion in matching.lesions]
    patients = [case.patient for case in cases]
    n = int(lesions.sum())
    return {
        "sensitivity": MeanFigure(bootstrap(sensitivity, patients, lesions, found), n),
        "precision": MeanFigure(bootstrap(precision, patients, hits, false), int(hits.sum() + false.sum())),
        "f1": MeanFigure(bootstrap(f1, patients, lesions, found, hits, false), n),
        "lesion_dice": MeanFigure(
            bootstrap(sensitivity, patients, lesions, dice), n, float(np.median(every)) if every else float("nan")
        ),
    }


def _size_group(cases: Sequence[CaseFigures], low: float, high: float) -> SizeGroup:
    parts = [case.matching.of_size(low, high) for case in cases]
    return SizeGroup(low, high, _total(parts), _lesion_figures(cases, parts))


def _total(matchings: Sequence[Matching]) -> DetectionCounts:
    counts = [matching.counts for matching in matchings]
    return DetectionCounts(
        *(sum(getattr(count, name) for count in counts) for name in ("lesions", "found", "hits", "false"))
    )


def _froc(cases: Sequence[CaseFigures]) -> tuple[Froc, MeanFigure]:
    curve = _froc_of(cases, np.arange(len(cases)))
    cpm = bootstrap(partial(_cpm_of, cases), [case.patient for case in cases], np.arange(len(cases)))
    return curve, MeanFigure(cpm, sum(len(case.swept.lesions) for case in cases))


def _cpm_of(cases: Sequence[CaseFigures], chosen: npt.NDArray[np.int64]) -> float:
    return _froc_of(cases, chosen).cpm


def _froc_of(cases: Sequence[CaseFigures], chosen: npt.NDArray[np.int64]) -> Froc:
    swept = [cases[int(k)].swept for k in chosen]
    found = [lesion.score for matching in swept for lesion in matching.lesions if lesion.found]
    false = [mark.score for matching in swept for mark in matching.marks if mark.verdict == "false"]
    return froc(found, false, sum(len(matching.lesions) for matching in swept), len(swept))


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
