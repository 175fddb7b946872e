"""Connected components of a mask, by connected-components-3d."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def components(mask: npt.NDArray[np.bool_], connectivity: int) -> npt.NDArray[Any]:
    """Labels from 1 of the connected parts of a mask.

    Parameters
    ----------
    mask
        Boolean, two or three axes.
    connectivity
        4 or 8 in two, 6, 18 or 26 in three dimensions.

    Notes
    -----
    The mask is handed over as bytes: connected-components-3d 4.1.1 refuses some thin arrays of truth values
    ("cannot be mapped to union-find array").
    """
    import cc3d

    labels: npt.NDArray[Any] = cc3d.connected_components(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=connectivity
    )
    return labels
