"""Test-time augmentation: the same windows flipped, the mean of the answers, and how far they differ.

A flipped chest holds the same lesions, so what the network says of it, flipped back, is another opinion on the same
voxels. Their mean is the probability that is shown; the opinions themselves are kept beside it, in bytes, so that
the agreement on a lesion follows the threshold as its outline does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box, shifted
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.probability import ProbabilityMap, threshold_byte
from napari_lesion.core.volume import LabelMap
from napari_lesion.inference.components import components
from napari_lesion.inference.ports import Backend
from napari_lesion.inference.resample import ModelFrame, to_native

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Axes = tuple[int, ...]

AXES: Final = (0, 1, 2)
PASSES: Final[Mapping[str, tuple[Axes, ...]]] = {
    "none": ((),),
    "axes": ((), *((axis,) for axis in AXES)),
    "all": tuple(axes for n in range(4) for axes in combinations(AXES, n)),
}
"""Axes that each pass over the windows flips; ``all`` mirrors as nnU-Net does (Isensee 2021, Nat Methods 18:203)."""
AROUND_MM: Final = 10.0
"""How far around a mark the masks of the passes are looked at."""


class FlippedBackend:
    """A backend that sees its windows flipped; what it gives is flipped back.

    Parameters
    ----------
    backend
        Runs the network.
    axes
        Spatial axes of the network input (0, 1, 2) that are flipped; none of them for the window as it is.
    """

    def __init__(self, backend: Backend, axes: Axes) -> None:
        self._backend = backend
        self._axes = axes

    @property
    def name(self) -> str:
        """Name of the backend below."""
        return self._backend.name

    @property
    def device(self) -> str:
        """Device of the backend below."""
        return self._backend.device

    @property
    def precision(self) -> str:
        """Precision of the backend below."""
        return self._backend.precision

    def infer(self, windows: FloatArray) -> FloatArray:
        """Probability (n, x, y, z) of windows (n, channels, x, y, z), in the orientation in which they came."""
        if not self._axes:
            return self._backend.infer(windows)
        flipped = np.flip(windows, tuple(axis + 2 for axis in self._axes))
        result = self._backend.infer(np.ascontiguousarray(flipped))
        return np.flip(result, tuple(axis + 1 for axis in self._axes))

    def close(self) -> None:
        """Close the backend below."""
        self._backend.close()


class MirroredMean(FlippedBackend):
    """A backend that sees each window twice, as it is and flipped along all axes, and gives the mean.

    A network with strides answers a little differently when its window begins a voxel later; flipped, it begins at
    the other end. So for a window that is not blended with its neighbours the mean is the steadier answer.

    Parameters
    ----------
    backend
        Runs the network.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend, (0, 1, 2))

    def infer(self, windows: FloatArray) -> FloatArray:
        """Mean probability (n, x, y, z) of windows (n, channels, x, y, z)."""
        return np.float32(0.5) * (self._backend.infer(windows) + super().infer(windows))


class PassContext(JobContext):
    """One of several equal passes, which counts its windows among those of all passes.

    Parameters
    ----------
    ctx
        The job.
    number, passes
        Which pass this is, from 0, and how many there are.
    """

    def __init__(self, ctx: JobContext, number: int, passes: int) -> None:
        super().__init__(ctx.token)
        self._ctx = ctx
        self._number = number
        self._passes = passes

    def step(self, stage: str, done: int = 0, total: int = 0, parts: int = 1) -> None:
        """As `JobContext.step`; the passes are the parts."""
        self._ctx.step(stage, self._number * total + done, self._passes * total, self._passes * parts)


def mean_of_passes(
    run: Callable[[Axes, JobContext], FloatArray], flips: Sequence[Axes], frame: ModelFrame, ctx: JobContext
) -> tuple[FloatArray, tuple[ProbabilityMap, ...]]:
    """Mean of what the passes give on the model grid, and each of them on the native grid.

    Parameters
    ----------
    run
        One pass with these axes flipped; float32 on the model grid.
    flips
        Axes of each pass.
    frame
        Where the model grid lies.
    ctx
        Progress over all passes.

    Returns
    -------
    tuple
        The mean, float32; the members, none of them for a single pass, whose result is given as it is.
    """
    if len(flips) == 1:
        return run(flips[0], ctx), ()
    members: list[ProbabilityMap] = []
    total: FloatArray | None = None
    for number, axes in enumerate(flips):
        dense = run(axes, PassContext(ctx, number, len(flips)))
        members.append(to_native(dense, frame))
        total = dense if total is None else np.add(total, dense, out=total)
    assert total is not None
    total /= np.float32(len(flips))
    return total, tuple(members)


def with_members(mean: ProbabilityMap, members: Sequence[ProbabilityMap]) -> ProbabilityMap:
    """The mean with its members, which keep only the voxels at which the mean is stored above 0."""
    kept = []
    for member in members:
        blocks = {
            i: np.where(block > 0, member.blocks[i], 0) for i, block in mean.blocks.items() if i in member.blocks
        }
        kept.append(ProbabilityMap(member.grid, blocks))
    return replace(mean, members=tuple(kept))


def spread(probability: ProbabilityMap) -> ProbabilityMap:
    """Population SD of the members at each voxel, 0 to 0.5, in the bytes of a probability map; empty without them."""
    blocks = {}
    if not probability.members:
        return ProbabilityMap(probability.grid)
    for index, block in probability.blocks.items():
        values = np.zeros((len(probability.members), *block.shape), np.float32)
        for value, member in zip(values, probability.members, strict=True):
            if index in member.blocks:
                value[:] = member.blocks[index]
        blocks[index] = np.rint(values.std(axis=0)).astype(np.uint8)
    return ProbabilityMap(probability.grid, blocks)


def with_agreement(
    lesions: Mapping[int, Lesion], labels: LabelMap, probability: ProbabilityMap, threshold: float
) -> dict[int, Lesion]:
    """The lesions, untouched ones of the model with agreement and range of volume of the passes.

    Parameters
    ----------
    lesions
        Lesions by label.
    labels
        Their voxels.
    probability
        Mean with its members; without members nothing is changed.
    threshold
        Probability from which a voxel counts as lesion.

    Notes
    -----
    The mask of a pass is what lies at the threshold, touches the mark (26-connected), belongs to no other mark and is
    at most `AROUND_MM` outside the box of the mark. Agreement is the mean Dice of all pairs of these masks (Roy 2019,
    NeuroImage 195:11, section 3.3.2), where a pair in which both are empty counts 0: a lesion that one of four passes
    finds has agreement 0. The range runs from the smallest to the largest volume of the masks and of the mark itself;
    it is no confidence interval.
    """
    from scipy.ndimage import find_objects

    if not probability.members:
        return dict(lesions)
    bounds = probability.bounds()
    result = dict(lesions)
    if bounds is None:
        return result
    for label, place in enumerate(find_objects(labels.array[bounds]), start=1):
        lesion = lesions.get(label)
        if place is None or lesion is None or lesion.status is not Status.MODEL:
            continue
        box = _around(shifted(place, bounds), labels)
        masks, mark = _masks(label, labels.array[box], probability, box, threshold)
        volumes = np.array([mark.sum(), *masks.sum(axis=1)]) * labels.grid.voxel_volume_mm3
        result[label] = replace(
            lesion,
            agreement=mean_pairwise_dice(masks),
            volume_range_mm3=(float(volumes.min()), float(volumes.max())),
        )
    return result


def _around(box: Box, labels: LabelMap) -> Box:
    z, y, x = (
        slice(max(0, part.start - round(AROUND_MM / step)), min(n, part.stop + round(AROUND_MM / step)))
        for part, step, n in zip(box, labels.grid.spacing_zyx, labels.grid.shape, strict=True)
    )
    return z, y, x


def _masks(
    label: int, labels: npt.NDArray[np.uint16], probability: ProbabilityMap, box: Box, threshold: float
) -> tuple[BoolArray, BoolArray]:
    """Mask of each pass (members, voxels), and the mark itself (voxels)."""
    mark = labels == label
    others = (labels > 0) & ~mark
    masks = []
    for member in probability.members:
        parts = components((member.dense(box) >= max(1, threshold_byte(threshold))) & ~others, 26)
        touching = np.zeros(int(parts.max()) + 1, dtype=bool)
        touching[np.unique(parts[mark])] = True
        touching[0] = False
        masks.append(touching[parts].ravel())
    return np.stack(masks), mark.ravel()


def mean_pairwise_dice(masks: BoolArray) -> float:
    """Mean Dice of all pairs of masks (n, voxels); a pair of empty ones counts 0."""
    counted = masks.astype(np.float64)
    common = counted @ counted.T
    sizes = np.diag(common)
    first, second = np.triu_indices(len(masks), 1)
    both = sizes[first] + sizes[second]
    dice = np.divide(2 * common[first, second], both, out=np.zeros(len(both)), where=both > 0)
    return float(dice.mean())
