"""The brain in a head MR by a threshold and morphology, and whether the result can be trusted.

Classical steps on a grid of about 2 mm: tissue brighter than air, bone and fluid; its core, cut from scalp, eyes and
neck by an erosion; the core grown back into tissue; ventricles and sulci closed. Images from which the skull was
taken away before give the same brain.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Triple
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import Volume
from napari_lesion.inference.coarse import coarse_copy
from napari_lesion.inference.components import components
from napari_lesion.inference.ports import OrganMask

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]

COARSE_MM: Final = 2.0
SAMPLE: Final = 3
"""Every so many voxels an axis give the range of the values."""
TISSUE_SHARE: Final = 0.5
"""Share of the usual value of bright tissue from which a voxel counts as tissue; fluid, bone and air are darker."""
CORE_MM: Final = (4.0, 6.0, 8.0)
"""Depths of the erosion, tried in turn until what is left has the size of a brain."""
CLOSING_MM: Final = 8.0
BRAIN_ML: Final = (500.0, 2400.0)
MIN_EXTENT_MM: Final = 80.0
MIN_SHARE_OF_BOX: Final = 0.35
"""A brain fills about half of its box, as an ellipsoid does."""


def find_brain(volume: Volume, ctx: JobContext | None = None) -> OrganMask:
    """Find the brain in an MR image with bright tissue and dark fluid, as FLAIR.

    Parameters
    ----------
    volume
        Head MR, any orientation, with or without skull.
    ctx
        Progress and cancel.

    Returns
    -------
    OrganMask
        Brain with its ventricles and sulci. It is trusted when it is one piece of 500 to 2400 ml, at least 80 mm
        long along each axis, that fills 35 % of its box. Otherwise the whole volume is to be searched and
        ``reason`` says why.
    """
    ctx = ctx or JobContext()
    ctx.step("Finding the brain", 0, 2)
    sample = np.nan_to_num(
        np.asarray(volume.array[::SAMPLE, ::SAMPLE, ::SAMPLE], dtype=np.float32), posinf=0, neginf=0
    )
    low, high = (float(value) for value in np.percentile(sample, [0.1, 99.9]))
    if not low < high:
        return OrganMask.whole(volume.grid, "brain", "The image has no contrast; the whole volume is searched")
    coarse, grid = coarse_copy(volume, COARSE_MM, low, high)
    ctx.step("Finding the brain", 1, 2)
    brain, reason = _brain(coarse - low, grid.spacing_zyx)
    ctx.step("Finding the brain", 2, 2)
    if reason:
        return OrganMask.whole(grid, "brain", f"{reason}; the whole volume is searched")
    millilitres = float(brain.sum()) * grid.voxel_volume_mm3 / 1e3
    found = f"The brain was found ({millilitres / 1e3:.1f} l in the image)"
    return OrganMask("brain", grid, brain, trusted=True, reason=found, volume_ml=millilitres)


def _brain(image: FloatArray, spacing: Triple) -> tuple[BoolArray, str]:
    """The brain on the coarse grid, and why it cannot be trusted (empty when it can)."""
    tissue = image > _tissue_from(image)
    reason = ""
    for depth in CORE_MM:
        brain = _closed(_grown_back(_core(tissue, depth, spacing), tissue, depth, spacing), spacing)
        reason = _doubt(brain, spacing)
        if not reason:
            break
    return brain, reason


def _tissue_from(image: FloatArray) -> float:
    """Value between fluid and tissue: half of the median of what is brighter than Otsu's threshold."""
    from skimage.filters import threshold_otsu

    bright = image[image > threshold_otsu(image)]
    return TISSUE_SHARE * float(np.median(bright))


def _core(tissue: BoolArray, depth: float, spacing: Triple) -> BoolArray:
    """Largest piece of what lies deeper than ``depth`` mm in tissue, small gaps in it not counted."""
    from scipy import ndimage

    solid = ndimage.binary_closing(np.pad(tissue, 1), ndimage.generate_binary_structure(3, 1))[1:-1, 1:-1, 1:-1]
    deep = _depth(solid | tissue, spacing) > depth
    labels = components(deep, 6)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    core: BoolArray = labels == int(sizes.argmax()) if sizes.any() else np.zeros_like(tissue)
    return core


def _grown_back(core: BoolArray, tissue: BoolArray, depth: float, spacing: Triple) -> BoolArray:
    """The core and the tissue as far from it as the erosion had reached, and a voxel more."""
    near = _depth(~core, spacing) <= depth + 1.5 * max(spacing)
    grown: BoolArray = core | (near & tissue)
    return grown


def _closed(brain: BoolArray, spacing: Triple) -> BoolArray:
    """Sulci and ventricles filled."""
    from scipy import ndimage

    pad = [int(np.ceil(CLOSING_MM / step)) + 1 for step in spacing]
    wide = np.pad(brain, [(n, n) for n in pad])
    grown = _depth(~wide, spacing) <= CLOSING_MM
    closed = wide | (_depth(grown, spacing) > CLOSING_MM)
    inner = tuple(slice(n, -n) for n in pad)
    filled: BoolArray = ndimage.binary_fill_holes(closed)[inner]
    return filled


def _depth(mask: BoolArray, spacing: Triple) -> FloatArray:
    """Distance of each voxel of a mask from the nearest one outside, mm; the image goes on beyond its faces."""
    import edt

    distance: FloatArray = edt.edt(mask, anisotropy=spacing, black_border=False, parallel=1)
    return distance


def _doubt(brain: BoolArray, spacing: Triple) -> str:
    """Why this is no brain; empty when it is one."""
    millilitres = float(brain.sum() * np.prod(spacing)) / 1e3
    if not BRAIN_ML[0] <= millilitres <= BRAIN_ML[1]:
        return f"No brain was found (the largest piece of tissue has {millilitres:.0f} ml)"
    extents = []
    for axis in range(3):
        used = np.flatnonzero(brain.any(axis=tuple(other for other in range(3) if other != axis)))
        extents.append((used[-1] - used[0] + 1) * spacing[axis])
    if min(extents) < MIN_EXTENT_MM:
        return f"Only a part of the brain is shown ({min(extents):.0f} mm)"
    if millilitres * 1e3 < MIN_SHARE_OF_BOX * float(np.prod(extents)):
        return "What was found does not have the form of a brain"
    return ""
