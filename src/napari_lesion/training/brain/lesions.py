"""Lesions set into an anatomy: real shapes, moved to where lesions can be, with an intensity of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.components import components
from napari_lesion.training.brain.anatomy import Anatomy
from napari_lesion.training.brain.cases import BoolArray, FloatArray
from napari_lesion.training.brain.shapes import ShapeFile, load_shape

Points = npt.NDArray[np.int64]

MIN_VOXELS = 3
"""Smallest lesion that is set in and labelled."""
KEPT_SHARE = 0.6
"""Share of a shape that must lie in tissue; the part in fluid is cut away."""
WHITE_SHARE = 0.3
"""Least mean probability of white matter over a plaque."""
SMALL_VOXELS = 60
NOTHING = np.empty((0, 3), dtype=np.int64)


@dataclass(frozen=True)
class Placed:
    """Lesions that were set in.

    Parameters
    ----------
    points
        Voxels (n, 3) of each lesion.
    sources
        Names of the masks that they come from.
    """

    points: tuple[Points, ...]
    sources: tuple[str, ...]

    def mask(self, shape: tuple[int, ...]) -> BoolArray:
        """All lesions in one mask."""
        out = np.zeros(shape, dtype=bool)
        for points in self.points:
            out[tuple(points.T)] = True
        return out


def place_lesions(anatomy: Anatomy, shapes: Sequence[ShapeFile], rng: np.random.Generator) -> Placed:
    """Draw lesions for one brain: plaques of a patient at their places, a few small ones elsewhere, seldom a stroke.

    Parameters
    ----------
    anatomy
        Where they go; nothing is drawn into its fluid.
    shapes
        Masks to draw from.
    rng
        Decides everything.
    """
    plaques = [shape for shape in shapes if shape.kind == "sclerosis"]
    strokes = [shape for shape in shapes if shape.kind == "stroke"]
    placed: list[Points] = []
    drawn = [plaques[int(rng.integers(len(plaques)))]]
    found = _lesions_of(drawn[0], anatomy, rng)
    # Some brains get all lesions of a patient, others next to none.
    share = rng.uniform(0.05, 1.0)
    for points in found:
        if rng.random() < share:
            placed.append(_into_white(points, anatomy))
        if len(points) <= SMALL_VOXELS and rng.random() < 0.15:
            placed.append(_elsewhere(points, anatomy, rng))
    if strokes and rng.random() < 0.2:
        drawn.append(strokes[int(rng.integers(len(strokes)))])
        placed += [_inside_tissue(points, anatomy) for points in _lesions_of(drawn[-1], anatomy, rng)]
    return Placed(
        tuple(points for points in placed if len(points) >= MIN_VOXELS), tuple(shape.path.name for shape in drawn)
    )


def _lesions_of(shape: ShapeFile, anatomy: Anatomy, rng: np.random.Generator) -> list[Points]:
    """Connected lesions of a mask in another brain, a little moved, perhaps mirrored."""
    mask = load_shape(shape, anatomy.box, anatomy.origin, anatomy.brain.shape)
    if rng.random() < 0.5:
        mask = _mirrored(mask, anatomy)
    points = np.argwhere(mask)
    if not len(points):
        return []
    labels = components(mask, 26)[tuple(points.T)]
    order = np.argsort(labels, kind="stable")
    parts = np.split(points[order], np.flatnonzero(np.diff(labels[order])) + 1)
    return [part + rng.integers(-2, 3, 3) for part in parts if len(part) >= MIN_VOXELS]


def _mirrored(mask: BoolArray, anatomy: Anatomy) -> BoolArray:
    """Left for right about the middle of the brain's box."""
    low, high = np.rint(anatomy.box[:, 0] - anatomy.origin[0]).astype(int)
    out = np.zeros_like(mask)
    out[low : high + 1] = mask[low : high + 1][::-1]
    return out


def _into_white(points: Points, anatomy: Anatomy) -> Points:
    """The lesion, moved to the nearest place in white matter when it lies off it; empty when it does not fit."""
    kept = _inside_tissue(points, anatomy)
    if len(kept) and anatomy.white[tuple(kept.T)].mean() >= WHITE_SHARE:
        return kept
    middle = np.rint(points.mean(0)).astype(int)
    if not _inside(middle[None], anatomy).all():
        return NOTHING
    nearest = anatomy.nearest_white[:, middle[0], middle[1], middle[2]]
    moved = _inside_tissue(points + (nearest - middle), anatomy)
    return moved if len(moved) and anatomy.white[tuple(moved.T)].mean() >= WHITE_SHARE else NOTHING


def _elsewhere(points: Points, anatomy: Anatomy, rng: np.random.Generator) -> Points:
    """The lesion at a random place in white matter."""
    to = anatomy.white_points[int(rng.integers(len(anatomy.white_points)))]
    return _into_white(points - np.rint(points.mean(0)).astype(int) + to, anatomy)


def _inside_tissue(points: Points, anatomy: Anatomy) -> Points:
    """The part of a lesion that lies in brain tissue; empty when too much of it does not."""
    inside = _inside(points, anatomy)
    kept = points[inside]
    kept = kept[anatomy.brain[tuple(kept.T)] & (anatomy.fluid[tuple(kept.T)] < 0.5)]
    return kept if len(kept) >= KEPT_SHARE * len(points) else NOTHING


def _inside(points: Points, anatomy: Anatomy) -> BoolArray:
    inside: BoolArray = np.all((points >= 0) & (points < np.array(anatomy.brain.shape)), axis=1)
    return inside


def paint(
    image: FloatArray, lesions: Sequence[Points], contrast: float, blur: float, rng: np.random.Generator
) -> FloatArray:
    """The image with lesions in it, blended at the border as partial volume does.

    Parameters
    ----------
    image
        White matter about 1.
    lesions
        Voxels of each.
    contrast
        How much brighter than white matter they are on average (0.4: 40 %); each differs from it.
    blur
        Standard deviation of the border, voxels.
    rng
        Decides the brightness of each lesion.
    """
    from scipy import ndimage

    if not lesions:
        return image
    target, cover = np.zeros_like(image), np.zeros_like(image)
    for points in lesions:
        where = tuple(points.T)
        brightness = 1 + contrast * float(np.clip(rng.normal(1.0, 0.2), 0.6, 1.5))
        target[where] = np.maximum(target[where], brightness * (1 + 0.05 * rng.standard_normal(len(points))))
        cover[where] = 1
    soft = ndimage.gaussian_filter(cover, blur)
    glow = ndimage.gaussian_filter(target, blur) / np.maximum(soft, 1e-3)
    # A lesion is never darker than the tissue that it replaces.
    brighter = np.maximum(glow, image + 0.3 * contrast)
    painted: FloatArray = np.where(soft > 1e-3, image * (1 - soft) + brighter * soft, image).astype(np.float32)
    return painted
