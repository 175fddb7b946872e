"""Where lesions lie: the organ, its sides and its parts, as masks that somebody vouches for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import ORTHONORMAL_TOLERANCE, Grid


@dataclass(frozen=True, eq=False)
class Region:
    """One named region.

    Parameters
    ----------
    name
        ``left`` and ``right`` for sides; a lobe or an organ otherwise.
    array
        Boolean, shape ``grid.shape`` (z, y, x).
    grid
        Grid of the image, or a coarser one with the same axes.
    """

    name: str
    array: npt.NDArray[np.bool_]
    grid: Grid

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise GeometryError(
                f"The region {self.name} does not fit its grid", f"shape {self.array.shape} against {self.grid.shape}"
            )

    def crop(self, box: Box, grid: Grid) -> npt.NDArray[np.bool_]:
        """The region on a box of another grid with the same axes, by the nearest voxel.

        Parameters
        ----------
        box
            Slices (z, y, x) with plain bounds; they may reach beyond ``grid``.
        grid
            Grid of the image.

        Returns
        -------
        numpy.ndarray
            Boolean, one value a voxel of the box; False outside the region's own grid.

        Raises
        ------
        GeometryError
            When the axes of the two grids are not parallel.
        """
        if np.abs(self.grid.matrix - grid.matrix).max() > ORTHONORMAL_TOLERANCE:
            raise GeometryError(f"The region {self.name} is turned against the image", "their axes are not parallel")
        first = self.grid.to_index(grid.to_physical([part.start for part in box]))
        picked, valid = [], []
        for axis, part in enumerate(box):
            step = grid.spacing_zyx[axis] / self.grid.spacing_zyx[axis]
            index = np.rint(first[axis] + step * np.arange(part.stop - part.start)).astype(np.intp)
            valid.append((index >= 0) & (index < self.grid.shape[axis]))
            picked.append(index.clip(0, self.grid.shape[axis] - 1))
        inside: npt.NDArray[np.bool_] = self.array.take(picked[0], 0).take(picked[1], 1).take(picked[2], 2)
        inside &= valid[0][:, None, None] & valid[1][:, None] & valid[2]
        return inside


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What is known about the place of lesions; nothing here is guessed.

    Parameters
    ----------
    organ
        The organ whose border counts (the lungs: the pleura), holes not filled; None when no mask is trusted.
    sides
        ``left`` and ``right`` of the organ; empty when unknown.
    parts
        Lobes or organs by name; empty when no mask was given.
    """

    organ: Region | None = None
    sides: tuple[Region, ...] = ()
    parts: tuple[Region, ...] = ()
