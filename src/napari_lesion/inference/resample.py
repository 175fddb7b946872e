"""Native grid to model grid and back: one linear resampling along the native axes, aligned by voxel centres.

The model grid has the axes of the native grid with the spacing of the model. What the network calls right,
anterior and superior is a permuted and flipped NumPy view of it, as MONAI's ``Orientation`` would turn the
image; the residual rotation of an oblique scan is left alone there and here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Grid, Triple
from napari_lesion.core.probability import BLOCK, SCALE, ProbabilityMap, to_bytes

FloatArray = npt.NDArray[np.float32]

NOTHING: Final = 0.5 / SCALE
"""Probabilities below this are stored as 0."""


@dataclass(frozen=True)
class ModelFrame:
    """Where the model grid lies on a native grid.

    Parameters
    ----------
    native
        Native grid.
    box
        Native box (z, y, x) that the model grid covers.
    spacing_zyx
        Spacing of the model grid along the native array axes, mm.
    axes, flips
        Native array axis behind each axis of the network input, and whether it runs against it.
    """

    native: Grid
    box: Box
    spacing_zyx: Triple
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def of(cls, native: Grid, box: Box, spacing: Triple, axcodes: str = "RAS") -> ModelFrame:
        """Frame for a network whose input axes run to ``axcodes`` with the given spacing along them, mm."""
        axes, flips = orientation(native, axcodes)
        along = [0.0, 0.0, 0.0]
        for axis, step in zip(axes, spacing, strict=True):
            along[axis] = step
        return cls(native, box, (along[0], along[1], along[2]), axes, flips)

    @property
    def ratios(self) -> Triple:
        """Native voxels per model voxel along (z, y, x)."""
        z, y, x = (m / n for m, n in zip(self.spacing_zyx, self.native.spacing_zyx, strict=True))
        return z, y, x

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the model grid in native axis order; its last voxel may reach over the box."""
        z, y, x = (
            max(1, int(np.ceil(round((part.stop - part.start) / ratio, 6))))
            for part, ratio in zip(self.box, self.ratios, strict=True)
        )
        return z, y, x

    @property
    def grid(self) -> Grid:
        """The model grid, axes as the native ones."""
        first = [part.start + 0.5 * ratio - 0.5 for part, ratio in zip(self.box, self.ratios, strict=True)]
        origin = self.native.to_physical(first)
        z, y, x = self.shape
        sz, sy, sx = self.spacing_zyx
        return Grid(
            (x, y, z), (sx, sy, sz), (float(origin[0]), float(origin[1]), float(origin[2])), self.native.direction
        )

    def to_input(self, part: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """View of a part in native axis order as the network wants it."""
        return part.transpose(self.axes)[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def from_input(self, part: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """View of a part in network order in native axis order."""
        back = part[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        return back.transpose(np.argsort(self.axes))

    def roi_zyx(self, roi: tuple[int, int, int]) -> tuple[int, int, int]:
        """Window size in native axis order."""
        along = [0, 0, 0]
        for axis, n in zip(self.axes, roi, strict=True):
            along[axis] = n
        return along[0], along[1], along[2]


def orientation(grid: Grid, axcodes: str) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Native array axis behind each letter of ``axcodes``, and whether the axis must be flipped to run there."""
    families, towards_positive = ("RL", "AP", "IS"), "LPS"
    axes, flips = [], []
    for code in axcodes:
        patient = next(i for i, family in enumerate(families) if code in family)
        axis = grid.patient_axes[patient]
        positive = float(grid.matrix[patient, 2 - axis]) > 0
        axes.append(axis)
        flips.append(positive != (code in towards_positive))
    return (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2])


@dataclass(frozen=True)
class _Taps:
    """Linear interpolation along one axis: two neighbours and the weight of the second."""

    low: npt.NDArray[np.intp]
    high: npt.NDArray[np.intp]
    weight: FloatArray

    @classmethod
    def at(cls, positions: npt.NDArray[np.float64], n: int) -> _Taps:
        clipped = positions.clip(0, n - 1)
        low = np.floor(clipped).astype(np.intp)
        return cls(low, np.minimum(low + 1, n - 1), (clipped - low).astype(np.float32))

    @property
    def span(self) -> slice:
        return slice(int(self.low.min()), int(self.high.max()) + 1)

    def relative(self) -> _Taps:
        first = self.span.start
        return _Taps(self.low - first, self.high - first, self.weight)


def to_model(
    array: npt.NDArray[Any], frame: ModelFrame, nan: float = 0.0, progress: Callable[[int, int], None] | None = None
) -> FloatArray:
    """Linear interpolation of a native array on the model grid.

    Parameters
    ----------
    array
        Native array (z, y, x), any number type; only the part that is needed is read, slice by slice.
    frame
        Where the model grid lies.
    nan
        Put in place of NaN before interpolating.
    progress
        Called with (done, total) slices now and then; may raise to stop.

    Returns
    -------
    numpy.ndarray
        float32, shape ``frame.shape``.
    """
    z, y, x = (
        _Taps.at(part.start + (np.arange(n) + 0.5) * ratio - 0.5, size)
        for part, n, ratio, size in zip(frame.box, frame.shape, frame.ratios, array.shape, strict=True)
    )
    ys, xs = y.span, x.span
    y, x = y.relative(), x.relative()
    out = np.empty(frame.shape, dtype=np.float32)

    def fill(k: int) -> None:
        first, second = (_finite(array[i[k], ys, xs], nan) for i in (z.low, z.high))
        out[k] = _lerp(_lerp(first + (second - first) * z.weight[k], y, 0), x, 1)

    total = frame.shape[0]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for start in range(0, total, 32):
            if progress is not None:
                progress(start, total)
            list(pool.map(fill, range(start, min(total, start + 32))))
    return out


def to_native(model: FloatArray, frame: ModelFrame) -> ProbabilityMap:
    """Probability on the native grid, block by block, only where the model grid holds any.

    Parameters
    ----------
    model
        Probability on the model grid, float32, shape ``frame.shape``, 0 to 1.
    frame
        Where the model grid lies.
    """
    result = ProbabilityMap(frame.native)
    for part in _blocks(frame.box):
        taps = [
            _Taps.at((np.arange(p.start, p.stop) - b.start + 0.5) / ratio - 0.5, n)
            for p, b, ratio, n in zip(part, frame.box, frame.ratios, frame.shape, strict=True)
        ]
        source = model[taps[0].span, taps[1].span, taps[2].span]
        if source.max() < NOTHING:
            continue
        for axis, tap in enumerate(taps):
            source = _lerp(source, tap.relative(), axis)
        result.insert(to_bytes(source), (part[0].start, part[1].start, part[2].start))
    return result


def _blocks(box: Box) -> Iterator[Box]:
    """Parts of a box along the borders of the blocks of a probability map."""
    cuts = [sorted({p.start, p.stop, *range(-(-p.start // BLOCK) * BLOCK, p.stop, BLOCK)}) for p in box]
    spans = [[slice(a, b) for a, b in pairwise(cut)] for cut in cuts]
    for z in spans[0]:
        for y in spans[1]:
            for x in spans[2]:
                yield z, y, x


def _lerp(array: FloatArray, taps: _Taps, axis: int) -> FloatArray:
    low, high = np.take(array, taps.low, axis=axis), np.take(array, taps.high, axis=axis)
    weight = taps.weight.reshape([-1 if a == axis else 1 for a in range(array.ndim)])
    high -= low
    high *= weight
    high += low
    return high


def _finite(part: npt.NDArray[Any], nan: float) -> FloatArray:
    values: FloatArray = part.astype(np.float32)
    if np.issubdtype(part.dtype, np.floating):
        np.nan_to_num(values, copy=False, nan=nan)
    return values
