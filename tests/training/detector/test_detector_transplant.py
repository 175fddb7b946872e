"""A transplanted nodule keeps its texture and its outline, and lies where there is room for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.training.cases import list_cases
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.batches import CropBatches
from napari_lesion.training.detector.config import Stretch
from napari_lesion.training.detector.crops import CONSENSUS
from napari_lesion.training.detector.nodules import Nodule
from napari_lesion.training.detector.transplant import Host, graft_of, hosts_of, set_into, transplanted
from napari_lesion.training.scenes import LESION, Scene, load_scenes

WINDOW = Intensity()
AIR = WINDOW.scaled(-850)
DENSE = WINDOW.scaled(0)


def ball(radius: float, edge: int = 31) -> np.ndarray:
    grid = np.indices((edge,) * 3) - edge // 2
    inside: np.ndarray = (grid**2).sum(0) <= radius**2
    return inside


@pytest.fixture
def nodule() -> Nodule:
    """A textured ball of 4 mm in aerated lung."""
    inside = ball(4)
    rng = np.random.default_rng(1)
    image = np.where(inside, DENSE + 0.05 * rng.standard_normal(inside.shape), AIR)
    return Nodule("n", "p", 4, image.astype(np.float16), inside.astype(np.uint8) * LESION, inside.astype(np.float16))


@pytest.fixture
def scan(tiny_data: Path) -> Scene:
    """A lung with one vessel along z through (20, 20), and with points in the lung alone."""
    made = next(scene for scene in load_scenes(list_cases(tiny_data), WINDOW) if scene.case.kind == "scan")
    image = np.full((60, 60, 60), WINDOW.scaled(-900), dtype=np.float16)
    image[18:23, 18:23] = DENSE
    points = np.argwhere(np.ones((40, 40, 40), dtype=bool)) + 10
    points = points[np.random.default_rng(0).permutation(len(points))[:4000]]
    return replace(made, image=image, label=np.zeros(image.shape, np.uint8), background_points=points)


def test_the_nodule_keeps_texture_and_outline_in_another_lung(nodule: Nodule, scan: Scene) -> None:
    graft = graft_of(nodule, WINDOW)
    assert graft is not None
    (host,) = hosts_of([scan], WINDOW)
    moved = set_into(graft, host, np.array([40, 40, 30]))
    np.testing.assert_array_equal(moved.label, nodule.label)
    np.testing.assert_array_equal(moved.share, nodule.share)
    inside = nodule.label == LESION
    np.testing.assert_allclose(moved.image[inside], nodule.image[inside], atol=1e-3)
    far = ~ball(9)
    np.testing.assert_array_equal(moved.image[far], scan.image[25:56, 25:56, 15:46][far])


def test_a_thinned_nodule_is_ground_glass_with_the_same_outline(nodule: Nodule, scan: Scene) -> None:
    graft = graft_of(nodule, WINDOW)
    assert graft is not None
    hosts = hosts_of([scan], WINDOW)
    inside = nodule.label == LESION
    levels = []
    for seed in range(20):
        thin = transplanted([graft], hosts, np.random.default_rng(seed), thinned=1.0)
        np.testing.assert_array_equal(thin.label == LESION, inside)
        levels.append(float(thin.image[inside].astype(np.float32).mean()))
    assert min(levels) > WINDOW.scaled(-740)
    assert max(levels) < WINDOW.scaled(-380)
    assert np.ptp(levels) > 0.1
    speck = replace(graft, radius_mm=3.0)
    dense = transplanted([speck], hosts, np.random.default_rng(0), thinned=1.0)
    np.testing.assert_allclose(dense.image[inside], nodule.image[inside], atol=1e-3)


def test_vessels_are_not_cut(nodule: Nodule, scan: Scene) -> None:
    graft = graft_of(nodule, WINDOW)
    assert graft is not None
    hosts = hosts_of([scan], WINDOW)
    rng = np.random.default_rng(2)
    for _ in range(20):
        moved = transplanted([graft], hosts, rng)
        there = moved.image[ball(5.5) & ~ball(4.5)]
        assert (there < WINDOW.scaled(-500)).all()


def test_a_nodule_on_the_chest_wall_stays(nodule: Nodule) -> None:
    image = nodule.image.copy()
    image[20:] = DENSE
    assert graft_of(replace(nodule, image=image), WINDOW) is None


def test_without_room_it_stays_where_it_was(nodule: Nodule, scan: Scene) -> None:
    graft = graft_of(nodule, WINDOW)
    assert graft is not None
    (host,) = hosts_of([scan], WINDOW)
    crowded = Host(scan, host.points, np.zeros_like(host.room_mm))
    assert transplanted([graft], [crowded], np.random.default_rng(0)) is nodule


def test_batches_hold_transplanted_nodules(nodule: Nodule, scan: Scene) -> None:
    graft = graft_of(nodule, WINDOW)
    assert graft is not None
    stretch = Stretch("cubes", "cubes", steps=2, batch=2, roi=24, jitter=2, transplanted=1.0)
    with_hosts = CropBatches([nodule], stretch, 1, (), [graft], hosts_of([scan], WINDOW))
    without = CropBatches([nodule], replace(stretch, transplanted=0.0), 1, (), [graft], hosts_of([scan], WINDOW))
    assert with_hosts[0]["target"][:, CONSENSUS].sum() > 0
    assert not np.array_equal(with_hosts[0]["image"], without[0]["image"])
