"""What lies around one lesion: a crop of the image with a margin, and which of its voxels may be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Triple
from napari_lesion.core.surroundings import Region

if TYPE_CHECKING:
    from napari_lesion.measure.context import LesionContext

BoolArray = npt.NDArray[np.bool_]
Margin = tuple[int, int, int]

RING_MM = 3.0
REACH_MM = 5.0


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """A lesion and its surroundings: its box with a margin, also where the image ends.

    Since the margin is always complete, positions in the crop depend on nothing but the lesion.

    Parameters
    ----------
    image
        Intensities (z, y, x); 0 where they are not finite and beyond the image.
    lesion
        Voxels of the lesion.
    other
        Voxels of other labels; None when there are none.
    blocked
        Voxels that no statistics may use: beyond the image, not finite, of another label, outside the organ.
    within
        The part of the crop that lies within the image.
    organ
        The organ and the lesion, holes filled; None when it is not known.
    margin
        Voxels added to the box on each side, (z, y, x).
    """

    image: npt.NDArray[Any]
    lesion: BoolArray
    other: BoolArray | None
    blocked: BoolArray
    within: Box
    organ: BoolArray | None
    margin: Margin

    def inner(self, shape: tuple[int, ...]) -> Box:
        """The middle of the crop, of a given shape."""
        z, y, x = (slice((n - m) // 2, (n + m) // 2) for n, m in zip(self.lesion.shape, shape, strict=True))
        return z, y, x


def pixel_of(c: LesionContext) -> float:
    """Largest spacing within an axial slice, mm: the width of the layer of partial volume."""
    return max(c.axial_spacing[1:])


def look_around(c: LesionContext) -> Neighbourhood:
    """Crop the surroundings of a lesion, as far as its ring and its edge profile reach."""
    reach = max(REACH_MM, pixel_of(c) + RING_MM)
    margin = margin_of(reach, c.spacing)
    inside, place = frame_of(c.box, margin, c.grid.shape)
    shape = tuple(n + 2 * extra for n, extra in zip(c.mask.shape, margin, strict=True))
    image = np.zeros(shape, c.volume.array.dtype)
    image[place] = c.volume.array[inside]
    lesion = np.zeros(shape, dtype=bool)
    lesion[tuple(slice(extra, extra + n) for n, extra in zip(c.mask.shape, margin, strict=True))] = c.mask
    blocked = np.ones(shape, dtype=bool)
    blocked[place] = False
    organ = None
    if c.surroundings.organ is not None:
        organ = np.zeros(shape, dtype=bool)
        organ[place] = _organ_near(c, c.surroundings.organ, inside, lesion[place])
        blocked |= ~organ
    other = _other_labels(c, inside, place, lesion)
    if other is not None:
        blocked |= other
    if image.dtype.kind == "f":
        bad = ~np.isfinite(image)
        image[bad] = 0
        blocked |= bad
    return Neighbourhood(image, lesion, other, blocked, place, organ, margin)


def _other_labels(c: LesionContext, inside: Box, place: Box, lesion: BoolArray) -> BoolArray | None:
    if c.labels is None:
        return None
    labelled = c.labels.array[inside] > 0
    if np.count_nonzero(labelled) == c.n:
        return None
    other = np.zeros(lesion.shape, dtype=bool)
    other[place] = labelled
    other &= ~lesion
    return other


def margin_of(reach_mm: float, spacing: Triple) -> Margin:
    """Voxels along (z, y, x) that hold a reach in mm, and one more for the interpolation."""
    z, y, x = (int(np.ceil(reach_mm / step - 1e-9)) + 1 for step in spacing)
    return z, y, x


def frame_of(box: Box, margin: Margin, shape: tuple[int, ...]) -> tuple[Box, Box]:
    """The part of the volume that lies within a grown box, and its place in an array of the grown size."""
    inside, place = [], []
    for part, extra, size in zip(box, margin, shape, strict=True):
        first, last = max(0, part.start - extra), min(size, part.stop + extra)
        begin = first - (part.start - extra)
        inside.append(slice(first, last))
        place.append(slice(begin, begin + last - first))
    return (inside[0], inside[1], inside[2]), (place[0], place[1], place[2])


def _organ_near(c: LesionContext, organ: Region, inside: Box, lesion: BoolArray) -> BoolArray:
    """The organ and the lesion in a part of the image, with what both enclose there: vessels, other lesions."""
    import cc3d

    united = organ.crop(inside, c.grid)
    united |= lesion
    background = np.pad(~united, 1, constant_values=True)
    labels = cc3d.connected_components(background.view(np.uint8), connectivity=6)
    filled: BoolArray = labels[1:-1, 1:-1, 1:-1] != labels[0, 0, 0]
    return filled
