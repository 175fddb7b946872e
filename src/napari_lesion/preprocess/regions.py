"""Body, lungs and brain by classical means: thresholds, distances, connected parts; on coarse copies."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import AnatomicalView
from napari_lesion.core.errors import InputError
from napari_lesion.core.grid import Grid, Triple
from napari_lesion.core.surroundings import Region
from napari_lesion.core.volume import Volume
from napari_lesion.inference.coarse import coarse_copy
from napari_lesion.inference.components import components
from napari_lesion.inference.lungs import find_lungs

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]

COARSE_MM: Final = 2.0
OPENING_MM: Final = 3.0
"""Bridges between body and table that are thinner than twice this are cut."""
BRAIN_CORE_MM: Final = 3.0
BRAIN_GROWTH_MM: Final = 5.0
BRAIN_CLOSING_MM: Final = 10.0
HEAD_LITRES: Final = 2.2
"""A head without its background is larger, a brain that was stripped already is smaller."""
STRIPPED_SHARE: Final = 0.4


def find_body(volume: Volume) -> Region:
    """The body without table, clothes and air around it; what it encloses in axial slices belongs to it.

    Parameters
    ----------
    volume
        CT or MR of any orientation.

    Raises
    ------
    InputError
        When the image has one value only.

    Notes
    -----
    Otsu's threshold between the 1st and 99th percentile, opening by 3 mm, largest part, holes filled slice by slice.
    """
    array, grid = _coarse(volume)
    view = AnatomicalView.of(grid)
    shown = np.ascontiguousarray(view.apply(array))
    solid = shown > _otsu(shown, volume)
    body = _opened_largest(solid, view.spacing, OPENING_MM)
    filled = _filled(body)
    return Region("body", _native(filled, view, grid), grid)


def find_lung_region(volume: Volume, tight: bool = False) -> Region:
    """Both lungs, without the central airways.

    Parameters
    ----------
    volume
        CT of the chest, HU.
    tight
        Only what was found as lung; otherwise gaps of up to 24 mm are closed and 4 mm added all around, so that no
        nodule at the pleura is cut (the region that a detection searches).

    Raises
    ------
    InputError
        When the lungs cannot be trusted: one is cut, holds no air, or this is no CT of the chest.
    """
    organ = find_lungs(volume)
    if organ.array is None or not organ.trusted:
        reason = organ.reason.partition(";")[0]
        raise InputError("The lungs were not found", reason, "Leave the step lungs out")
    found = organ.surroundings.organ
    return found if tight and found is not None else Region("lungs", organ.array, organ.grid)


def find_brain(volume: Volume) -> Region:
    """The brain in an MR image of the head, FLAIR before all; an image that was skull-stripped before is recognised.

    Parameters
    ----------
    volume
        MR of the whole head.

    Raises
    ------
    InputError
        When nothing of the size of a brain is found.

    Notes
    -----
    Tissue by Otsu's threshold within the head; what lies deeper than 3 mm in it falls apart into brain and scalp; the
    largest part grows back by 5 mm and is closed by 10 mm. An image whose background is one value, and whose rest
    is smaller than 2.2 l, is taken as stripped: the brain is what is not background.
    """
    array, grid = volume.array, volume.grid
    brain = _stripped(array, grid)
    if brain is None:
        array, grid = _coarse(volume)
        brain = _brain_of_head(array, grid.spacing_zyx, _otsu(array, volume))
    litres = float(brain.sum()) * grid.voxel_volume_mm3 / 1e6
    if not 0.4 <= litres <= HEAD_LITRES:
        raise InputError(
            "The brain was not found",
            f"the largest part that looks like it has {litres:.2f} l",
            "Leave the step brain out, or give an image of the whole head",
        )
    return Region("brain", brain, grid)


def _coarse(volume: Volume) -> tuple[FloatArray, Grid]:
    """Block means near 2 mm between the 0.1th and 99.9th percentile."""
    low, high = (float(v) for v in np.percentile(volume.array[::2, ::4, ::4], (0.1, 99.9)))
    if not high > low:
        low, high = float(volume.array.min()), float(volume.array.max())
    return coarse_copy(volume, COARSE_MM, low, high)


def _otsu(array: FloatArray, volume: Volume) -> float:
    from skimage.filters import threshold_otsu

    low, high = np.percentile(array, (1, 99))
    if not high > low:
        raise InputError(f"Nothing stands out in {volume.source.case}", "the image has one value only")
    return float(threshold_otsu(np.clip(array, low, high)))


def _opened_largest(mask: BoolArray, spacing: Triple, radius: float) -> BoolArray:
    """Largest part of what is deeper than a radius, grown back by it."""
    import edt

    deep = _largest(edt.edt(mask, anisotropy=spacing) > radius)
    if not deep.any():
        return _largest(mask)
    grown: BoolArray = (edt.edt(~deep, anisotropy=spacing) <= radius) & mask
    return grown


def _largest(mask: BoolArray) -> BoolArray:
    if not mask.any():
        return mask
    labels = components(mask, 6)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest: BoolArray = labels == sizes.argmax()
    return largest


def _filled(mask: BoolArray) -> BoolArray:
    """Holes filled in each slice of the first axis."""
    from scipy import ndimage

    return np.stack([ndimage.binary_fill_holes(part) for part in mask])


def _stripped(array: npt.NDArray[Any], grid: Grid) -> BoolArray | None:
    """The brain of an image whose background is one value and whose rest is no larger than a brain; else None."""
    from scipy import ndimage

    background = array.min()
    rest = array > background
    litres = float(rest.sum()) * grid.voxel_volume_mm3 / 1e6
    if 1 - rest.mean() < STRIPPED_SHARE or litres > HEAD_LITRES:
        return None
    filled: BoolArray = ndimage.binary_fill_holes(_largest(rest))
    return filled


def _brain_of_head(array: FloatArray, spacing: Triple, background: float) -> BoolArray:
    """The largest deep part of the bright tissue of a head, closed."""
    import edt
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    tissue = array > threshold_otsu(array[array > 0.5 * background])
    core = _largest(edt.edt(tissue, anisotropy=spacing) > BRAIN_CORE_MM)
    if not core.any():
        return core
    grown = _largest((edt.edt(~core, anisotropy=spacing) <= BRAIN_GROWTH_MM) & tissue)
    pad = int(np.ceil(BRAIN_CLOSING_MM / min(spacing))) + 1
    wide = edt.edt(~np.pad(grown, pad), anisotropy=spacing) <= BRAIN_CLOSING_MM
    closed = edt.edt(wide, anisotropy=spacing)[pad:-pad, pad:-pad, pad:-pad] > BRAIN_CLOSING_MM
    filled: BoolArray = ndimage.binary_fill_holes(closed | grown)
    return filled


def _native(shown: BoolArray, view: AnatomicalView, grid: Grid) -> BoolArray:
    """A mask in display order, in the order of the file."""
    native: npt.NDArray[Any] = np.zeros(grid.shape, dtype=bool)
    view.apply(native)[...] = shown
    return native
