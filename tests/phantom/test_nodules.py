"""Nodules of the phantom: sizes, densities, places and contacts against what is known about them."""

from __future__ import annotations

import cc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_lesion.core.errors import LesionError
from napari_lesion.core.grid import Grid
from napari_lesion.phantom.chest import Chest, ChestSpec, make_chest
from napari_lesion.phantom.nodules import NoduleKind, NoduleSpec, PlacedNodule, TrueNodule, make_shape
from napari_lesion.phantom.scanner import Scanner
from napari_lesion.phantom.space import Axes, Canvas

FREE = {NoduleKind.SOLID, NoduleKind.PART_SOLID, NoduleKind.GROUND_GLASS, NoduleKind.CALCIFIED}


def of_kind(chest: Chest, *kinds: NoduleKind) -> list[TrueNodule]:
    return [nodule for nodule in chest.nodules if nodule.kind in kinds]


def mask_of(chest: Chest, nodule: TrueNodule) -> np.ndarray:
    return chest.truth.array == nodule.label


@settings(max_examples=12, deadline=None)
@given(diameter=st.floats(4, 20), lobules=st.integers(0, 6), spicules=st.integers(0, 8), seed=st.integers(0, 99))
def test_rendered_shape_has_its_analytic_volume(diameter: float, lobules: int, spicules: int, seed: int) -> None:
    spec = NoduleSpec(NoduleKind.SOLID, diameter, lobules, 0.3, spicules, 0.4)
    shape = make_shape(spec, np.random.default_rng(seed))
    n = int(2 * shape.reach + 8)
    canvas = Canvas(Grid((n, n, n), (1.0, 1.0, 1.0), (-n / 2 + 0.3,) * 3))
    nodule = PlacedNodule(spec, shape, np.zeros(3))
    rendered = float(nodule.share(canvas, nodule.box(canvas.axes)).sum())
    assert shape.volume_mm3 == pytest.approx(np.pi / 6 * diameter**3)
    assert rendered == pytest.approx(shape.volume_mm3, rel=0.03)


def test_counted_centres_are_unbiased() -> None:
    spec = NoduleSpec(NoduleKind.SOLID, 5.0)
    shape = make_shape(spec, np.random.default_rng(0))
    canvas = Canvas(Grid((12, 12, 12), (1.1, 1.1, 1.25), (-6.0, -6.0, -7.0)))
    counts = []
    for place in np.random.default_rng(1).uniform(-0.6, 0.6, (200, 3)):
        nodule = PlacedNodule(spec, shape, place)
        counts.append(shape.contains(nodule.offsets(canvas.axes, nodule.box(canvas.axes))).sum())
    assert np.mean(counts) * canvas.grid.voxel_volume_mm3 == pytest.approx(np.pi / 6 * 125, rel=0.02)


def test_default_study_has_every_kind_from_4_to_20_mm(chest: Chest) -> None:
    assert {nodule.kind for nodule in chest.nodules} == set(NoduleKind)
    diameters = [nodule.diameter_mm for nodule in chest.nodules]
    assert min(diameters) == 4.0
    assert max(diameters) == 20.0
    assert [nodule.label for nodule in chest.nodules] == list(range(1, len(chest.nodules) + 1))
    assert np.unique(chest.truth.array).tolist() == list(range(len(chest.nodules) + 1))


def test_mask_has_the_true_volume_and_diameter(chest: Chest) -> None:
    for nodule in chest.nodules:
        volume = mask_of(chest, nodule).sum() * chest.truth.grid.voxel_volume_mm3
        true_diameter = np.cbrt(6 / np.pi * nodule.volume_mm3)
        # Counting centres errs by a share of the voxels on the border.
        border = np.pi * true_diameter**2 * np.cbrt(chest.truth.grid.voxel_volume_mm3)
        assert volume == pytest.approx(nodule.volume_mm3, abs=0.15 * border)
        assert np.cbrt(6 / np.pi * volume) == pytest.approx(true_diameter, abs=0.35)


def test_mask_lies_where_the_centre_says(chest: Chest) -> None:
    for nodule in of_kind(chest, *FREE, NoduleKind.JUXTAVASCULAR):
        centroid = chest.truth.grid.to_physical(np.argwhere(mask_of(chest, nodule))).mean(axis=0)
        bumps = 0.12 * nodule.diameter_mm
        assert np.linalg.norm(centroid - nodule.centre_lps_mm) < 0.4 + bumps


def test_density_inside_is_the_stated_one(chest: Chest) -> None:
    noise = Scanner().level(Axes.of(chest.volume.grid))
    for nodule in chest.nodules:
        mask = _box(mask_of(chest, nodule), nodule, chest)
        depth = ndimage.distance_transform_edt(mask, chest.truth.grid.spacing_zyx)
        distance = _distance(nodule, chest)
        parts = {nodule.hu: depth > 2.2}
        if nodule.kind is NoduleKind.PART_SOLID:
            shell = (depth > 1.2) & (distance > 0.7 * nodule.core_diameter_mm + 1.0)
            parts = {nodule.core_hu: distance < nodule.core_diameter_mm / 2 - 2.0, nodule.hu: shell}
        for hu, part in parts.items():
            values = _box(chest.volume.array, nodule, chest)[part]
            if len(values) > 8:
                spread = float(_box(noise, nodule, chest).max()) / np.sqrt(len(values))
                assert np.median(values) == pytest.approx(hu, abs=12 + 4 * spread)


def test_small_calcified_nodule_is_denser_than_soft_tissue(chest: Chest) -> None:
    for nodule in of_kind(chest, NoduleKind.CALCIFIED):
        assert chest.volume.array[mask_of(chest, nodule)].max() > 300


def test_nodules_lie_inside_the_lungs(chest: Chest) -> None:
    assert chest.lungs[chest.truth.array > 0].all()


def test_each_nodule_is_one_piece_and_none_touches_another(chest: Chest) -> None:
    truth = chest.truth.array
    for nodule in chest.nodules:
        assert cc3d.connected_components(truth == nodule.label, connectivity=6, return_N=True)[1] == 1
    _, count = cc3d.connected_components(ndimage.binary_dilation(truth > 0, iterations=2), return_N=True)
    assert count == len(chest.nodules)


def test_only_juxtapleural_nodules_reach_the_pleura(chest: Chest) -> None:
    to_wall = ndimage.distance_transform_edt(chest.lungs, chest.truth.grid.spacing_zyx)
    for nodule in chest.nodules:
        gap = to_wall[mask_of(chest, nodule)].min()
        if nodule.kind is NoduleKind.JUXTAPLEURAL:
            assert gap <= max(chest.truth.grid.spacing)
            assert nodule.volume_mm3 < np.pi / 6 * nodule.diameter_mm**3
        else:
            assert gap > 2.0


def test_wall_cuts_a_juxtapleural_nodule_like_a_plane(chest: Chest) -> None:
    for nodule in of_kind(chest, NoduleKind.JUXTAPLEURAL):
        radius = nodule.diameter_mm / 2
        height = radius * (1 - 0.55)
        cap = np.pi * height**2 * (3 * radius - height) / 3
        assert nodule.volume_mm3 == pytest.approx(4 / 3 * np.pi * radius**3 - cap, rel=0.15)


def test_juxtavascular_nodules_touch_a_vessel_and_free_ones_do_not(chest: Chest) -> None:
    vessels = chest.trees.vessels
    large = vessels.select(vessels.end_radii > 1.0)
    for nodule in chest.nodules:
        radius = nodule.diameter_mm / 2
        nearest = large.distance(nodule.centre_lps_mm).min()
        if nodule.kind is NoduleKind.JUXTAVASCULAR:
            assert -0.7 <= nearest - radius <= 0.0
        elif nodule.kind in FREE and radius <= 6:
            assert nearest > radius


def test_too_many_nodules_are_refused_in_plain_words() -> None:
    spec = ChestSpec(size=(75, 75, 50), spacing=(4.4, 4.4, 5.0), nodules=(NoduleSpec(NoduleKind.SOLID, 60.0),) * 12)
    with pytest.raises(LesionError, match=r"no room for a solid nodule of 60\.0 mm"):
        make_chest(spec)


def _box(array: np.ndarray, nodule: TrueNodule, chest: Chest) -> np.ndarray:
    box = ndimage.find_objects(chest.truth.array)[nodule.label - 1]
    return array[tuple(slice(max(s.start - 2, 0), s.stop + 2) for s in box)]


def _distance(nodule: TrueNodule, chest: Chest) -> np.ndarray:
    box = ndimage.find_objects(chest.truth.array)[nodule.label - 1]
    ranges = [np.arange(max(s.start - 2, 0), s.stop + 2) for s in box]
    positions = chest.truth.grid.to_physical(np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1))
    return np.linalg.norm(positions - np.asarray(nodule.centre_lps_mm), axis=-1)
