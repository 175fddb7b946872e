"""Components, cavities and depth of a voxel set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple

BoolArray = npt.NDArray[np.bool_]

SMALL_VOXELS = 2_000
PARALLEL_VOXELS = 250_000
"""Crops from here up are worth a second thread."""


def components_26(mask: BoolArray) -> tuple[npt.NDArray[np.integer], int]:
    """Labels 1, 2, ... of the 26-connected components, and how many there are."""
    import cc3d

    # as uint8: for bool, cc3d 4.1.1 reserves too few labels on arrays with a side of 1 and raises RuntimeError
    labels, count = cc3d.connected_components(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=26, return_N=True
    )
    return labels, int(count)


def count_components(mask: BoolArray) -> int:
    """Number of 26-connected components."""
    return components_26(mask)[1]


def largest_components(mask: BoolArray) -> list[BoolArray]:
    """The 26-connected component with the most voxels; all of them when several have as many; none when empty."""
    labels, count = components_26(mask)
    if count == 0:
        return []
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return [labels == 1 + place for place in np.flatnonzero(sizes == sizes.max())]


def interior(mask: BoolArray) -> BoolArray:
    """Voxels of the set whose six face neighbours all belong to it; beyond the array is outside."""
    inside = np.zeros_like(mask)
    core = mask[1:-1, 1:-1, 1:-1]
    inside[1:-1, 1:-1, 1:-1] = (
        core
        & mask[:-2, 1:-1, 1:-1]
        & mask[2:, 1:-1, 1:-1]
        & mask[1:-1, :-2, 1:-1]
        & mask[1:-1, 2:, 1:-1]
        & mask[1:-1, 1:-1, :-2]
        & mask[1:-1, 1:-1, 2:]
    )
    return inside


def cavity_sizes(mask: BoolArray) -> tuple[int, ...]:
    """Voxels of every 6-connected part of the background that the set encloses, largest first."""
    import cc3d

    background = np.pad(~mask, 1, constant_values=True)
    labels, count = cc3d.connected_components(background, connectivity=6, return_N=True)
    if count == 1:
        return ()
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[[0, labels[0, 0, 0]]] = 0
    return tuple(sorted((int(size) for size in sizes if size), reverse=True))


def deepest_voxel(distance: npt.NDArray[np.floating]) -> tuple[float, tuple[int, int, int]]:
    """Largest value of a distance map, mm, and its voxel (z, y, x)."""
    z, y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(distance[z, y, x]), (int(z), int(y), int(x))


def distance_inside(mask: BoolArray, spacing: Triple, *, closed: bool = True) -> npt.NDArray[np.floating]:
    """Distance of each voxel of a set to the nearest voxel centre outside, mm; 0 outside.

    Parameters
    ----------
    mask
        The set.
    spacing
        Spacing (z, y, x), mm.
    closed
        Whether everything beyond the array is outside; otherwise nothing is known of it.
    """
    if mask.size < SMALL_VOXELS:  # edt hands its work to another thread; above this it is several times faster
        from scipy import ndimage

        rim = int(closed)
        padded: npt.NDArray[np.floating] = ndimage.distance_transform_edt(np.pad(mask, rim), sampling=spacing)
        return padded[1:-1, 1:-1, 1:-1] if closed else padded
    import edt

    voxels = np.ascontiguousarray(mask).view(np.uint8)  # edt is slower on bool
    threads = 2 if mask.size > PARALLEL_VOXELS else 1
    distance: npt.NDArray[np.floating] = edt.edt(voxels, anisotropy=spacing, black_border=closed, parallel=threads)
    return distance
