"""Where the intensity lies inside a lesion: weighted centre, peaks, spatial autocorrelation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Triple

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]
BoolArray = npt.NDArray[np.bool_]
ImageArray = npt.NDArray[np.generic]

PEAK_RADIUS_MM = (3.0 / (4.0 * math.pi)) ** (1.0 / 3.0) * 10.0
"""Radius of a sphere of 1 ml."""
SLAB_VOXELS = 1_000_000


def weighted_centroid(crop: ImageArray, mask: BoolArray, offset: float | None) -> FloatArray:
    """Intensity-weighted mean index (z, y, x) within the crop; NaN when the weights sum to 0.

    Parameters
    ----------
    crop, mask
        Image and voxel set, same shape. Values that are not finite are left out.
    offset
        Weights are max(value + offset, 0); None weighs by the raw value.
    """
    profiles = [np.zeros(size) for size in mask.shape]
    slab = max(1, SLAB_VOXELS // (mask.shape[1] * mask.shape[2]))
    for begin in range(0, mask.shape[0], slab):
        part = slice(begin, begin + slab)
        weight = crop[part].astype(np.float64)
        if offset is not None:
            np.maximum(weight + offset, 0.0, out=weight)
        weight[~mask[part]] = 0.0
        if np.issubdtype(crop.dtype, np.floating):
            weight[~np.isfinite(crop[part])] = 0.0
        plane = weight.sum(axis=0)
        profiles[0][part] = weight.sum(axis=(1, 2))
        profiles[1] += plane.sum(axis=1)
        profiles[2] += plane.sum(axis=0)
    total = profiles[0].sum()
    if not total:
        return np.full(3, np.nan)
    centre: FloatArray = np.array([profile @ np.arange(len(profile)) / total for profile in profiles])
    return centre


def intensity_peaks(image: ImageArray, box: Box, mask: BoolArray, spacing: Triple) -> tuple[float, float]:
    """Largest mean over a 1 ml sphere centred on a lesion voxel, and that of the sphere at the largest intensity.

    The sphere takes image voxels whose centres lie within it, also outside the lesion, only inside the image.
    Where several voxels hold the largest intensity, the largest of their means counts.
    """
    from scipy.signal import fftconvolve

    reach = [math.floor(PEAK_RADIUS_MM / step * (1 + 1e-12)) for step in spacing]
    wide = [slice(max(b.start - r, 0), min(b.stop + r, n)) for b, r, n in zip(box, reach, image.shape, strict=True)]
    inner = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide, strict=True))
    values = image[wide[0], wide[1], wide[2]].astype(np.float64)
    valid = np.isfinite(values)
    inside = values[inner][mask]
    if not np.isfinite(inside).any():
        return float("nan"), float("nan")
    middle = float(inside[np.isfinite(inside)].mean())  # taken off, so that the transform keeps its digits
    sphere = _sphere(reach, spacing)
    # the full convolution: "same" would centre on the larger of image and sphere
    here = tuple(slice(r + i.start, r + i.stop) for r, i in zip(reach, inner, strict=True))
    sums = fftconvolve(np.where(valid, values - middle, 0.0), sphere)[here]
    counts = np.rint(fftconvolve(valid.astype(np.float64), sphere)[here])
    means = (sums / np.maximum(counts, 1.0) + middle)[mask]
    finite = np.isfinite(inside)
    at_maximum = finite & (inside == inside[finite].max())
    return float(means[counts[mask] > 0].max()), float(means[at_maximum].max())


def _sphere(reach: list[int], spacing: Triple) -> FloatArray:
    axes = [np.arange(-r, r + 1) * s for r, s in zip(reach, spacing, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    inside: FloatArray = (z**2 + y**2 + x**2 <= PEAK_RADIUS_MM**2 * (1 + 1e-12)).astype(np.float64)
    return inside


def autocorrelation(crop: ImageArray, mask: BoolArray, spacing: Triple) -> tuple[float, float]:
    """Moran's I and Geary's C with weights 1/distance over all pairs of different voxels.

    The weight depends on the offset of a pair alone, so the sums over pairs are sums over offsets of
    autocorrelations, which the Fourier transform gives at once. NaN for fewer than two values or a flat set.
    """
    from scipy import fft

    values = crop.astype(np.float64)
    valid = mask & np.isfinite(values)
    n = int(valid.sum())
    if n < 2 or np.ptp(values[valid]) == 0:
        return float("nan"), float("nan")
    deviation = np.zeros_like(values)
    deviation[valid] = values[valid] - values[valid].mean()
    scatter = float(np.sum(deviation**2))
    shape = [fft.next_fast_len(2 * size, real=True) for size in mask.shape]
    one, first, second = (fft.rfftn(x, shape) for x in (valid.astype(np.float64), deviation, deviation**2))
    weight = _inverse_distances(shape, spacing)

    def over_pairs(a: ComplexArray, b: ComplexArray) -> float:
        return float(np.sum(weight * fft.irfftn(a * np.conj(b), shape)))

    total, products, squares = over_pairs(one, one), over_pairs(first, first), over_pairs(second, one)
    differences = 2.0 * (squares - products)
    return n * products / (total * scatter), (n - 1) * differences / (2.0 * total * scatter)


def _inverse_distances(shape: list[int], spacing: Triple) -> FloatArray:
    """1/|offset| for every offset of a periodic grid, 0 at the origin."""
    from scipy import fft

    steps = [fft.fftfreq(size, 1.0 / size) * s for size, s in zip(shape, spacing, strict=True)]
    z, y, x = np.meshgrid(*steps, indexing="ij")
    distance = np.sqrt(z**2 + y**2 + x**2)
    weight: FloatArray = np.divide(1.0, distance, out=np.zeros_like(distance), where=distance > 0)
    return weight
