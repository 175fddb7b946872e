"""Continuous bodies whose size is known exactly, and the voxels that a scanner's grid makes of them.

Every body is convex and symmetric about its centre, which gives its axial axes without a search: the longest chord in
any direction runs through the centre, so the axes are those of the axial section through the centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import elliprg

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

DIRECTIONS = 1440
ZOOMS = 4


class Body(Protocol):
    """A convex body that is symmetric about its centre; lengths in mm, axes (z, y, x)."""

    @property
    def turn(self) -> FloatArray:
        """Rotation from the body's frame to the patient's, shape (3, 3)."""

    @property
    def volume(self) -> float:
        """Volume, mm³."""

    @property
    def area(self) -> float:
        """Surface area, mm²."""

    @property
    def diameter(self) -> float:
        """Largest distance of two points, mm."""

    @property
    def reach(self) -> FloatArray:
        """Half of the extent along z, y and x, mm."""

    def gauge(self, first: FloatArray, second: FloatArray, third: FloatArray) -> FloatArray:
        """At most 1 inside, above 1 outside, proportional to the distance from the centre; body's own frame."""


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """A solid ellipsoid (a sphere when the semi-axes are equal)."""

    semi_axes: tuple[float, float, float]
    turn: FloatArray = field(default_factory=lambda: np.eye(3))

    @property
    def volume(self) -> float:
        """Volume, mm³."""
        return 4.0 / 3.0 * math.pi * math.prod(self.semi_axes)

    @property
    def area(self) -> float:
        """Surface area by Carlson's symmetric integral R_G (DLMF 19.33.1), mm²."""
        a, b, c = (s * s for s in self.semi_axes)
        return float(4.0 * math.pi * elliprg(a * b, a * c, b * c))

    @property
    def diameter(self) -> float:
        """Largest distance of two points, mm."""
        return 2.0 * max(self.semi_axes)

    @property
    def reach(self) -> FloatArray:
        """Half of the extent along z, y and x, mm."""
        reach: FloatArray = np.linalg.norm(self.turn * self.semi_axes, axis=1)
        return reach

    def gauge(self, first: FloatArray, second: FloatArray, third: FloatArray) -> FloatArray:
        """Length of the point after the ellipsoid was made a unit sphere."""
        a, b, c = self.semi_axes
        return np.sqrt((first / a) ** 2 + (second / b) ** 2 + (third / c) ** 2)


@dataclass(frozen=True, eq=False)
class Box:
    """A rectangular block."""

    half_sizes: tuple[float, float, float]
    turn: FloatArray = field(default_factory=lambda: np.eye(3))

    @property
    def volume(self) -> float:
        """Volume, mm³."""
        return 8.0 * math.prod(self.half_sizes)

    @property
    def area(self) -> float:
        """Surface area, mm²."""
        a, b, c = self.half_sizes
        return 8.0 * (a * b + b * c + a * c)

    @property
    def diameter(self) -> float:
        """Space diagonal, mm."""
        return 2.0 * math.hypot(*self.half_sizes)

    @property
    def reach(self) -> FloatArray:
        """Half of the extent along z, y and x, mm."""
        reach: FloatArray = np.abs(self.turn) @ np.asarray(self.half_sizes)
        return reach

    def gauge(self, first: FloatArray, second: FloatArray, third: FloatArray) -> FloatArray:
        """Largest coordinate, in half sizes."""
        a, b, c = self.half_sizes
        return np.maximum(np.maximum(abs(first) / a, abs(second) / b), abs(third) / c)


@dataclass(frozen=True, eq=False)
class Cylinder:
    """A round cylinder; its axis is the first axis of its own frame."""

    half_height: float
    radius: float
    turn: FloatArray = field(default_factory=lambda: np.eye(3))

    @property
    def volume(self) -> float:
        """Volume, mm³."""
        return 2.0 * math.pi * self.radius**2 * self.half_height

    @property
    def area(self) -> float:
        """Surface area, mm²."""
        return 2.0 * math.pi * self.radius * (self.radius + 2.0 * self.half_height)

    @property
    def diameter(self) -> float:
        """Largest distance of two points, mm."""
        return 2.0 * math.hypot(self.radius, self.half_height)

    @property
    def reach(self) -> FloatArray:
        """Half of the extent along z, y and x, mm."""
        along = np.abs(self.turn[:, 0])
        reach: FloatArray = along * self.half_height + np.sqrt(np.maximum(0.0, 1.0 - along**2)) * self.radius
        return reach

    def gauge(self, first: FloatArray, second: FloatArray, third: FloatArray) -> FloatArray:
        """Larger of the height in half heights and the distance from the axis in radii."""
        return np.maximum(abs(first) / self.half_height, np.sqrt(second**2 + third**2) / self.radius)


def axial_axes(body: Body) -> tuple[float, float]:
    """Longest chord in an axial plane, and the longest one perpendicular to it in that plane, mm.

    Exact for an ellipsoid; otherwise the direction of the longest chord is found by sampling ever finer around the
    best one, down to 1e-8 radians.
    """
    if isinstance(body, Ellipsoid):
        turned = body.turn / np.asarray(body.semi_axes)
        section = (turned @ turned.T)[1:, 1:]
        smallest, largest = np.linalg.eigvalsh(section)
        return float(2.0 / math.sqrt(smallest)), float(2.0 / math.sqrt(largest))
    middle, width = 0.0, math.pi
    for _ in range(ZOOMS):
        angles = middle + np.linspace(-0.5, 0.5, DIRECTIONS + 1) * width
        middle, width = float(angles[_chords(body, angles).argmax()]), 4.0 * width / DIRECTIONS
    along, across = _chords(body, np.array([middle, middle + math.pi / 2.0]))
    return float(along), float(across)


def _chords(body: Body, angles: FloatArray) -> FloatArray:
    """Chords through the centre in the axial plane, mm."""
    own = body.turn.T @ np.stack([np.zeros_like(angles), np.cos(angles), np.sin(angles)])
    return 2.0 / body.gauge(own[0], own[1], own[2])


def digitise(body: Body, spacing: tuple[float, float, float], offset: FloatArray | None = None) -> BoolArray:
    """Voxels whose centres lie in a body, with one layer of background around them.

    Parameters
    ----------
    body
        The body.
    spacing
        Voxel spacing (z, y, x), mm.
    offset
        Position of the body's centre relative to a voxel centre (z, y, x), mm.
    """
    shift = np.zeros(3) if offset is None else np.asarray(offset, dtype=np.float64)
    low = np.ceil((shift - body.reach) / spacing).astype(int) - 1
    high = np.floor((shift + body.reach) / spacing).astype(int) + 1
    z, y, x = np.ogrid[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))]
    place = [index * step - s for index, step, s in zip((z, y, x), spacing, shift, strict=True)]
    own = [sum(place[k] * body.turn[k, axis] for k in range(3)) for axis in range(3)]
    inside: BoolArray = body.gauge(own[0], own[1], own[2]) <= 1.0
    return inside


def random_turn(random: np.random.Generator) -> FloatArray:
    """Rotation that is uniform over all orientations, shape (3, 3)."""
    quaternion = random.standard_normal(4)
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
