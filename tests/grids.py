"""Grids for tests: the 48 axis-aligned orientations, and any other."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_lesion.core.grid import Grid

SIZE = (5, 7, 6)
SPACING = (0.7, 1.3, 2.5)
ORIGIN = (-101.3, 55.7, -240.9)


def aligned_directions() -> list[tuple[float, ...]]:
    """All 48 signed permutations of the axes, right- and left-handed."""
    found = []
    for axes, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        matrix = np.zeros((3, 3))
        for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
            matrix[axis, column] = sign
        found.append(directions(matrix))
    return found


def directions(matrix: np.ndarray) -> tuple[float, ...]:
    """Direction of a grid from a 3x3 matrix."""
    return tuple(float(v) for v in matrix.ravel())


ALIGNED = aligned_directions()
NAMES = ["".join(f"{v:+.0f}" for v in direction) for direction in ALIGNED]


def aligned_grid(direction: tuple[float, ...]) -> Grid:
    """A small anisotropic grid of one of the 48 orientations."""
    return Grid(SIZE, SPACING, ORIGIN, direction)


@st.composite
def grids(draw: st.DrawFn, largest: int = 9) -> Grid:
    """Grids of any direction, handedness, spacing and origin."""
    size = draw(st.tuples(*[st.integers(2, largest)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.1, 10)] * 3))
    origin = draw(st.tuples(*[st.floats(-2000, 2000)] * 3))
    matrix = np.reshape(draw(st.sampled_from(ALIGNED)), (3, 3))
    if draw(st.booleans()):
        matrix = Rotation.random(random_state=draw(st.integers(0, 2**32 - 1))).as_matrix() @ matrix
    return Grid(size, spacing, origin, directions(matrix))
