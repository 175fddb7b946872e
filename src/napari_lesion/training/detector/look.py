"""Held-out cases as the runs of the folds see them: every mark with its place, its outline and its probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.inference.marks import Mark
from napari_lesion.models.bundle import MarkScore
from napari_lesion.training.cases import Case
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.mark_score import is_hit, score_of
from napari_lesion.training.detector.measure import SeenMark, marks_in_place
from napari_lesion.training.detector.searcher import Searcher
from napari_lesion.training.folds import load_folds
from napari_lesion.training.scenes import Scene, load_scene

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class FoundMark:
    """One mark on a held-out case.

    Parameters
    ----------
    place
        Where it lies.
    seen
        What it touches.
    probability
        That it is a nodule, by the model of the marks of the other folds.
    """

    place: Mark
    seen: SeenMark
    probability: float


@dataclass(frozen=True, eq=False)
class FoldModel:
    """The run of one fold, ready to look at what it held out.

    Parameters
    ----------
    searcher
        Its network, or both.
    fold
        Which fold it held out.
    rule
        Model of the marks, fitted on the other folds.
    """

    searcher: Searcher
    fold: int
    rule: MarkScore

    @property
    def intensity(self) -> Intensity:
        """HU window."""
        return self.searcher.intensity

    def look(self, case: Case) -> Look:
        """Search one case.

        Raises
        ------
        InputError
            When the run was trained on the patient.
        """
        if not load_folds().held_out(case.patient_id, self.fold):
            raise InputError(
                f"{case.name} cannot be looked at", f"the run of fold {self.fold} was trained on its patient"
            )
        scene = load_scene(case, self.intensity)
        probability = self.searcher.probability(scene)
        places = marks_in_place(scene, probability, self.intensity, self.rule.level)
        return Look(scene, tuple(FoundMark(place, seen, score_of(seen, self.rule)) for place, seen in places))


@dataclass(frozen=True, eq=False)
class Look:
    """A case and what the run of its fold found in it.

    Parameters
    ----------
    scene
        The case as the network sees it.
    marks
        Every mark of the level of the bundle, also those that the threshold hides.
    """

    scene: Scene
    marks: tuple[FoundMark, ...]

    def on_the_nodule(self, threshold: float) -> list[FoundMark]:
        """Marks at a threshold that touch the outlined nodule; none when no one of them finds it."""
        touching = [mark for mark in self.marks if mark.seen.overlap and mark.probability >= threshold]
        return touching if any(is_hit(mark.seen) for mark in touching) else []

    def mask(self, marks: Sequence[FoundMark]) -> BoolArray:
        """Voxels of some marks."""
        mask = np.zeros(self.scene.label.shape, dtype=bool)
        for mark in marks:
            mask[mark.place.box] |= mark.place.mask
        return mask


def fold_models(runs: Sequence[Path], figures: Mapping[str, Any]) -> dict[int, FoldModel]:
    """Model of each fold.

    Raises
    ------
    InputError
        When a run held nothing out, a fold comes twice, or one of the figures is missing.
    """
    models: dict[int, FoldModel] = {}
    for run in runs:
        searcher = Searcher.of(run)
        fold = searcher.fold
        if fold is None or fold in models:
            raise InputError(f"{run} is no run of a fold of its own", "it held nothing out, or comes twice")
        rule = figures["mark_scores"].get(str(fold))
        if rule is None:
            raise InputError(f"{run} is not part of the figures", f"fold {fold} is not among them")
        models[fold] = FoldModel(searcher, fold, MarkScore(**rule))
    missing = sorted(set(figures["folds"]) - models.keys())
    if missing:
        raise InputError("The runs do not fit the figures", f"no run of fold {', '.join(map(str, missing))} is given")
    return models
