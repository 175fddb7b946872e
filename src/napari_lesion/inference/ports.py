"""What the engine needs from others: something that runs a network, and something that finds an organ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.surroundings import Surroundings
from napari_lesion.core.volume import Volume

FloatArray = npt.NDArray[np.float32]


@runtime_checkable
class Backend(Protocol):
    """Runs the network of one bundle on windows.

    Contract
    --------
    - ``infer`` takes float32 (n, channels, x, y, z), already scaled, and gives the probability of lesion, float32
      (n, x, y, z), 0 to 1; activation and choice of the lesion channel are done.
    - Axes are those of the bundle's ``axcodes``.
    - Raises `DeviceMemoryError` when the device has too little memory, never an exception of its library.
    - ``close`` gives the memory back; the backend is not used after it.
    """

    @property
    def name(self) -> str:
        """Short name: ``torch`` or ``openvino``."""
        ...

    @property
    def device(self) -> str:
        """Where it computes: ``cpu``, ``cuda`` and the name of the card."""
        ...

    @property
    def precision(self) -> str:
        """How exactly it computes: ``float32``, ``float16``, ``bf16`` or ``int8``."""
        ...

    def infer(self, windows: FloatArray) -> FloatArray:
        """Probability of lesion of each window."""
        ...

    def close(self) -> None:
        """Give the memory of the device back."""
        ...


@dataclass(frozen=True, eq=False)
class OrganMask:
    """The region that is searched for lesions.

    Parameters
    ----------
    organ
        Name of the organ; empty for none.
    grid
        Coarse grid of the mask, its axes parallel to those of the volume.
    array
        Boolean search region (z, y, x) on that grid; None when the whole volume is searched.
    trusted
        Whether the organ was found whole, by the criteria of its finder.
    reason
        One sentence for the user: what was found, or why the mask is not trusted.
    volume_ml
        Volume of the organ, ml; 0 when it is not trusted.
    surroundings
        The organ without the margin of the search, and its sides, for the measures; empty when it is not trusted.
    """

    organ: str
    grid: Grid
    array: npt.NDArray[np.bool_] | None
    trusted: bool
    reason: str
    volume_ml: float = 0.0
    surroundings: Surroundings = field(default_factory=Surroundings)

    @classmethod
    def whole(cls, grid: Grid, organ: str, reason: str) -> OrganMask:
        """No mask: the whole volume is searched."""
        return cls(organ, grid, None, trusted=False, reason=reason)


class OrganFinder(Protocol):
    """Finds an organ in a volume of the right modality.

    Contract
    --------
    - Never cuts away a lesion: when in doubt, the mask is not trusted and the whole volume is searched.
    - Does not change the volume; works on a coarse copy.
    """

    def __call__(self, volume: Volume, ctx: JobContext | None = None) -> OrganMask:
        """Find the organ."""
        ...
