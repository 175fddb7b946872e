"""What can be chosen for a training beside its configuration; options of the command line are made from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from napari_lesion.core.parameters import Param, check_ranges

if TYPE_CHECKING:
    from napari_lesion.training.segmenter.config import SegmenterConfig


@dataclass(frozen=True)
class TrainParameters:
    """What can be chosen for a training beside its configuration.

    Parameters
    ----------
    fold, seed
        Fold that is held out and seed; None for those of the configuration.
    all_folds
        Whether every fold is held out in turn.
    device
        ``auto``, ``cpu`` or ``cuda``.
    workers
        Processes that make batches ahead; 0 makes them in this one.
    """

    fold: Annotated[int | None, Param("Fold that is held out", low=0)] = None
    all_folds: Annotated[
        bool, Param("Hold out every fold in turn: one bundle a fold, BUNDLE-fold0 and so on, and their mean")
    ] = False
    seed: Annotated[int | None, Param("Seed instead of that of the configuration", low=0)] = None
    device: Annotated[str, Param("Where to compute; auto takes a CUDA card", choices=("auto", "cpu", "cuda"))] = (
        "auto"
    )
    workers: Annotated[int, Param("Processes that make batches ahead", low=0, high=64)] = 0

    def __post_init__(self) -> None:
        check_ranges(self)

    def on(self, config: SegmenterConfig) -> SegmenterConfig:
        """The configuration with the fold and the seed that were chosen."""
        fold = config.fold if self.fold is None else self.fold
        return replace(config, fold=fold, seed=config.seed if self.seed is None else self.seed)
