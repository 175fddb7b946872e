"""Grids for tests: the 48 axis-aligned orientations and random oblique ones."""

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
    """All 48 signed permutation matrices, right- and left-handed."""
    found = []
    for axes, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        matrix = np.zeros((3, 3))
        for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
            matrix[axis, column] = sign
        found.append(tuple(float(v) for v in matrix.ravel()))
    return found


ALIGNED = aligned_directions()


def aligned_grid(direction: tuple[float, ...]) -> Grid:
    return Grid(SIZE, SPACING, ORIGIN, direction)


def rotation(seed: int, *, mirrored: bool = False) -> np.ndarray:
    matrix = Rotation.random(random_state=seed).as_matrix()
    return matrix @ np.diag([1, 1, -1]) if mirrored else matrix


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Small grids of any direction, handedness, spacing and origin."""
    size = draw(st.tuples(*[st.integers(2, 9)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.1, 10)] * 3))
    origin = draw(st.tuples(*[st.floats(-2000, 2000)] * 3))
    if draw(st.booleans()):
        return Grid(size, spacing, origin, draw(st.sampled_from(ALIGNED)))
    matrix = rotation(draw(st.integers(0, 2**32 - 1)), mirrored=draw(st.booleans()))
    return Grid(size, spacing, origin, tuple(float(v) for v in matrix.ravel()))
