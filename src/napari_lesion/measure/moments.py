"""Second moments of a voxel set from its three projections: whole numbers, so the order of voxels cannot matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Moments:
    """Moments of the voxel centres of a set.

    Parameters
    ----------
    count
        Number of voxels.
    mean
        Mean index (z, y, x) within the crop.
    scatter
        Sum of products of the centred indices, 3x3, in voxels².
    profiles
        Voxels in each plane across the z, y and x axis.
    """

    count: int
    mean: FloatArray
    scatter: FloatArray
    profiles: tuple[IntArray, IntArray, IntArray]

    def covariance(self, spacing: Triple) -> FloatArray:
        """Covariance of the voxel centres, mm², with divisor N - 1; NaN for one voxel."""
        if self.count < 2:
            return np.full((3, 3), np.nan)
        scale = np.asarray(spacing)
        covariance: FloatArray = self.scatter / (self.count - 1) * np.outer(scale, scale)
        return covariance


def moments_of(mask: npt.NDArray[np.bool_]) -> Moments:
    """Moments of a set with at least one voxel, shape (z, y, x)."""
    projections = [mask.view(np.uint8).sum(axis=axis, dtype=np.int64) for axis in range(3)]
    profiles = projections[1].sum(axis=1), projections[0].sum(axis=1), projections[0].sum(axis=0)
    ramps = [np.arange(n, dtype=np.int64) for n in mask.shape]
    count = int(profiles[0].sum())
    first = [int(profile @ ramp) for profile, ramp in zip(profiles, ramps, strict=True)]
    second = [[0] * 3 for _ in range(3)]
    for axis in range(3):
        second[axis][axis] = int(profiles[axis] @ ramps[axis] ** 2)
        one, other = (a for a in range(3) if a != axis)
        second[one][other] = second[other][one] = int(ramps[one] @ projections[axis] @ ramps[other])
    # Python integers do not overflow, and the difference is taken before anything is rounded
    scatter = [[(count * second[a][b] - first[a] * first[b]) / count for b in range(3)] for a in range(3)]
    return Moments(count, np.array(first) / count, np.array(scatter), profiles)
