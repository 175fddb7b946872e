"""Batches of windows: which one a step gets follows from seed and step alone, so that a run resumes exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.training.named import build
from napari_lesion.training.scenes import BACKGROUND
from napari_lesion.training.segmenter.config import SegmenterConfig
from napari_lesion.training.segmenter.prepare import PreparedCase

if TYPE_CHECKING:
    import torch


class WindowBatches:
    """Batches by step; a map-style dataset for torch's DataLoader.

    Parameters
    ----------
    cases
        Prepared cases.
    config
        Batch, window, share of lesions, augmentation, seed.
    rank, world
        This process and how many there are: each one makes every ``world``-th window of the same batch.

    Raises
    ------
    InputError
        When the batch cannot be shared among the processes, or an augmentation is not known.
    """

    def __init__(self, cases: Sequence[PreparedCase], config: SegmenterConfig, rank: int = 0, world: int = 1) -> None:
        from monai.transforms import Compose

        if config.batch % world:
            raise InputError(
                f"A batch of {config.batch} windows cannot be shared by {world} processes",
                "every process must get as many",
                "Choose a batch that is a multiple of the number of processes",
            )
        self._cases = list(cases)
        self._with_lesions = [case for case in cases if len(case.lesion_points)]
        self._config = config
        self._places = range(rank, config.batch, world)
        self._augment = Compose([build("augmentation", part) for part in config.augmentation])

    def __len__(self) -> int:
        return self._config.steps

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        """Images and labels of a step, shape (n, 1, x, y, z)."""
        import torch

        windows = [self._window(step, place) for place in self._places]
        return {key: torch.stack([window[key] for window in windows]) for key in ("image", "label")}

    def _window(self, step: int, place: int) -> Mapping[str, torch.Tensor]:
        import torch

        first, second = np.random.SeedSequence([self._config.seed, step, place]).generate_state(2)
        rng = np.random.default_rng(first)
        lesion = place < round(self._config.batch * self._config.lesion_share)
        pool = self._with_lesions if lesion else self._cases
        case = pool[int(rng.integers(len(pool)))]
        points = case.lesion_points if lesion or not len(case.background_points) else case.background_points
        if len(points):
            centre = np.array(np.unravel_index(int(points[rng.integers(len(points))]), case.image.shape))
        else:
            centre = np.array(case.image.shape) // 2
        jitter = np.array(self._config.roi_size) // 4
        centre = centre + rng.integers(-jitter, jitter + 1)
        window = cut_window(case, centre, self._config.roi_size)
        self._augment.set_random_state(seed=int(second))
        item: Any = self._augment({key: torch.from_numpy(value[None]) for key, value in window.items()})
        return {key: torch.as_tensor(item[key]).float() for key in ("image", "label")}


def cut_window(
    case: PreparedCase, centre: npt.NDArray[np.int64], size: tuple[int, int, int]
) -> dict[str, npt.NDArray[np.float32]]:
    """Part of a case around a voxel, shifted inside where it can be; 0 and background where the image ends."""
    places, inner = [], []
    for place, edge, n in zip(centre, size, case.image.shape, strict=True):
        start = int(np.clip(place - edge // 2, 0, max(0, n - edge)))
        length = min(edge, n)
        gap = (edge - length) // 2
        places.append(slice(start, start + length))
        inner.append(slice(gap, gap + length))
    image, label = np.zeros(size, np.float32), np.full(size, BACKGROUND, np.float32)
    image[tuple(inner)] = case.image[tuple(places)]
    label[tuple(inner)] = case.label[tuple(places)]
    return {"image": image, "label": label}
