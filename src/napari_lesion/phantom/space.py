"""Millimetre coordinates, signed distances and the canvas that tissues are painted on with partial volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Grid

Field = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

SLAB = 12


@dataclass(frozen=True, eq=False)
class Axes:
    """Positions of the voxel centres of an axis-aligned (identity direction) grid, LPS mm.

    Parameters
    ----------
    z, y, x
        1-D coordinates along the array axes.
    """

    z: Field
    y: Field
    x: Field

    @classmethod
    def of(cls, grid: Grid, factor: int = 1) -> Axes:
        """Axes of a grid, or of the grid ``factor`` times as coarse that shares its first voxel and covers it."""
        parts = []
        for n, step, first in zip(grid.shape, grid.spacing_zyx, grid.origin[::-1], strict=True):
            count = n if factor == 1 else -(-(n - 1) // factor) + 1
            parts.append((first + step * factor * np.arange(count)).astype(np.float32))
        return cls(*parts)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (z, y, x) of arrays on these axes."""
        return len(self.z), len(self.y), len(self.x)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Steps (z, y, x), mm."""
        return float(self.z[1] - self.z[0]), float(self.y[1] - self.y[0]), float(self.x[1] - self.x[0])

    def mesh(self, box: Box | None = None) -> tuple[Field, Field, Field]:
        """Open mesh of (x, y, z) coordinates that broadcasts to the shape of the box, or of everything."""
        z, y, x = box or (slice(None),) * 3
        return self.x[None, None, x], self.y[None, y, None], self.z[z, None, None]

    def box(self, low_xyz: npt.ArrayLike, high_xyz: npt.ArrayLike) -> Box:
        """Smallest box of voxels whose centres lie between two corners (LPS mm)."""
        lows, highs = np.asarray(low_xyz)[::-1], np.asarray(high_xyz)[::-1]
        parts = []
        for axis, low, high in zip((self.z, self.y, self.x), lows, highs, strict=True):
            start, stop = int(np.searchsorted(axis, low)), int(np.searchsorted(axis, high, side="right"))
            parts.append(slice(start, max(start, stop)))
        return parts[0], parts[1], parts[2]


def normalised(implicit: Field, axes: Axes) -> Field:
    """First-order signed distance, mm, of an implicit function: ``f / |grad f|`` (Taubin 1994)."""
    slopes = np.gradient(implicit, *axes.spacing)
    norm = np.sqrt(sum(slope * slope for slope in slopes))
    distance: Field = implicit / np.maximum(norm, 1e-4)
    return distance.astype(np.float32)


def smooth_min(one: Field, other: Field, radius: float) -> Field:
    """Union of two signed distances with a fillet of about ``radius`` mm (polynomial minimum, Quilez 2013)."""
    overlap = np.maximum(radius - np.abs(one - other), 0.0) / radius
    union: Field = np.minimum(one, other) - overlap * overlap * (radius / 4)
    return union


def smooth_max(fields: Sequence[Field], radius: float) -> Field:
    """Intersection of signed distances with edges rounded by about ``radius`` mm."""
    return -reduce(lambda a, b: smooth_min(a, b, radius), [-field for field in fields])


def ellipsoid(axes: Axes, centre: Sequence[float], radii: Sequence[float], turn: Points | None = None) -> Field:
    """Signed distance (first order) of an ellipsoid; ``turn`` holds its axes as rows, LPS."""
    offsets = [part - c for part, c in zip(axes.mesh(), centre, strict=True)]
    turn = np.eye(3) if turn is None else turn
    turned = [sum(float(t) * o for t, o in zip(row, offsets, strict=True)) for row in turn]
    local = [part / r for part, r in zip(turned, radii, strict=True)]
    rho = np.sqrt(sum(part * part for part in local))
    slope = np.sqrt(sum((part / r) ** 2 for part, r in zip(local, radii, strict=True))) / np.maximum(rho, 1e-3)
    distance: Field = ((rho - 1) / np.maximum(slope, 1e-4)).astype(np.float32)
    return distance


def capsule(mesh: tuple[Field, Field, Field], ends: Points, radii: Sequence[float] | Points) -> Field:
    """Signed distance of a straight tube with round ends; ``ends`` (2, 3) LPS mm, radius linear between them."""
    axis = ends[1] - ends[0]
    length2 = max(float(axis @ axis), 1e-9)
    offsets = [(part - start).astype(np.float32) for part, start in zip(mesh, ends[0], strict=True)]
    along = np.clip(sum(float(a) * o for a, o in zip(axis, offsets, strict=True)) / length2, 0.0, 1.0)
    squared = sum((o - along * float(a)) ** 2 for a, o in zip(axis, offsets, strict=True))
    distance: Field = (np.sqrt(squared) - (radii[0] + along * (radii[1] - radii[0]))).astype(np.float32)
    return distance


def upsample(coarse: Field) -> Field:
    """Linear interpolation to twice the resolution; shape n becomes 2 n - 1 along each axis."""
    for axis in (2, 1, 0):  # the last, largest step then writes whole slices
        shape = list(coarse.shape)
        shape[axis] = 2 * shape[axis] - 1
        fine = np.empty(shape, dtype=np.float32)
        even, odd, low, high = (
            tuple(part if a == axis else slice(None) for a in range(3))
            for part in (slice(0, None, 2), slice(1, None, 2), slice(0, -1), slice(1, None))
        )
        fine[even] = coarse
        between = coarse[low] + coarse[high]
        between *= 0.5
        fine[odd] = between
        coarse = fine
    return coarse


def coverage(distance: Field, width: float) -> Field:
    """Share of a voxel inside a surface, from the signed distance of its centre and the voxel's width, mm."""
    share = distance * np.float32(-1.0 / width)
    share += 0.5
    return np.clip(share, 0.0, 1.0, out=share)


@dataclass(eq=False)
class Canvas:
    """The true HU of the phantom, painted tissue over tissue; each voxel holds the mean over its volume.

    Parameters
    ----------
    grid
        Grid of the image.
    background
        HU before anything is painted.
    """

    grid: Grid
    background: float = -1000.0
    axes: Axes = field(init=False)
    coarse: Axes = field(init=False)
    hu: Field = field(init=False)

    def __post_init__(self) -> None:
        self.axes = Axes.of(self.grid)
        self.coarse = Axes.of(self.grid, 2)
        self.hu = np.full(self.grid.shape, self.background, dtype=np.float32)

    @property
    def width(self) -> float:
        """Edge of a cube of one voxel's volume, mm."""
        return float(np.cbrt(self.grid.voxel_volume_mm3))

    def fine(self, coarse: Field) -> Field:
        """A coarse field interpolated to the full grid."""
        z, y, x = self.grid.shape
        return upsample(coarse)[:z, :y, :x]

    def blend(self, box: Box, share: Field, hu: float | Field) -> None:
        """Replace a share (0 to 1) of every voxel of the box by a tissue."""
        part = self.hu[box]
        part += share * (hu - part)

    def fill(self, distance: Field, hu: float | Field) -> None:
        """Paint the inside of a signed distance on the coarse axes; ``hu`` is one value or a coarse field."""
        for part, box, crop in self._slabs(distance < 2 * self.width):
            value = hu if isinstance(hu, (int, float)) else upsample(hu[part])[crop]
            self.blend(box, coverage(upsample(distance[part])[crop], self.width), value)

    def sheet(self, surface: Field, within: Field, thickness: float, hu: float) -> None:
        """Paint a thin sheet along the zero of one coarse field, inside another; thickness in mm.

        The fields are interpolated before the absolute value is taken: its kink would not survive it.
        """
        for part, box, crop in self._slabs((within < 0) & (np.abs(surface) < 4 * self.width)):
            distance: Field = np.abs(upsample(surface[part])[crop]) - np.float32(0.5 * thickness)
            share = np.minimum(coverage(distance, self.width), min(1.0, thickness / self.width))
            share *= coverage(upsample(within[part])[crop], self.width)
            self.blend(box, share, hu)

    def _slabs(self, near: npt.NDArray[np.bool_]) -> Iterator[tuple[Box, Box, Box]]:
        """Coarse boxes around a mask, the same on the full grid, and what to keep of the upsampled coarse box.

        Slab by slab, because temporary arrays that fit into the processor's cache are much faster.
        """
        if not near.any():
            return
        z, y, x = _bounds(near, 1)
        fine_y, fine_x = (
            slice(2 * s.start, min(2 * s.stop - 1, n)) for s, n in zip((y, x), self.grid.shape[1:], strict=True)
        )
        for start in range(z.start, z.stop, SLAB):
            stop = min(start + SLAB + 1, z.stop)
            last = 2 * stop - 1 if stop == z.stop else 2 * (stop - 1)
            fine_z = slice(2 * start, min(last, self.grid.shape[0]))
            lengths = [slice(0, max(s.stop - s.start, 0)) for s in (fine_z, fine_y, fine_x)]
            yield (slice(start, stop), y, x), (fine_z, fine_y, fine_x), (lengths[0], lengths[1], lengths[2])

    def tube(self, path: Points, radii: Sequence[float], hu: float) -> None:
        """Paint a tube along a polyline (n, 3) LPS mm with one radius a point."""
        margin = max(radii) + 2 * self.width
        box = self.axes.box(path.min(axis=0) - margin, path.max(axis=0) + margin)
        if any(s.stop <= s.start for s in box):
            return
        mesh = self.axes.mesh(box)
        parts = [capsule(mesh, path[i : i + 2], radii[i : i + 2]) for i in range(len(path) - 1)]
        self.blend(box, coverage(reduce(np.minimum, parts), self.width), hu)


def _bounds(mask: npt.NDArray[np.bool_], margin: int) -> Box:
    parts = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        parts.append(slice(max(int(hit[0]) - margin, 0), min(int(hit[-1]) + 1 + margin, mask.shape[axis])))
    return parts[0], parts[1], parts[2]
