"""How deep places lie below the surface of a region, from one distance map of the region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Grid
from napari_lesion.core.surroundings import Region

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

THIN_MM: Final = 2.0


@dataclass(frozen=True, eq=False)
class DepthMap:
    """Signed depth below the surface of a region.

    Parameters
    ----------
    values
        mm at the voxel centres of ``grid``, (z, y, x), float32: positive inside, negative outside, infinite where the
        region has no border, or the grid no region.
    grid
        Grid of the region.

    Notes
    -----
    Distances run to voxel faces and are interpolated linearly between voxel centres, which finds a smooth surface
    within a fraction of a voxel. The end of the grid is no border. Holes that the region encloses are filled.
    """

    values: npt.NDArray[np.float32]
    grid: Grid

    @classmethod
    def of(cls, region: Region) -> DepthMap:
        """Map of a region on its own grid."""
        import edt

        part, spacing = filled(region.array), region.grid.spacing_zyx
        half = np.float32(np.mean(spacing) / 2.0)
        inside, outside = (edt.edt(m, anisotropy=spacing, parallel=0) for m in (part, ~part))
        return cls(np.where(part, inside - half, half - outside).astype(np.float32, copy=False), region.grid)

    def at(self, points: npt.ArrayLike) -> FloatArray:
        """Depth, mm, at points (n, 3), LPS mm; beyond the grid, that of its end less the way there."""
        from scipy import ndimage

        index = self.grid.to_index(points)
        last = np.asarray(self.grid.shape) - 0.5
        excess = np.maximum(0.0, np.maximum(-0.5 - index, index - last))
        depth: FloatArray = ndimage.map_coordinates(self.values, index.T, order=1, mode="nearest", output=np.float64)
        depth -= np.linalg.norm(excess * self.grid.spacing_zyx, axis=1)
        return depth


def thinned(region: Region) -> Region:
    """A region on voxels of about 2 mm, by taking every second, third, ... of its own; itself when it is coarser."""
    factors = [max(1, round(THIN_MM / step)) for step in region.grid.spacing_zyx]
    if max(factors) == 1:
        return region
    starts = [min(f // 2, n - 1) for f, n in zip(factors, region.grid.shape, strict=True)]
    array = np.ascontiguousarray(region.array[tuple(slice(a, None, f) for a, f in zip(starts, factors, strict=True))])
    x, y, z = region.grid.to_physical(starts)
    sz, sy, sx = (step * f for step, f in zip(region.grid.spacing_zyx, factors, strict=True))
    size = (array.shape[2], array.shape[1], array.shape[0])
    return Region(region.name, array, Grid(size, (sx, sy, sz), (float(x), float(y), float(z)), region.grid.direction))


def filled(part: BoolArray) -> BoolArray:
    """The part with the holes that it encloses within the array."""
    import cc3d

    labels = cc3d.connected_components(np.ascontiguousarray(~part).view(np.uint8), connectivity=6)
    rims = [labels.take(end, axis=axis).ravel() for axis in range(3) for end in (0, -1)]
    whole: BoolArray = part | ~np.isin(labels, np.unique(np.concatenate([*rims, [0]])))
    return whole


def around(points: npt.ArrayLike, grid: Grid, reach_mm: float) -> Box:
    """Box of a grid that reaches so far from some points (n, 3), LPS mm, within the grid; never empty."""
    index = grid.to_index(points)
    parts = []
    for axis, (n, step) in enumerate(zip(grid.shape, grid.spacing_zyx, strict=True)):
        low = int(np.floor(index[:, axis].min() - reach_mm / step))
        high = int(np.ceil(index[:, axis].max() + reach_mm / step)) + 1
        start = min(max(low, 0), n - 1)
        parts.append(slice(start, max(start + 1, min(high, n))))
    return parts[0], parts[1], parts[2]
