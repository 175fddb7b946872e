"""Nodules of known place, size, shape and density."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

from napari_lesion.core.display import Box
from napari_lesion.phantom.space import Axes, Canvas, Field, Points

SUBSAMPLES = 4
QUADRATURE = (96, 192)
SHARPNESS = (5.0, 55.0)


class NoduleKind(StrEnum):
    """What a nodule looks like, or what it touches."""

    SOLID = "solid"
    PART_SOLID = "part_solid"
    GROUND_GLASS = "ground_glass"
    CALCIFIED = "calcified"
    JUXTAVASCULAR = "juxtavascular"
    JUXTAPLEURAL = "juxtapleural"


DENSITY: dict[NoduleKind, float] = {
    NoduleKind.SOLID: 35.0,
    NoduleKind.PART_SOLID: -600.0,
    NoduleKind.GROUND_GLASS: -620.0,
    NoduleKind.CALCIFIED: 450.0,
    NoduleKind.JUXTAVASCULAR: 40.0,
    NoduleKind.JUXTAPLEURAL: 40.0,
}
CORE_HU = 25.0
CORE_RATIO = 0.5


@dataclass(frozen=True)
class NoduleSpec:
    """A nodule to be put into the phantom.

    Parameters
    ----------
    kind
        What it looks like or touches.
    diameter_mm
        Diameter of the ball of the same volume, before the chest wall cuts it (juxtapleural).
    lobules, lobule_height
        Number of rounded bumps, and their height against the radius.
    spicules, spicule_height
        Number of pointed rays, and their height against the radius.
    """

    kind: NoduleKind
    diameter_mm: float
    lobules: int = 0
    lobule_height: float = 0.25
    spicules: int = 0
    spicule_height: float = 0.5

    @property
    def hu(self) -> float:
        """True CT number of the nodule (of the ground glass, where it has a core)."""
        return DENSITY[self.kind]

    @property
    def core_diameter_mm(self) -> float:
        """Diameter of the solid core; 0 when there is none."""
        return CORE_RATIO * self.diameter_mm if self.kind is NoduleKind.PART_SOLID else 0.0


@dataclass(frozen=True)
class TrueNodule:
    """What is known about one nodule of the phantom.

    Parameters
    ----------
    label
        Its value in the truth mask.
    kind
        What it looks like or touches.
    centre_lps_mm
        Centre of its shape, LPS mm.
    diameter_mm
        Diameter of the ball of the shape's volume, before the chest wall cuts it.
    volume_mm3
        True volume: analytic, or inside the lung by integration (juxtapleural).
    hu
        True CT number; of the ground glass where there is a core.
    core_diameter_mm, core_hu
        Solid core of a part-solid nodule; 0 and NaN elsewhere.
    """

    label: int
    kind: NoduleKind
    centre_lps_mm: tuple[float, float, float]
    diameter_mm: float
    volume_mm3: float
    hu: float
    core_diameter_mm: float = 0.0
    core_hu: float = float("nan")


@dataclass(frozen=True, eq=False)
class Shape:
    """A star-shaped body: radius as a function of direction, scaled to the volume of a ball.

    ``r(u) = scale (1 + sum_k height_k exp(sharpness_k (u . axis_k - 1)))``

    Parameters
    ----------
    radius
        Radius of the ball of the same volume, mm.
    axes
        Unit vectors of the bumps, (k, 3).
    heights, sharpness
        Their heights and how narrow they are, (k,).
    """

    radius: float
    axes: Points
    heights: npt.NDArray[np.float64]
    sharpness: npt.NDArray[np.float64]

    @property
    def volume_mm3(self) -> float:
        """Exact volume, mm³."""
        return 4.0 / 3.0 * np.pi * self.radius**3

    def bumps(self, directions: Points) -> npt.NDArray[np.float64]:
        """Radius before scaling along unit vectors (..., 3)."""
        result = np.ones(directions.shape[:-1])
        for axis, height, sharp in zip(self.axes, self.heights, self.sharpness, strict=True):
            result += height * np.exp(sharp * (directions @ axis - 1.0))
        return result

    @cached_property
    def scale(self) -> float:
        """Factor that gives the shape its volume: ``integral of r^3 / 3`` over all directions."""
        if not len(self.axes):
            return self.radius
        cosines, weights = np.polynomial.legendre.leggauss(QUADRATURE[0])
        turns = np.arange(QUADRATURE[1]) * (2 * np.pi / QUADRATURE[1])
        sines = np.sqrt(1 - cosines**2)[:, None]
        ball = np.stack(np.broadcast_arrays(sines * np.cos(turns), sines * np.sin(turns), cosines[:, None]), axis=-1)
        mean_cube = float((self.bumps(ball) ** 3).mean(axis=1) @ weights / 2.0)
        return self.radius / float(np.cbrt(mean_cube))

    @cached_property
    def reach(self) -> float:
        """Largest distance from the centre, mm (an upper bound)."""
        extra = float(self.bumps(self.axes).max()) if len(self.axes) else 1.0
        return self.scale * extra

    def contains(self, offsets: Points) -> npt.NDArray[np.bool_]:
        """Whether points (..., 3), mm from the centre, lie inside."""
        distance = np.linalg.norm(offsets, axis=-1)
        directions = offsets / np.maximum(distance, 1e-9)[..., None]
        inside: npt.NDArray[np.bool_] = distance <= self.scale * self.bumps(directions)
        return inside


def make_shape(spec: NoduleSpec, rng: np.random.Generator) -> Shape:
    """Shape of a nodule with bumps in random directions that keep away from each other."""
    axes = _spread_directions(spec.lobules + spec.spicules, rng)
    lobules = np.arange(len(axes)) < spec.lobules
    heights = np.where(lobules, spec.lobule_height, spec.spicule_height) * rng.uniform(0.7, 1.0, len(axes))
    return Shape(spec.diameter_mm / 2, axes, heights, np.where(lobules, *SHARPNESS))


def _spread_directions(count: int, rng: np.random.Generator) -> Points:
    """Unit vectors (count, 3), each the farthest from those before it out of a few random ones."""
    chosen = np.zeros((0, 3))
    for _ in range(count):
        trial = rng.standard_normal((24, 3))
        trial /= np.linalg.norm(trial, axis=1, keepdims=True)
        nearest = (trial @ chosen.T).max(axis=1, initial=-1.0)
        chosen = np.vstack([chosen, trial[int(np.argmin(nearest))]])
    return chosen


@dataclass(frozen=True, eq=False)
class PlacedNodule:
    """A shape at its place; painted into the image and into the truth mask.

    Parameters
    ----------
    spec, shape
        What was asked for, and its body.
    centre
        LPS mm, (3,).
    """

    spec: NoduleSpec
    shape: Shape
    centre: npt.NDArray[np.float64]

    def box(self, axes: Axes) -> Box:
        """Voxels that it may touch."""
        margin = self.shape.reach + 2.0
        return axes.box(self.centre - margin, self.centre + margin)

    def share(self, canvas: Canvas, box: Box, ratio: float = 1.0, count: int = SUBSAMPLES) -> Field:
        """Share of each voxel of the box inside the shape, made smaller by a ratio; count³ samples a voxel."""
        steps = (np.arange(count) + 0.5) / count - 0.5
        total = np.zeros(tuple(s.stop - s.start for s in box), dtype=np.float32)
        for shift in np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3):
            total += self.shape.contains(self.offsets(canvas.axes, box, shift) / ratio)
        total /= count**3
        return total

    def offsets(self, axes: Axes, box: Box, shift: npt.ArrayLike = (0.0, 0.0, 0.0)) -> Points:
        """Positions (z, y, x, 3), mm from the centre, of the voxels of a box moved by a part of a voxel (z, y, x)."""
        moves = (np.asarray(shift) * axes.spacing)[::-1]
        origin = self.centre - moves
        parts = [part.astype(np.float64) - c for part, c in zip(axes.mesh(box), origin, strict=True)]
        return np.stack(np.broadcast_arrays(*parts), axis=-1)

    def true_volume(self, lung: Field, coarse: Axes, step: float = 0.1) -> float:
        """Volume of the part inside the lung, mm³, by a midpoint sum of ``step`` times the radius."""
        edge = step * self.shape.radius
        half = np.arange(edge / 2, self.shape.reach + edge, edge)
        line = np.concatenate([-half[::-1], half])
        points = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1)
        inside = points[self.shape.contains(points)]
        depth = sample(lung, coarse, inside + self.centre)
        return self.shape.volume_mm3 * float((depth < 0).mean())


def sample(values: Field, axes: Axes, points: Points) -> npt.NDArray[np.float64]:
    """Linear interpolation of an array at points (n, 3), LPS mm."""
    first = np.asarray([axes.z[0], axes.y[0], axes.x[0]], dtype=np.float64)
    index = (np.asarray(points)[:, ::-1] - first) / np.asarray(axes.spacing)
    found: npt.NDArray[np.float64] = map_coordinates(values, index.T, order=1, mode="nearest", output=np.float64)
    return found
