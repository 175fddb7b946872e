"""Where lesions lie: the organ, its sides and its parts, as masks that somebody vouches for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import Grid


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
