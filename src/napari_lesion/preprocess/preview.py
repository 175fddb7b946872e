"""What a chain does to one axial slice, fast enough to follow the slider.

What a step must know of the whole image (mean, percentiles, bias field, masks) is taken once from a coarse copy that
holds every n-th voxel; then only the slices around the one that is shown are treated, at full resolution.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import Volume
from napari_lesion.inference.coarse import factors_for
from napari_lesion.preprocess.chain import Chain, attempt, check_modality, finite, labelled

COARSE_MM: Final = 2.5


@dataclass(frozen=True, eq=False)
class SlicePreview:
    """One treated slice.

    Parameters
    ----------
    volume
        One axial slice on its grid.
    limits
        1st and 99.9th percentile of the treated coarse copy, for the contrast of all slices.
    """

    volume: Volume
    limits: tuple[float, float]


@dataclass(eq=False)
class Previewer:
    """Previews of one chain on one volume; used by one job at a time.

    Parameters
    ----------
    volume
        The image.
    chain
        The steps.
    before
        Previewer of another chain on the same volume, whose first steps may be the same.
    """

    volume: Volume
    chain: Chain
    before: Previewer | None = None
    _known: dict[tuple[str, ...], tuple[Any, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        texts = [item.text for item in self.chain.chosen]
        prefixes = {tuple(texts[: k + 1]) for k in range(len(texts))}
        known = self.before._known if self.before is not None and self.before.volume is self.volume else {}
        self._known = {prefix: made for prefix, made in known.items() if prefix in prefixes}
        self.before = None

    def slice(self, index: int, ctx: JobContext | None = None) -> SlicePreview:
        """The treated slice of this index along the axial axis of the volume.

        Raises
        ------
        InputError
            When a step does not suit the image.
        """
        ctx = ctx or JobContext()
        check_modality(self.volume, self.chain)
        self._learn(ctx)
        return self._treated(index, ctx)

    def _learn(self, ctx: JobContext) -> None:
        """Prepare every step on the coarse copy, as far as that was not done before."""
        from napari_lesion.preprocess.images import image_of

        texts: tuple[str, ...] = ()
        coarse: Any = None
        for item in self.chain.chosen:
            before, texts = texts, (*texts, item.text)
            if texts in self._known:
                continue
            ctx.step(f"Preview: {item.step.title}")
            if coarse is None:
                coarse = self._known[before][1] if before else image_of(every_nth(self.volume))
            frozen = attempt(item, partial(item.step.build_frozen, item.parameters, coarse))
            after = coarse if item.step.changes_grid else attempt(item, partial(frozen, coarse))
            self._known[texts] = frozen, after
            coarse = after

    def _treated(self, index: int, ctx: JobContext) -> SlicePreview:
        from napari_lesion.preprocess.images import grid_of, image_of, native_of

        part, at = self._slab(index)
        image = image_of(part)
        texts: tuple[str, ...] = ()
        coarse: Any = None
        for item in self.chain.chosen:
            texts = (*texts, item.text)
            ctx.step(f"Preview: {item.step.title}")
            frozen, coarse = self._known[texts]
            image = attempt(item, partial(frozen, image))
        slab = replace(part, array=native_of(image).astype(np.float32, copy=False), grid=grid_of(image))
        shown = _one_slice(slab, at)
        values = np.asarray(coarse if coarse is not None else image)
        low, high = (float(value) for value in np.percentile(values, (1, 99.9)))
        return SlicePreview(labelled(shown, self.chain), (low, high if high > low else low + 1.0))

    def _slab(self, index: int) -> tuple[Volume, Any]:
        """Slices around one, as many as the steps look at, and the place (LPS mm) of its middle."""
        grid, axis = self.volume.grid, self.volume.grid.axial_axis
        reach = sum(item.step.reach(item.parameters) for item in self.chain.chosen)
        for item in self.chain.chosen:
            if item.step.changes_grid:
                reach += int(np.ceil(max(item.parameters.pixdim) / grid.spacing_zyx[axis]))
        index = min(max(index, 0), grid.shape[axis] - 1)
        box = [slice(0, n) for n in grid.shape]
        box[axis] = slice(max(0, index - reach), min(grid.shape[axis], index + reach + 1))
        middle = [(n - 1) / 2 for n in grid.shape]
        middle[axis] = index
        part = cut(self.volume, (box[0], box[1], box[2]))
        return replace(part, array=finite(part.array)), grid.to_physical(middle)


def every_nth(volume: Volume) -> Volume:
    """A coarse copy that holds every n-th voxel: noise and histogram stay those of the image."""
    z, y, x = (min(factor, max(1, n // 16)) for factor, n in zip(_factors(volume), volume.grid.shape, strict=True))
    array = finite(volume.array[::z, ::y, ::x])
    grid = volume.grid
    size = (array.shape[2], array.shape[1], array.shape[0])
    spacing = (grid.spacing[0] * x, grid.spacing[1] * y, grid.spacing[2] * z)
    return replace(volume, array=array, grid=Grid(size, spacing, grid.origin, grid.direction))


def _factors(volume: Volume) -> tuple[int, int, int]:
    return factors_for(volume.grid, COARSE_MM)


def cut(volume: Volume, box: Box) -> Volume:
    """A part of a volume, without a copy."""
    return replace(volume, array=volume.array[box], grid=volume.grid.cropped(box))


def _one_slice(volume: Volume, place: Any) -> Volume:
    """The axial slice nearest to a place (LPS mm)."""
    axis = volume.grid.axial_axis
    index = int(np.clip(np.rint(volume.grid.to_index(place)[axis]), 0, volume.grid.shape[axis] - 1))
    box = [slice(0, n) for n in volume.grid.shape]
    box[axis] = slice(index, index + 1)
    return cut(volume, (box[0], box[1], box[2]))
