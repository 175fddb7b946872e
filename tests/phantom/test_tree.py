"""Branching trees: Murray's law, reach and true cross-sections."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lesion.core.grid import Grid
from napari_lesion.phantom.space import Canvas
from napari_lesion.phantom.tree import Segments, beside, grow_tree, render


def cloud(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-40, 40, (count, 3))


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 200), seed=st.integers(0, 1000))
def test_every_point_is_supplied_and_cubes_of_radii_add_up(count: int, seed: int) -> None:
    tree = grow_tree((60, 0, 0), 5.0, cloud(count, seed), np.random.default_rng(seed))
    children: dict[tuple[float, ...], list[float]] = {}
    for start, radius in zip(tree.starts, tree.end_radii, strict=True):
        children.setdefault(tuple(start), []).append(radius**3)
    leaves = 0
    for end, radius in zip(tree.ends, tree.end_radii, strict=True):
        if tuple(end) in children:
            assert sum(children[tuple(end)]) == pytest.approx(radius**3)
        else:
            leaves += 1
            assert radius**3 == pytest.approx(125 / count)
    assert leaves == count


def test_tree_is_connected_and_tapers() -> None:
    tree = grow_tree((60, 0, 0), 5.0, cloud(300, 1), np.random.default_rng(1))
    ends = {tuple(end) for end in tree.ends} | {(60.0, 0.0, 0.0)}
    assert all(tuple(start) in ends for start in tree.starts)
    assert (tree.start_radii <= 1.2500001 * tree.end_radii).all()


def test_distance_to_the_wall() -> None:
    tube = Segments(np.zeros((1, 3)), np.asarray([(10.0, 0, 0)]), np.asarray([2.0]), np.asarray([1.0]))
    assert tube.distance((0, 5, 0))[0] == pytest.approx(3.0)
    assert tube.distance((5, 0, 0))[0] == pytest.approx(-1.5)
    assert tube.distance((14, 3, 0))[0] == pytest.approx(4.0)


def test_companion_touches_without_entering() -> None:
    artery = Segments(np.zeros((1, 3)), np.asarray([(20.0, 0, 0)]), np.asarray([3.0]), np.asarray([3.0]))
    airway = beside(artery, 0.6, 1.0, (0, 0, 1))
    gap = airway.starts[0, 2] - artery.start_radii[0] - airway.start_radii[0]
    assert 0 <= gap < 1.0
    assert len(beside(artery, 0.6, 5.0, (0, 0, 1))) == 0


@pytest.mark.parametrize("radius", [0.35, 0.6, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("direction", [(1.0, 0, 0), (0.6, 0.5, 0.62)])
def test_tubes_of_any_radius_fill_their_true_volume(radius: float, direction: tuple[float, float, float]) -> None:
    canvas = Canvas(Grid((48, 48, 48), (1.0, 1.0, 1.2), (-23.5, -23.5, -28.2)))
    half = 15 * np.asarray(direction) / np.linalg.norm(direction)
    radii = np.asarray([radius])
    places = np.random.default_rng(5).uniform(-0.5, 0.5, (16, 3))
    volumes = [
        float(render(canvas, Segments(place - half[None], place + half[None], radii, radii)).sum()) * 1.2
        for place in places
    ]
    expected = np.pi * radius**2 * 30 + 4 / 3 * np.pi * radius**3
    assert np.mean(volumes) == pytest.approx(expected, rel=0.1)


def test_tubes_outside_the_image_leave_it_empty() -> None:
    canvas = Canvas(Grid((20, 20, 20), (1.0, 1.0, 1.0)))
    far = Segments(np.asarray([(200.0, 0, 0)]), np.asarray([(220.0, 0, 0)]), np.ones(1), np.ones(1))
    assert render(canvas, far).max() == 0
