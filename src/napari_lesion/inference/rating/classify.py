"""Rate lesions: networks on crops, trees on measurements, both joined and calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.rating.crops import CropSpec
from napari_lesion.inference.rating.heads import Heads, Logistic, apply_heads
from napari_lesion.inference.rating.network import Run, open_members, views
from napari_lesion.inference.rating.scores import N_SCORES, BoostedModel, boosted_scores, shipped_scores
from napari_lesion.models.classifier import ANSWERS, ClassifierInfo, find_classifier, load_trees

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """Probabilities of several lesions.

    Parameters
    ----------
    suspicious, calcified
        That readers would rate it so, shape (lesion,).
    texture
        Of each texture, shape (lesion, class).
    """

    suspicious: DoubleArray
    texture: DoubleArray
    calcified: DoubleArray


class Classifier:
    """The classifier of a bundle, ready to rate; what it needs is loaded when it is first asked for.

    Parameters
    ----------
    info
        The bundle.
    """

    def __init__(self, info: ClassifierInfo) -> None:
        self.info = info
        self.spec = CropSpec(info.size, info.pixel_mm, info.a_min, info.a_max)
        suspicious, texture, calcified = (Logistic(*info.heads[name]) for name in ANSWERS)
        self.heads = Heads(suspicious, texture, calcified)
        self._run: Run | None = None

    @cached_property
    def trees(self) -> tuple[BoostedModel, ...]:
        """Boosted models of the members."""
        arrays = load_trees(self.info)
        return tuple(BoostedModel.from_arrays(arrays[name], len(self.info.measures)) for name in self.info.members)

    def network_scores(self, crops: Sequence[FloatArray], ctx: JobContext | None = None) -> FloatArray:
        """Mean scores of the networks, shape (lesion, score): logits over all views, then scores over all members.

        Parameters
        ----------
        crops
            From `crops.plain_crop`, one a lesion.
        ctx
            Told when the networks are converted, the first time on a machine.
        """
        if self._run is None:
            self._run = open_members(self.info, ctx)
        rows = [shipped_scores(self._run(views(crop)).mean(axis=1)).mean(axis=0) for crop in crops]
        return np.array(rows, dtype=np.float32).reshape(len(crops), N_SCORES)

    def boosted_scores(self, measures: FloatArray) -> FloatArray:
        """Mean scores of the boosted models; measures of shape (lesion, measure), in the order of the bundle."""
        members = [boosted_scores(member, measures) for member in self.trees]
        return np.asarray(np.mean(members, axis=0, dtype=np.float64), dtype=np.float32)

    def scores(self, crops: Sequence[FloatArray], measures: FloatArray, ctx: JobContext | None = None) -> FloatArray:
        """Scores of networks and trees side by side, as the calibrations take them."""
        return np.concatenate((self.network_scores(crops, ctx), self.boosted_scores(measures)), axis=1)

    def rate(self, crops: Sequence[FloatArray], measures: FloatArray, ctx: JobContext | None = None) -> Answers:
        """Rate lesions by their crops and measures."""
        return Answers(*apply_heads(self.heads, self.scores(crops, measures, ctx)))


def open_classifier() -> Classifier | None:
    """The classifier of lung nodules, kept in memory as long as its files stay the same; None where there is none.

    Raises
    ------
    ModelError
        When its bundle is damaged.
    """
    info = find_classifier()
    if info is None:
        return None
    files = ("configs/metadata.json", "configs/inference.json", "models/model.pt", "models/trees.npz")
    stamps = tuple((info.path / name).stat().st_mtime_ns if (info.path / name).is_file() else 0 for name in files)
    return _opened(info.path, stamps)


@lru_cache(maxsize=2)
def _opened(_path: Path, _stamps: tuple[int, ...]) -> Classifier:
    info = find_classifier()
    assert info is not None
    return Classifier(info)
