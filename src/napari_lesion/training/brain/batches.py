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
from napari_lesion.training.brain.cases import FloatArray
from napari_lesion.training.brain.pool import REAL, TISSUE, PoolItem
from napari_lesion.training.detector.batches import KEYS, Batch
from napari_lesion.training.detector.config import CropConfig, Stretch
from napari_lesion.training.detector.crops import Crop, Points, cut
from napari_lesion.training.scenes import LESION

REAL_SHARE = 0.35
"""Share of the crops that come from an untouched visit, where there is one."""
BY_NUMBER = 0.5
"""Share of the lesion crops that give every lesion the same chance, however large."""
MAX_POINTS = 5000
USUAL_CONTRAST, LEAST_CONTRAST = 45.0, 13.0
"""Levels that a lesion is brighter than the brain's median: of a scan without any, and at least."""
LESION_RATIOS = (1.22, 1.62)
"""Lesions by the median of the brain: 1.32 to 1.66 in the visits that are there, 1.42 in the stroke."""


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
        """Voxels of each lesion."""
        labels = components(np.asarray(self.arrays[1]) == LESION, 26)
        points = np.argwhere(labels)
        numbers = labels[tuple(points.T)]
        order = np.argsort(numbers, kind="stable")
        parts = np.split(points[order], np.flatnonzero(np.diff(numbers[order])) + 1)
        return [part for part in parts if len(part)]

    @cached_property
    def levels(self) -> tuple[float, float]:
        """Median of the brain, and how much brighter than it lesions are (`USUAL_CONTRAST` without any)."""
        image, label = np.asarray(self.arrays[0]), np.asarray(self.arrays[1])
        middle = float(np.median(image[label > 0]))
        lesions = image[label == LESION]
        contrast = float(np.median(lesions)) - middle if lesions.size else USUAL_CONTRAST
        return middle, max(contrast, LEAST_CONTRAST)

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
    config
        Seed, and the multiples of the brain's median that become 0 and 1.
    """

    def __init__(self, scans: Sequence[PoolScan], stretch: Stretch, config: CropConfig) -> None:
        self._groups = [[scan for scan in scans if (scan.item.kind == REAL) is real] for real in (False, True)]
        self._stretch = stretch
        self._seed = config.seed
        self._intensity = config.intensity
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
            points = _drawn(scan.lesions, rng)
        jitter = self._stretch.jitter
        center = points[int(rng.integers(len(points)))] + rng.integers(-jitter, jitter + 1, 3)
        crop = cut((scan.arrays[0], scan.arrays[1], None), center, self._stretch.roi)
        return {"image": self._as_ratio(crop["image"], scan, rng), "target": crop["target"]}

    def _as_ratio(self, levels: FloatArray, scan: PoolScan, rng: np.random.Generator) -> FloatArray:
        """Levels as multiples of the brain's median, scaled to the network; the contrast of lesions is drawn anew."""
        middle, contrast = scan.levels
        ratio = 1 + (rng.uniform(*LESION_RATIOS) - 1) / contrast * (levels - middle)
        scaled = (ratio - self._intensity.a_min) / (self._intensity.a_max - self._intensity.a_min)
        clipped: FloatArray = np.clip(scaled, 0, 1).astype(np.float32)
        return clipped


def _drawn(lesions: list[Points], rng: np.random.Generator) -> Points:
    """Voxels of a lesion drawn by number, or all voxels, so that the inside of large ones is seen too."""
    if rng.random() < BY_NUMBER:
        return lesions[int(rng.integers(len(lesions)))]
    return np.concatenate(lesions)


def brain_augmentation() -> Any:
    """MONAI transforms of a crop: mirrored halves, small turns and sizes, noise, and the scale."""
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
            mt.RandAdjustContrastd("image", prob=0.2, gamma=(0.9, 1.1)),
            mt.RandScaleIntensityd("image", factors=0.05, prob=0.5),
            mt.RandShiftIntensityd("image", offsets=0.02, prob=0.5),
            mt.EnsureTyped(KEYS, dtype="float32", track_meta=False),
        ]
    )
