"""Exact sizes of the analytic bodies, against fine grids and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import dblquad

from napari_lesion.phantom.bodies import Body, Box, Cylinder, Ellipsoid, axial_axes, digitise, random_turn

TURN = random_turn(np.random.default_rng(3))
BODIES: list[Body] = [
    Ellipsoid((6.0, 4.0, 3.0), TURN),
    Box((5.0, 4.0, 2.5), TURN),
    Cylinder(5.0, 3.0, TURN),
]


@pytest.mark.parametrize("body", BODIES)
def test_volume_and_extent_on_a_fine_grid(body: Body) -> None:
    step = 0.1
    mask = digitise(body, (step, step, step), np.array([0.03, 0.01, -0.04]))
    assert mask.sum() * step**3 == pytest.approx(body.volume, rel=2e-3)
    size = np.array(mask.shape) - 2
    assert size * step == pytest.approx(2 * body.reach, abs=2 * step)
    for axis in range(3):  # nothing is cut off at the border
        assert not mask.take([0, -1], axis=axis).any()


@pytest.mark.parametrize("body", BODIES)
def test_axes_and_diameter_by_brute_force(body: Body) -> None:
    """Longest distance of points of the fine central section; longest distance of all outer points."""
    step = 0.1
    mask = digitise(body, (step, step, step))
    central = mask[mask.shape[0] // 2]
    points = np.argwhere(central) * step
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    long, short = axial_axes(body)
    assert distances.max() == pytest.approx(long, abs=2 * step)
    assert short <= long <= body.diameter + 1e-12
    for plane in mask[::5]:
        other = np.argwhere(plane) * step
        if len(other) > 1:
            widest = max(np.ptp(other @ [math.cos(a), math.sin(a)]) for a in np.linspace(0, math.pi, 60))
            assert widest <= long + 2 * step
    outer = np.argwhere(mask) * step
    directions = np.random.default_rng(4).standard_normal((400, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    assert np.ptp(outer @ directions.T, axis=0).max() == pytest.approx(body.diameter, rel=0.04)


def test_known_axes() -> None:
    assert axial_axes(Box((10.0, 3.0, 4.0))) == pytest.approx((10.0, 7.5))
    assert axial_axes(Cylinder(10.0, 4.0)) == pytest.approx((8.0, 8.0))
    assert axial_axes(Ellipsoid((9.0, 5.0, 3.0))) == pytest.approx((10.0, 6.0))


def test_area_of_an_ellipsoid() -> None:
    """Carlson's integral against the integral over the sphere of parameters."""
    a, b, c = 6.0, 4.0, 3.0

    def element(theta: float, phi: float) -> float:
        s, x = math.sin(theta), math.cos(theta)
        return s * math.sqrt((b * c * s * math.cos(phi)) ** 2 + (a * c * s * math.sin(phi)) ** 2 + (a * b * x) ** 2)

    expected, _ = dblquad(element, 0, 2 * math.pi, 0, math.pi)
    assert Ellipsoid((a, b, c)).area == pytest.approx(expected, rel=1e-6)
    assert Ellipsoid((2.0, 2.0, 2.0)).area == pytest.approx(16 * math.pi)
    assert Box((1.0, 1.0, 1.0)).area == 24.0
    assert Cylinder(1.0, 1.0).area == pytest.approx(6 * math.pi)


def test_turns_are_rotations_without_a_preferred_axis() -> None:
    random = np.random.default_rng(5)
    turns = np.array([random_turn(random) for _ in range(800)])
    assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert np.allclose(np.linalg.det(turns), 1.0)
    assert np.mean(turns**2, axis=0) == pytest.approx(np.full((3, 3), 1 / 3), abs=0.05)
