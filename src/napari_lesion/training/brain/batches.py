"""Batches of brain crops as a function of the step: the same step always gives the same batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.components import components
from napari_lesion.training.brain.acquisition import LEVELS
from napari_lesion.training.brain.pool import REAL, TISSUE, PoolItem
from napari_lesion.training.detector.batches import KEYS, Batch
from napari_lesion.training.detector.config import Stretch
from napari_lesion.training.detector.crops import Crop, Points, cut
from napari_lesion.training.scenes import LESION

REAL_SHARE = 0.35
"""Share of the crops that come from an untouched visit, where there is one."""
MAX_POINTS = 5000


@dataclass(frozen=True, eq=False)
class PoolScan:
    """One scan of the pool; its voxels stay on disk.

    Parameters
    ----------
    item
        What is known of it.
    path
        File of image and label (2, x, y, z), uint8.
    """

    item: PoolItem
    path: Path

    @cached_property
    def arrays(self) -> npt.NDArray[np.uint8]:
        """Image and label, mapped into memory."""
        arrays: npt.NDArray[np.uint8] = np.load(self.path, mmap_mode="r")
        return arrays

    @cached_property
    def lesions(self) -> list[Points]:
        """Voxels of each lesion, a hundred at most of one."""
        labels = components(np.asarray(self.arrays[1]) == LESION, 26)
        points = np.argwhere(labels)
        numbers = labels[tuple(points.T)]
        order = np.argsort(numbers, kind="stable")
        parts = np.split(points[order], np.flatnonzero(np.diff(numbers[order])) + 1)
        return [part[:: max(1, len(part) // 100)] for part in parts if len(part)]

    @cached_property
    def tissue(self) -> Points:
        """Voxels of brain without lesion, some thousands."""
        found = np.flatnonzero(self.arrays[1] == TISSUE)
        chosen = found[:: max(1, len(found) // MAX_POINTS)]
        return np.stack(np.unravel_index(chosen, self.arrays.shape[1:]), axis=1)


class BrainBatches:
    """Item ``n`` is the batch of step ``n``.

    Parameters
    ----------
    scans
        Scans of the pool that may be learned from.
    stretch
        Sizes and numbers; ``negatives`` crops of each batch are centred on tissue without lesion, the others on a
        lesion: each lesion of a scan as often as any other, however large.
    seed
        Seed of the run.
    """

    def __init__(self, scans: Sequence[PoolScan], stretch: Stretch, seed: int) -> None:
        self._groups = [[scan for scan in scans if (scan.item.kind == REAL) is real] for real in (False, True)]
        self._stretch = stretch
        self._seed = seed
        self._augment = brain_augmentation()

    def __len__(self) -> int:
        return self._stretch.steps

    def __getitem__(self, step: int) -> Batch:
        import torch

        rng = np.random.default_rng([self._seed, step])
        crops = []
        for number in range(self._stretch.batch):
            crop = self._crop(rng, lesion=number >= self._stretch.negatives)
            self._augment.set_random_state(seed=int(rng.integers(2**31)))
            crops.append(self._augment(crop))
        return {key: torch.stack([torch.as_tensor(crop[key]) for crop in crops]) for key in KEYS}

    def _crop(self, rng: np.random.Generator, lesion: bool) -> Crop:
        real = bool(self._groups[1]) and rng.random() < REAL_SHARE
        scans = self._groups[real]
        scan = scans[int(rng.integers(len(scans)))]
        points = scan.tissue
        if lesion and scan.lesions:
            points = scan.lesions[int(rng.integers(len(scan.lesions)))]
        jitter = self._stretch.jitter
        center = points[int(rng.integers(len(points)))] + rng.integers(-jitter, jitter + 1, 3)
        crop = cut((scan.arrays[0], scan.arrays[1], None), center, self._stretch.roi)
        return {"image": crop["image"] / np.float32(LEVELS), "target": crop["target"]}


def brain_augmentation() -> Any:
    """MONAI transforms of a crop: mirrored halves, small turns and sizes, noise, and the scale of the z-score."""
    from monai import transforms as mt

    return mt.Compose(
        [
            mt.RandFlipd(KEYS, prob=0.5, spatial_axis=0),
            mt.RandAffined(
                KEYS,
                prob=0.4,
                rotate_range=(0.2, 0.2, 0.2),
                scale_range=(0.15, 0.15, 0.15),
                mode="bilinear",
                padding_mode="reflection",
            ),
            mt.RandGaussianSmoothd("image", prob=0.1, **{f"sigma_{axis}": (0.2, 0.8) for axis in "xyz"}),
            mt.RandGaussianNoised("image", prob=0.3, std=0.02),
            mt.RandAdjustContrastd("image", prob=0.2, gamma=(0.8, 1.25)),
            mt.RandScaleIntensityd("image", factors=0.2, prob=0.5),
            mt.RandShiftIntensityd("image", offsets=0.08, prob=0.5),
            mt.EnsureTyped(KEYS, dtype="float32", track_meta=False),
        ]
    )
