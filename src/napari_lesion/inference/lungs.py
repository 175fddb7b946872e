"""Both lungs in a chest CT by thresholds and connected components, and whether the result can be trusted.

Classical steps (Hu, Hoffman and Reinhardt 2001, doi:10.1109/42.929615) on a grid of about 2 mm: air, air outside
the body taken away, airways grown from the trachea taken away, the two lungs kept, gaps closed. The closing
brings vessels, nodules and lesions at the pleura back into the searched region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import AnatomicalView
from napari_lesion.core.grid import Grid, Triple
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.surroundings import Region, Surroundings
from napari_lesion.core.volume import Volume
from napari_lesion.inference.airways import grow_airways
from napari_lesion.inference.coarse import coarse_copy
from napari_lesion.inference.components import components
from napari_lesion.inference.ports import OrganMask
from napari_lesion.inference.sides import LungSides, lung_sides

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]

COARSE_MM: Final = 2.2
AIR_HU: Final = -400.0
MIN_WIDTH_MM: Final = 200.0
MIN_DEPTH_MM: Final = 140.0
CUT_LUNG_HU: Final = -930.0
"""Air that reaches the side of the image and is denser than this is lung, not room air (measured: -845 to -770)."""
CUT_LUNG_ML: Final = 30.0
LUNG_HU: Final = (-960.0, -550.0)
GAS_HU: Final = -970.0
MAX_GAS_SHARE: Final = 0.6
"""Gas in the bowel is pure; even a lung with much emphysema is not."""
MIN_LUNG_ML: Final = 100.0
MIN_SIDE_SHARE: Final = 0.15
CLOSING_MM: Final = 12.0
MARGIN_MM: Final = 4.0
MAX_HOLE_CM2: Final = 30.0


@dataclass(frozen=True)
class _Air:
    """Components of air: sizes, means, share of pure gas, and which of them reach the sides of the image."""

    labels: npt.NDArray[Any]
    volume_ml: npt.NDArray[np.float64]
    mean_hu: npt.NDArray[np.float64]
    gas_share: npt.NDArray[np.float64]
    at_side: BoolArray


def find_lungs(volume: Volume, ctx: JobContext | None = None) -> OrganMask:
    """Find the region of both lungs in a CT.

    Parameters
    ----------
    volume
        CT in HU, any orientation.
    ctx
        Progress and cancel.

    Returns
    -------
    OrganMask
        The lungs with their gaps closed and a margin of 4 mm. It is trusted when all of this holds: the image is
        at least 200 mm wide and 140 mm deep; no lung is cut by a side of the image (air there is room air);
        at least 100 ml of enclosed air has the density of lung and is not mostly pure gas; each half of the body
        holds at least 15 % of it.
        Otherwise the whole volume is to be searched and ``reason`` says why.

    Notes
    -----
    A lung that holds no air at all (collapse, effusion) fails the last criterion. Scans that end above or below
    the lungs, down to a few slices, do not matter.
    """
    ctx = ctx or JobContext()
    ctx.step("Finding the lungs", 0, 3)
    coarse, grid = coarse_copy(volume, COARSE_MM, -1024.0, 400.0)
    view = AnatomicalView.of(grid)
    hu = np.ascontiguousarray(view.apply(coarse))
    ctx.step("Finding the lungs", 1, 3)
    reason = _too_small(view)
    lungs = np.zeros(hu.shape, dtype=bool)
    if not reason:
        lungs, reason = _enclosed_lungs(hu, view.spacing)
    if reason:
        return OrganMask.whole(grid, "lung", f"{reason}; the whole volume is searched")
    airways = grow_airways(hu, lungs, view.spacing)
    lungs = _without(lungs, airways)
    ctx.step("Finding the lungs", 2, 3)
    region = _stored(_closed(lungs, view.spacing) & ~airways, view, grid)
    around = _surroundings(lung_sides(lungs, hu, view.spacing), view, grid)
    ctx.step("Finding the lungs", 3, 3)
    litres = float(lungs.sum()) * grid.voxel_volume_mm3 / 1e6
    reason = f"Both lungs were found ({litres:.1f} l in the image)"
    return OrganMask("lung", grid, region, trusted=True, reason=reason, volume_ml=litres * 1e3, surroundings=around)


def _stored(part: BoolArray, view: AnatomicalView, grid: Grid) -> BoolArray:
    """A mask in display order, in the order of the file."""
    native = np.zeros(grid.shape, dtype=bool)
    view.apply(native)[...] = part
    return native


def _surroundings(lungs: LungSides, view: AnatomicalView, grid: Grid) -> Surroundings:
    named = (("left", lungs.left), ("right", lungs.right))
    sides = tuple(Region(name, _stored(part, view, grid), grid) for name, part in named if part is not None)
    return Surroundings(Region("lung", _stored(lungs.whole, view, grid), grid), sides)


def _too_small(view: AnatomicalView) -> str:
    _, depth, width = (n * s for n, s in zip(view.display_shape, view.spacing, strict=True))
    if width >= MIN_WIDTH_MM and depth >= MIN_DEPTH_MM:
        return ""
    return f"Only a part of the chest is shown ({width:.0f} × {depth:.0f} mm)"


def _enclosed_lungs(hu: FloatArray, spacing: Triple) -> tuple[BoolArray, str]:
    """Lung voxels in display order, and why they cannot be trusted (empty when they can)."""
    air = _air_components(hu, float(np.prod(spacing)) / 1e3)
    cut = air.at_side & (air.volume_ml >= CUT_LUNG_ML) & (air.mean_hu > CUT_LUNG_HU)
    nothing = np.zeros(hu.shape, dtype=bool)
    if cut.any():
        return nothing, "A side of the image cuts a lung"
    dense = (air.mean_hu > LUNG_HU[0]) & (air.mean_hu < LUNG_HU[1]) & (air.gas_share < MAX_GAS_SHARE)
    enclosed = np.where(dense & ~air.at_side, air.volume_ml, 0.0)
    kept = enclosed >= max(0.05 * enclosed.max(initial=0.0), 5.0)
    if enclosed[kept].sum() < MIN_LUNG_ML:
        return nothing, "No lungs with air in them were found"
    lungs = kept[air.labels]
    if _smaller_side(lungs, hu) < MIN_SIDE_SHARE:
        return nothing, "Only one lung with air in it was found"
    return lungs, ""


def _air_components(hu: FloatArray, voxel_ml: float) -> _Air:
    labels = components(hu < AIR_HU, 6)
    count = int(labels.max()) + 1
    flat = labels.ravel()
    sizes = np.bincount(flat, minlength=count).astype(np.float64)
    sums = np.bincount(flat, weights=hu.ravel(), minlength=count)
    gas = np.bincount(flat, weights=(hu < GAS_HU).ravel(), minlength=count)
    at_side = np.zeros(count, dtype=bool)
    for face in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        at_side[np.unique(face)] = True
    volume = sizes * voxel_ml
    volume[0] = 0.0
    return _Air(labels, volume, sums / np.maximum(sizes, 1.0), gas / np.maximum(sizes, 1.0), at_side)


def _smaller_side(lungs: BoolArray, hu: FloatArray) -> float:
    """Share of the lungs in the half of the body that holds less of them; the midline is that of dense tissue."""
    dense = (hu > AIR_HU).sum(axis=(0, 1))
    columns = np.nonzero(dense > 0.25 * dense.max())[0]
    middle = int(columns[0] + columns[-1] + 1) // 2
    share = float(lungs[:, :, :middle].sum()) / float(lungs.sum())
    return min(share, 1.0 - share)


def _without(lungs: BoolArray, airways: BoolArray) -> BoolArray:
    """Lungs without the airways and their walls; what hung together by them alone and is small goes too."""
    from scipy import ndimage

    if not airways.any():
        return lungs
    rest = lungs & ~ndimage.binary_dilation(airways, iterations=1)
    labels = components(rest, 6)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept: BoolArray = (sizes >= 0.05 * sizes.max())[labels]
    kept &= rest
    return kept


def _closed(lungs: BoolArray, spacing: Triple) -> BoolArray:
    """Close gaps of up to 24 mm, fill what is enclosed in axial slices, and add the margin."""
    import edt

    pad = tuple(int(np.ceil((CLOSING_MM + MARGIN_MM) / s)) + 1 for s in spacing)
    box, inner = _padded_box(lungs, pad)
    part = np.zeros(tuple(b.stop - b.start + 2 * p for b, p in zip(box, pad, strict=True)), dtype=bool)
    core = tuple(slice(p, n - p) for p, n in zip(pad, part.shape, strict=True))
    part[core] = lungs[box]
    grown = edt.edt(~part, anisotropy=spacing, parallel=0) <= CLOSING_MM
    closed = (edt.edt(grown, anisotropy=spacing, parallel=0) > CLOSING_MM) | part
    closed |= _small_holes(closed, spacing)
    wide = edt.edt(~closed, anisotropy=spacing, parallel=0) <= MARGIN_MM
    region = np.zeros(lungs.shape, dtype=bool)
    region[inner[0]] = wide[inner[1]]
    return region


def _small_holes(closed: BoolArray, spacing: Triple) -> BoolArray:
    """Gaps enclosed by lung in an axial slice, up to the size of a large mass; the mediastinum is larger."""
    from scipy import ndimage

    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[1] = ndimage.generate_binary_structure(2, 1)
    labels, count = ndimage.label(~closed, structure=in_plane)
    areas = np.bincount(labels.ravel(), minlength=count + 1) * (spacing[1] * spacing[2] / 100)
    small: BoolArray = (areas <= MAX_HOLE_CM2)[labels] & ~closed
    return small


def _padded_box(lungs: BoolArray, pad: tuple[int, ...]) -> tuple[Any, tuple[Any, Any]]:
    """Box of the lungs, and the boxes of image and padded part that show the same voxels."""
    box, image, part = [], [], []
    for axis, margin in enumerate(pad):
        others = tuple(other for other in range(3) if other != axis)
        used = np.nonzero(lungs.any(axis=others))[0]
        start, stop = int(used[0]), int(used[-1]) + 1
        low, high = max(0, start - margin), min(lungs.shape[axis], stop + margin)
        box.append(slice(start, stop))
        image.append(slice(low, high))
        part.append(slice(low - start + margin, high - start + margin))
    return tuple(box), (tuple(image), tuple(part))
