"""One case of an evaluation: read, detect as `napari-lesion detect` does, and compare with the truth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError, LesionError
from napari_lesion.core.grid import Grid, require_same_grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion
from napari_lesion.core.volume import Modality
from napari_lesion.evaluation.detection import Matching, match_lesions
from napari_lesion.evaluation.picture import Picture, take_picture
from napari_lesion.evaluation.segmentation import compare_masks
from napari_lesion.evaluation.summary import CaseFigures
from napari_lesion.inference.candidates import find_candidates
from napari_lesion.inference.components import components
from napari_lesion.io.datalist import DatalistCase
from napari_lesion.io.fingerprint import voxel_sha256
from napari_lesion.io.masks import read_labels
from napari_lesion.models.training_data import TrainingData
from napari_lesion.workflow.channels import Images
from napari_lesion.workflow.detect import Detection, DetectRequest, detect_lesions
from napari_lesion.workflow.models import BundleInfo
from napari_lesion.workflow.open_study import OpenRequest, open_study
from napari_lesion.workflow.parameters import DetectParameters, EvaluateParameters

SWEPT_FROM: Final = 0.1
"""Threshold of the marks that make the FROC curve."""


@dataclass(frozen=True)
class CaseSettings:
    """What is the same for every case."""

    model: BundleInfo
    choices: EvaluateParameters
    parameters: DetectParameters
    seen: TrainingData


@dataclass(frozen=True)
class EvaluatedCase:
    """What became of one case.

    Parameters
    ----------
    name, case
        Name in the report, and entry of the datalist.
    figures
        Figures against a label map; None for a class, or after an error.
    score
        Largest probability of a mark in the image; 0 without one.
    leak
        Why the case is no test of the model, as a clause; empty when nothing speaks against it.
    picture
        For the gallery; None for a class, or after an error.
    seconds
        Wall time.
    error
        Why there are no figures.
    """

    name: str
    case: DatalistCase
    figures: CaseFigures | None = None
    score: float = float("nan")
    leak: str = ""
    picture: Picture | None = None
    seconds: float = 0.0
    error: LesionError | None = None


def evaluate_case(name: str, case: DatalistCase, settings: CaseSettings, ctx: JobContext) -> EvaluatedCase:
    """Detect in one image and compare.

    Raises
    ------
    LesionError
        When the image or the label map cannot be used.
    JobCancelled
        When the job was asked to stop.
    """
    began = time.perf_counter()
    stated = settings.choices.modality
    modality = Modality(stated) if stated else None
    volume, *others = (open_study(OpenRequest(path, modality=modality), ctx).volume for path in case.images)
    leak = settings.seen.leak(case.patient, voxel_sha256(volume))
    truth = read_truth(case.label_file, volume.grid, settings.choices) if isinstance(case.label, Path) else None
    ignore = None if case.ignore is None else read_mask(case.ignore, volume.grid) > 0
    images = Images((volume, *others)) if others else Images()
    found = detect_lesions(DetectRequest(volume, settings.model, settings.parameters, None, images), ctx)
    ctx.step("Comparing")
    marks = _Scored(found.marks.on(volume.grid).array, found.marks.lesions)
    swept = _swept(found, marks)
    done = EvaluatedCase(name, case, score=swept.highest, leak=leak)
    if truth is not None:
        spacing = volume.grid.spacing_zyx
        mask = compare_masks(truth > 0, marks.array > 0, spacing, settings.choices.tolerance_mm)
        matchings = (_matching(truth, each, volume.grid, ignore, settings) for each in (marks, swept))
        figures = CaseFigures(name, case.patient or name, mask, *matchings)
        done = replace(done, figures=figures, picture=take_picture(volume, truth > 0, marks.array > 0))
    return replace(done, seconds=time.perf_counter() - began)


@dataclass(frozen=True, eq=False)
class _Scored:
    """Marks and what is known of each."""

    array: npt.NDArray[Any]
    lesions: Mapping[int, Lesion]

    @property
    def scores(self) -> dict[int, float]:
        """Probability of each mark; 1 where a model gives none."""
        known = {label: lesion.probability for label, lesion in self.lesions.items()}
        return {label: score if np.isfinite(score) else 1.0 for label, score in known.items()}

    @property
    def highest(self) -> float:
        """Largest of them; 0 without a mark."""
        return max(self.scores.values(), default=0.0)


def read_mask(path: Path, grid: Grid) -> npt.NDArray[Any]:
    """Label map of a file on the grid of its image.

    Raises
    ------
    GeometryError
        When it lies on another grid.
    """
    labels = read_labels(path)
    require_same_grid(grid, labels.grid, f"The mask {path.name}")
    return labels.array


def read_truth(path: Path, grid: Grid, choices: EvaluateParameters) -> npt.NDArray[Any]:
    """Lesions of a label map, one number each.

    Raises
    ------
    InputError
        When the file cannot be read, or values are to be lesions and counts of readers at once.
    GeometryError
        When it lies on another grid.
    """
    if choices.instances and choices.lesion_from > 1:
        raise InputError("--instances and --lesion-from exclude each other", "a value is a lesion, or a count")
    array = read_mask(path, grid)
    return array if choices.instances else components(array >= choices.lesion_from, 26)


def _matching(
    truth: npt.NDArray[Any],
    marks: _Scored,
    grid: Grid,
    ignore: npt.NDArray[np.bool_] | None,
    settings: CaseSettings,
) -> Matching:
    hit_iou = settings.choices.hit_iou
    return match_lesions(truth, marks.array, marks.scores, grid.voxel_volume_mm3, ignore, hit_iou)


def _swept(found: Detection, marks: _Scored) -> _Scored:
    """Marks of a low threshold, for the curve; those at hand where a model has no threshold."""
    if found.marks.threshold is None:
        return marks
    low = min(SWEPT_FROM, found.marks.threshold)
    labels, lesions = find_candidates(found.probability, low, found.marks.min_volume_mm3)
    return _Scored(labels.array, lesions)
