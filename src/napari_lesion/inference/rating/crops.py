"""What the network of a classifier sees of a lesion: a square of fixed size about the centroid, with the mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.section import Section

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CropSpec:
    """Shape and scaling of the network's input.

    Parameters
    ----------
    size
        Pixels along an edge.
    pixel_mm
        Edge of a pixel.
    a_min, a_max
        HU that become 0 and 1; values outside are clipped.
    """

    size: int = 48
    pixel_mm: float = 0.6
    a_min: float = -1000.0
    a_max: float = 1000.0


def signed_depth(mask: BoolArray, spacing_mm: tuple[float, float]) -> FloatArray:
    """Distance to the border of a mask, mm, positive inside and negative outside; the border lies between pixels.

    Parameters
    ----------
    mask
        Shape (row, column).
    spacing_mm
        Edges of a pixel along (row, column).
    """
    import edt

    inside = edt.edt(mask, anisotropy=spacing_mm, black_border=False)
    outside = edt.edt(~mask, anisotropy=spacing_mm, black_border=False)
    half = min(spacing_mm) / 2
    depth: FloatArray = np.where(mask, inside - half, half - outside).astype(np.float32)
    return depth


def crop_places(section: Section, spec: CropSpec) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Rows and columns of the section, fractional, that the pixels of its crop are taken from; each shape (size,)."""
    offsets = (np.arange(spec.size) - (spec.size - 1) / 2) * spec.pixel_mm
    rows, columns = (
        centre + offsets / edge
        for centre, edge in zip(np.argwhere(section.mask).mean(axis=0), section.spacing_mm, strict=True)
    )
    return rows, columns


def plain_crop(section: Section, spec: CropSpec) -> FloatArray:
    """Crop of a section, shape (2, size, size): HU scaled to 0 to 1, and the mask as 0 and 1.

    Values are interpolated linearly, the mask by its signed distance; beyond the section its border is repeated. The
    same numbers as `torch.nn.functional.grid_sample` gives in training, without torch.
    """
    from scipy.ndimage import map_coordinates

    places = np.meshgrid(*crop_places(section, spec), indexing="ij")
    # cut off first: an image may hold values that are not finite outside the field of view
    image = np.nan_to_num(section.image.astype(np.float32), nan=spec.a_min, posinf=spec.a_max, neginf=spec.a_min)
    depth = signed_depth(section.mask, section.spacing_mm)
    values, inside = (map_coordinates(layer, places, order=1, mode="nearest") for layer in (image, depth))
    scaled = ((values - spec.a_min) / (spec.a_max - spec.a_min)).clip(0, 1)
    return np.stack((scaled, inside > 0)).astype(np.float32)
