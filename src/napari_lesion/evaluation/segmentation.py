"""Figures of one outline against another: Dice, HD95, surface Dice and volume, computed by MONAI."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import Triple

BoolArray = npt.NDArray[np.bool_]

TOLERANCE_MM = 1.0
"""Distance within which two surfaces agree, mm."""
NAN = float("nan")


@dataclass(frozen=True)
class MaskFigures:
    """How well one mask agrees with the true one.

    Parameters
    ----------
    dice
        Dice coefficient, 0 to 1; 0 when nothing was found, NaN when there is nothing to find.
    hd95_mm
        95th percentile of the symmetric surface distance, mm; NaN when either mask is empty.
    surface_dice
        Share of both surfaces within the tolerance, 0 to 1; as Dice where a mask is empty.
    volume_true_mm3, volume_found_mm3
        Volumes, mm³.
    volume_error_percent
        Found less true volume, as a share of the true one, per cent; NaN when there is nothing to find.
    """

    dice: float
    hd95_mm: float
    surface_dice: float
    volume_true_mm3: float
    volume_found_mm3: float

    @property
    def volume_error_percent(self) -> float:
        """Signed relative volume error."""
        if not self.volume_true_mm3:
            return NAN
        return 100.0 * (self.volume_found_mm3 - self.volume_true_mm3) / self.volume_true_mm3


def compare_masks(
    truth: BoolArray, found: BoolArray, spacing_zyx: Triple, tolerance_mm: float = TOLERANCE_MM
) -> MaskFigures:
    """Compare two masks on one grid.

    Parameters
    ----------
    truth, found
        Masks (z, y, x).
    spacing_zyx
        Distance of neighbouring voxel centres along (z, y, x), mm.
    tolerance_mm
        Tolerance of the surface Dice, mm.

    Returns
    -------
    MaskFigures
        Surfaces are the voxels of a mask that touch its outside by a face (MONAI's ``get_mask_edges``); surface
        distances are Euclidean, between centres of voxels.

    Raises
    ------
    GeometryError
        When the masks differ in shape.

    Notes
    -----
    Dice 1945, Ecology 26:297; Huttenlocher 1993, IEEE TPAMI 15:850; Nikolov 2021, J Med Internet Res 23:e26151.
    """
    if truth.shape != found.shape:
        raise GeometryError("Two masks cannot be compared", f"their shapes are {truth.shape} and {found.shape}")
    voxel = math.prod(spacing_zyx)
    volumes = float(truth.sum()) * voxel, float(found.sum()) * voxel
    if not volumes[0] or not volumes[1]:
        nothing = 0.0 if volumes[0] else NAN
        return MaskFigures(nothing, NAN, nothing, *volumes)
    return MaskFigures(*_surfaces(_around_both(truth, found), spacing_zyx, tolerance_mm), *volumes)


def dice(truth: BoolArray, found: BoolArray) -> float:
    """Dice coefficient of two masks; NaN when ``truth`` is empty."""
    import torch
    from monai.metrics import compute_dice

    pair = [torch.from_numpy(np.ascontiguousarray(mask))[None, None] for mask in (found, truth)]
    return float(compute_dice(*pair).item())


def _around_both(truth: BoolArray, found: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Both masks in the box around them, one empty voxel wide: the figures are the same, and sooner there."""
    both = truth | found
    spans = []
    for axis in range(both.ndim):
        used = np.flatnonzero(both.any(axis=tuple(other for other in range(both.ndim) if other != axis)))
        spans.append(slice(int(used[0]), int(used[-1]) + 1))
    box = tuple(spans)
    return np.pad(truth[box], 1), np.pad(found[box], 1)


def _surfaces(pair: tuple[BoolArray, BoolArray], spacing: Triple, tolerance_mm: float) -> tuple[float, float, float]:
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    truth, found = pair
    y, y_pred = (torch.from_numpy(mask)[None, None] for mask in pair)
    steps = [float(step) for step in spacing]
    with warnings.catch_warnings():
        # MONAI calls its own function with an argument that it will drop
        warnings.simplefilter("ignore", FutureWarning)
        hd95 = compute_hausdorff_distance(y_pred, y, include_background=True, percentile=95, spacing=steps)
        surface = compute_surface_dice(y_pred, y, [tolerance_mm], include_background=True, spacing=steps)
    return dice(truth, found), float(hd95.item()), float(surface.item())
