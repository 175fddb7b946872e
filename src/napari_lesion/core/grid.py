"""Where voxels lie in the patient: size, spacing, origin and direction, as ITK means them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import GeometryError

Triple = tuple[float, float, float]
FloatArray = npt.NDArray[np.float64]

IDENTITY_DIRECTION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
ORTHONORMAL_TOLERANCE = 1e-3
OBLIQUE_LIMIT_DEG = 15.0


@dataclass(frozen=True)
class Grid:
    """The grid of a volume, exactly as its file says; it never changes.

    Parameters
    ----------
    size
        Number of voxels along (x, y, z), the order of ITK.
    spacing
        Distance of neighbouring voxel centres along (x, y, z), mm.
    origin
        Centre of the first voxel, LPS mm.
    direction
        Nine direction cosines, row major; column ``a`` is the LPS direction of index axis ``a``.

    Raises
    ------
    GeometryError
        When a number is not finite, a size or spacing not positive, or the axes are not
        perpendicular unit vectors within 1e-3 (a sheared grid is never measured as it is).

    Notes
    -----
    Arrays on a grid are indexed (z, y, x): ``array.shape == grid.shape``.
    """

    size: tuple[int, int, int]
    spacing: Triple
    origin: Triple = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY_DIRECTION

    def __post_init__(self) -> None:
        numbers = (*self.spacing, *self.origin, *self.direction)
        if len(self.size) != 3 or len(self.spacing) != 3 or len(self.origin) != 3 or len(self.direction) != 9:
            raise GeometryError("The grid is not three-dimensional", f"size {self.size}", "Give one 3-D volume")
        if not all(math.isfinite(number) for number in numbers):
            raise GeometryError(
                "The grid has numbers that are not finite", f"spacing {self.spacing}, origin {self.origin}"
            )
        if min(self.size) < 1:
            raise GeometryError("The volume is empty", f"size {self.size}")
        if min(self.spacing) <= 0:
            raise GeometryError(
                "The voxel spacing is not positive",
                f"spacing {self.spacing} mm",
                "Correct the header of the file, or export the study again",
            )
        if self.shear > ORTHONORMAL_TOLERANCE:
            raise GeometryError(
                "The grid is sheared",
                f"its axes are not perpendicular, direction {tuple(round(d, 5) for d in self.direction)}",
                "Resample the volume to a rectangular grid first",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (z, y, x) of an array on this grid."""
        x, y, z = self.size
        return z, y, x

    @property
    def spacing_zyx(self) -> Triple:
        """Spacing along the array axes (z, y, x), mm."""
        x, y, z = self.spacing
        return z, y, x

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel, mm³."""
        return math.prod(self.spacing)

    @cached_property
    def matrix(self) -> FloatArray:
        """Direction cosines, 3x3; column ``a`` is the LPS direction of index axis ``a`` (x, y, z)."""
        return np.asarray(self.direction, dtype=np.float64).reshape(3, 3)

    @property
    def shear(self) -> float:
        """Largest departure of ``DᵀD`` from the identity (0 for perpendicular unit axes)."""
        matrix = np.asarray(self.direction, dtype=np.float64).reshape(3, 3)
        return float(np.abs(matrix.T @ matrix - np.eye(3)).max())

    @cached_property
    def affine_lps(self) -> FloatArray:
        """4x4 matrix from index (x, y, z, 1) to LPS mm."""
        affine = np.eye(4)
        affine[:3, :3] = self.matrix * np.asarray(self.spacing)
        affine[:3, 3] = self.origin
        return affine

    @property
    def affine_ras(self) -> FloatArray:
        """4x4 matrix from index (x, y, z, 1) to RAS mm, as NIfTI writes it."""
        affine: FloatArray = np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.affine_lps
        return affine

    def to_physical(self, index_zyx: npt.ArrayLike) -> FloatArray:
        """Physical LPS positions, mm, of (fractional) indices (..., 3) in (z, y, x) order."""
        index = np.asarray(index_zyx, dtype=np.float64)[..., ::-1]
        physical: FloatArray = index @ self.affine_lps[:3, :3].T + np.asarray(self.origin)
        return physical

    def to_index(self, physical_lps: npt.ArrayLike) -> FloatArray:
        """Fractional indices (..., 3) in (z, y, x) order of physical LPS positions in mm."""
        offset = np.asarray(physical_lps, dtype=np.float64) - np.asarray(self.origin)
        index: FloatArray = offset @ np.linalg.inv(self.affine_lps[:3, :3]).T
        return index[..., ::-1]

    @cached_property
    def patient_axes(self) -> tuple[int, int, int]:
        """Array axis (0 = z, 1 = y, 2 = x) nearest to the patient's L, P and S axis, in this order."""
        return _nearest_axes(np.abs(self.matrix[:, ::-1]))

    @property
    def axial_axis(self) -> int:
        """Array axis along which axial slices follow each other."""
        return self.patient_axes[2]

    @property
    def obliquity_deg(self) -> float:
        """Angle between the axial array axis and the patient's S axis, degrees."""
        cosine = abs(float(self.matrix[2, 2 - self.axial_axis]))
        return math.degrees(math.acos(min(1.0, cosine)))

    @property
    def is_oblique(self) -> bool:
        """Whether axial slices are tilted by more than 15 degrees."""
        return self.obliquity_deg > OBLIQUE_LIMIT_DEG

    def cropped(self, box: tuple[slice, slice, slice]) -> Grid:
        """Grid of ``array[box]``; the box is (z, y, x) slices with step 1 and plain bounds."""
        start = tuple(part.start or 0 for part in box)
        shape = tuple(len(range(*part.indices(n))) for part, n in zip(box, self.shape, strict=True))
        origin = self.to_physical(start)
        return Grid(
            size=(shape[2], shape[1], shape[0]),
            spacing=self.spacing,
            origin=(float(origin[0]), float(origin[1]), float(origin[2])),
            direction=self.direction,
        )

    def agrees_with(self, other: Grid, tolerance_voxels: float = 1e-3) -> bool:
        """Whether both grids put every voxel at the same place, within a fraction of a voxel.

        The corners are compared, so that rounding in a header (float32 in NIfTI) is forgiven,
        and a shift, a flip or another spacing is not.
        """
        if self.size != other.size:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(3, -1).T
        distance = np.linalg.norm(self.to_physical(corners) - other.to_physical(corners), axis=1)
        return bool(distance.max() <= tolerance_voxels * min(self.spacing))

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "size_xyz": list(self.size),
            "spacing_xyz_mm": list(self.spacing),
            "origin_lps_mm": list(self.origin),
            "direction": list(self.direction),
        }


def _nearest_axes(weight: FloatArray) -> tuple[int, int, int]:
    """Array axis of each patient axis: the assignment with the largest summed |cosine|.

    ``weight[p, a]`` is the absolute cosine of patient axis ``p`` and array axis ``a``. A greedy
    choice could give one array axis to two patient axes when a grid is turned by 45 degrees.
    """
    best = max(permutations(range(3)), key=lambda axes: (sum(weight[p, a] for p, a in enumerate(axes)), axes))
    return best[0], best[1], best[2]


def require_same_grid(one: Grid, other: Grid, what: str) -> None:
    """Raise `GeometryError` unless both grids agree; ``what`` names the second one ("The mask")."""
    if not one.agrees_with(other):
        raise GeometryError(
            f"{what} lies on another grid than the image",
            f"size {other.size} against {one.size}, "
            f"spacing {_short(other.spacing)} against {_short(one.spacing)} mm, "
            f"origin {_short(other.origin)} against {_short(one.origin)} mm",
            "Resample it to the grid of the image first",
        )


def _short(numbers: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(number, 3) for number in numbers)
