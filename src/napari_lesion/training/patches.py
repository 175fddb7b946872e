"""Training batches as a function of the step: the same step always gives the same batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_lesion.training.config import Stage
from napari_lesion.training.scenes import IGNORE, Scene

if TYPE_CHECKING:
    import torch

Points = npt.NDArray[np.int64]
Batch = dict[str, "torch.Tensor"]
Patch = dict[str, npt.NDArray[Any]]

SEAM_VOXELS = 4


class PatchBatches:
    """Map-style dataset of whole batches: item ``n`` is the batch of step ``n``.

    Because a batch depends on seed and step alone, a run that is resumed sees what an unbroken one
    would have seen.

    Parameters
    ----------
    scenes
        Prepared cases.
    stage
        Patch size and numbers of patches.
    seed
        Seed of the run.
    hard_points
        Centres of mined false marks by name of the case, (n, 3).
    """

    def __init__(
        self, scenes: Sequence[Scene], stage: Stage, seed: int, hard_points: Mapping[str, Points] | None = None
    ) -> None:
        hard = hard_points or {}
        self._stage = stage
        self._seed = seed
        self._lesions = [(scene, scene.lesion_points) for scene in scenes if len(scene.lesion_points)]
        self._background = [
            (scene, scene.background_points)
            for scene in scenes
            if len(scene.background_points) and (scene.case.kind != "cube" or not len(scene.lesion_points))
        ]
        self._hard = [(scene, hard[scene.case.name]) for scene in scenes if len(hard.get(scene.case.name, ()))]
        self._hosts = [scene for scene in scenes if scene.case.kind == "scan"]
        self._weights = _scan_weights([scene for scene, _ in self._background])
        self._augment = augmentation()

    def __len__(self) -> int:
        return self._stage.steps

    def __getitem__(self, step: int) -> Batch:
        import torch

        rng = np.random.default_rng([self._seed, step])
        patches = [self._lesion_patch(rng) for _ in range(self._stage.lesion_patches)]
        patches += [self._background_patch(rng) for _ in range(self._stage.background_patches)]
        augmented = []
        for patch in patches:
            self._augment.set_random_state(seed=int(rng.integers(2**31)))
            augmented.append(self._augment({key: patch[key] for key in ("image", "label")}))
        return {key: torch.stack([torch.as_tensor(patch[key]) for patch in augmented]) for key in ("image", "label")}

    def _lesion_patch(self, rng: np.random.Generator) -> Patch:
        scene, points = self._lesions[int(rng.integers(len(self._lesions)))]
        return self._cut(rng, scene, points)

    def _background_patch(self, rng: np.random.Generator) -> Patch:
        if self._hard and rng.random() < self._stage.hard_fraction:
            scene, points = self._hard[int(rng.integers(len(self._hard)))]
        else:
            scene, points = self._background[int(rng.choice(len(self._background), p=self._weights))]
        return self._cut(rng, scene, points)

    def _cut(self, rng: np.random.Generator, scene: Scene, points: Points) -> Patch:
        """Cut near one of the points; a cube or slab may be set into the lung of a scan."""
        patch = self._near(rng, scene, points)
        if scene.case.kind == "scan" or not self._hosts or rng.random() >= self._stage.inset_fraction:
            return patch
        host = self._hosts[int(rng.integers(len(self._hosts)))]
        return set_into(patch, self._near(rng, host, host.background_points))

    def _near(self, rng: np.random.Generator, scene: Scene, points: Points) -> Patch:
        jitter = self._stage.roi // 4
        center = points[int(rng.integers(len(points)))] + rng.integers(-jitter, jitter + 1, 3)
        return crop(scene, center, self._stage.roi)


def _scan_weights(scenes: Sequence[Scene]) -> npt.NDArray[np.float64]:
    """Give a scan four times the share of a cube: it holds far more that is no lesion."""
    weights = np.array([4.0 if scene.case.kind == "scan" else 1.0 for scene in scenes])
    shares: npt.NDArray[np.float64] = weights / weights.sum()
    return shares


def crop(scene: Scene, center: Points, roi: int) -> Patch:
    """Cut a cubic patch; beyond the faces the image is mirrored and the label is `IGNORE`.

    Parameters
    ----------
    scene
        What to cut from.
    center
        Voxel (x, y, z) in the middle of the patch; may lie outside.
    roi
        Edge, voxels.

    Returns
    -------
    dict
        ``image`` float32, ``label`` uint8 and ``depth`` float32 (0 outside, rising to 1 at
        `SEAM_VOXELS` from the nearest face), each (1, roi, roi, roi).
    """
    depths, mirrored = [], []
    for middle, length in zip(center, scene.image.shape, strict=True):
        index = np.arange(roi) + int(middle) - roi // 2
        depths.append(np.clip(np.minimum(index + 1, length - index) / SEAM_VOXELS, 0, 1).astype(np.float32))
        mirrored.append(_mirror(index, length))
    window = np.ix_(*mirrored)
    depth = depths[0][:, None, None] * depths[1][:, None] * depths[2]
    label = np.where(depth > 0, scene.label[window], np.uint8(IGNORE))
    return {"image": scene.image[window].astype(np.float32)[None], "label": label[None], "depth": depth[None]}


def set_into(patch: Patch, host: Patch) -> Patch:
    """Put what lies outside of the patch's own image from another one, with a soft seam.

    A window of a whole scan is larger than the 51 mm cubes that the nodules come in; this gives the
    network such windows, labelled to their faces.
    """
    depth = patch["depth"]
    return {
        "image": depth * patch["image"] + (1 - depth) * host["image"],
        "label": np.where(depth > 0.5, patch["label"], host["label"]),
    }


def _mirror(index: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    period = max(2 * (length - 1), 1)
    folded = np.mod(index, period)
    mirrored: npt.NDArray[np.int64] = np.minimum(folded, period - folded) if length > 1 else np.zeros_like(index)
    return mirrored


def augmentation() -> Any:
    """MONAI transforms that a patch goes through: geometry, sharpness, slice thickness, noise, intensity."""
    from monai import transforms as mt

    both = ["image", "label"]
    flips = [mt.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3)]
    turns = [mt.RandRotate90d(both, prob=0.5, spatial_axes=axes) for axes in ((0, 1), (0, 2), (1, 2))]
    affine = mt.RandAffined(
        both,
        prob=0.5,
        rotate_range=(0.4, 0.4, 0.4),
        scale_range=(0.25, 0.25, 0.25),
        mode=["bilinear", "nearest"],
        padding_mode="reflection",
    )
    thick_slices = mt.RandGaussianSmoothd(
        "image", sigma_x=(0.01, 0.02), sigma_y=(0.01, 0.02), sigma_z=(0.5, 1.2), prob=0.2
    )
    return mt.Compose(
        [
            *flips,
            affine,
            thick_slices,
            *turns,
            mt.RandGaussianSmoothd("image", sigma_x=(0.3, 0.9), sigma_y=(0.3, 0.9), sigma_z=(0.3, 0.9), prob=0.15),
            mt.RandSimulateLowResolutiond("image", prob=0.15, zoom_range=(0.5, 1.0)),
            mt.RandGaussianSharpend("image", prob=0.1),
            mt.RandGaussianNoised("image", prob=0.3, std=0.03),
            mt.RandScaleIntensityd("image", factors=0.1, prob=0.3),
            mt.RandShiftIntensityd("image", offsets=0.04, prob=0.3),
            mt.EnsureTyped("image", dtype="float32"),
        ]
    )
