"""Ring and contrast: known backgrounds, what is left out, what is undefined, contact with a border."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from lesion_bodies import ball, study_of
from scipy import ndimage

from napari_lesion.core.grid import Grid
from napari_lesion.core.surroundings import Region, Surroundings
from napari_lesion.core.table import Row
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.registry import select
from napari_lesion.measure.ring import grown
from napari_lesion.measure.spec import Family

NAN_WITHOUT_RING = ("ring_mean_hu", "ring_sd_hu", "contrast_hu", "cnr", "contrast_z")


def measure(mask: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0), **more: Any) -> Row:
    return measured(*study_of(mask, spacing, **more))


def measured(volume: Volume, labels: LabelMap, label: int = 1, **more: Any) -> Row:
    request = MeasureRequest(features=("boundary", "density"), only=frozenset({label}), **more)
    return measure_lesions(volume, labels, request).rows[label]


def test_contrast_of_two_levels() -> None:
    """A lesion of 40 HU in -800 HU, with a layer of partial volume that neither of them counts."""
    spacing = (1.0, 0.7, 0.7)
    mask = np.pad(ball(12.0, spacing), 8)
    layer = grown(mask, spacing, 0.7) & ~mask
    image = np.select([mask, layer], [40, -300], -800).astype(np.int16)
    row = measure(mask, spacing, image=image)
    assert (row["ring_mean_hu"], row["ring_sd_hu"], row["contrast_hu"]) == (-800.0, 0.0, 840.0)
    assert math.isnan(row["cnr"])  # a flat ring has no noise
    assert math.isnan(row["contrast_z"])
    image[::2] += 10
    row = measure(mask, spacing, image=image)
    assert row["cnr"] == row["contrast_z"] == pytest.approx(row["contrast_hu"] / row["ring_sd_hu"])


@pytest.mark.parametrize("spacing", [(1.0, 0.7, 0.7), (2.5, 0.6, 0.6), (1.0, 1.0, 1.0), (0.8, 2.0, 1.5)])
def test_voxels_of_the_ring(spacing: tuple[float, float, float]) -> None:
    """All voxels farther than p from the lesion and at most p + 3 mm, by brute force."""
    mask = np.pad(ball(9.0, spacing, (0.2, 0.1, 0.3)), 10)
    image = np.random.default_rng(2).normal(-800, 40, mask.shape).astype(np.float32)
    pixel = max(spacing[1:])
    inside = np.argwhere(mask) * spacing
    rim = np.argwhere(~mask)
    nearest = np.array([np.sqrt(((inside - place * spacing) ** 2).sum(axis=1).min()) for place in rim])
    ring = rim[(nearest > pixel * 1.0001) & (nearest <= (pixel + 3) * 1.0001)]
    row = measure(mask, spacing, image=image)
    values = image[tuple(ring.T)].astype(np.float64)
    assert row["ring_voxels"] == len(ring)
    assert row["ring_mean_hu"] == pytest.approx(values.mean(), rel=1e-12)
    assert row["ring_sd_hu"] == pytest.approx(values.std(), rel=1e-12)


def test_another_lesion_nearby_is_not_background() -> None:
    """Beside a bright lesion the ring still holds the background alone, and the bright one sees it too."""
    labels = np.zeros((24, 40, 60), dtype=np.uint8)
    places = np.indices(labels.shape).transpose(1, 2, 3, 0)
    labels[np.linalg.norm(places - (12, 20, 20), axis=-1) <= 6] = 1
    labels[(np.linalg.norm(places - (12, 20, 32), axis=-1) <= 6.5) & (labels == 0)] = 2
    image = np.select([labels == 1, ndimage.binary_dilation(labels == 2)], [0, 900], -800).astype(np.int16)
    study = study_of(labels, image=image)
    for label in (1, 2):
        row = measured(*study, label)
        assert (row["ring_mean_hu"], row["ring_sd_hu"]) == (-800.0, 0.0)
    alone = measured(*study_of(labels == 1, image=image))
    assert alone["ring_mean_hu"] > -800
    assert alone["ring_voxels"] > measured(*study, 1)["ring_voxels"]


def test_beyond_the_organ_is_not_background() -> None:
    """A nodule near the chest wall is compared with lung; the organ may lie on a coarser grid."""
    mask = np.pad(ball(10.0, (1.0, 1.0, 1.0)), ((8, 8), (8, 8), (3, 10)))
    wall = np.indices(mask.shape)[2] < 2
    image = np.select([mask, wall], [30, 60], -850).astype(np.int16)
    volume, labels = study_of(mask, image=image)
    fine = Region("lung", ~wall & ~mask, volume.grid)
    lung = measured(volume, labels, surroundings=Surroundings(organ=fine))
    assert (lung["ring_mean_hu"], lung["ring_sd_hu"]) == (-850.0, 0.0)
    assert measured(volume, labels)["ring_mean_hu"] > -850
    x, y, z = volume.grid.size
    coarse = Grid((-(-x // 2), -(-y // 2), -(-z // 2)), (2.0, 2.0, 2.0), (0.5, 0.5, 0.5))
    region = Region("lung", (~wall)[::2, ::2, ::2], coarse)
    assert measured(volume, labels, surroundings=Surroundings(organ=region))["ring_mean_hu"] == -850.0


def test_a_vessel_through_the_organ_is_filled() -> None:
    """What the organ encloses near the lesion is part of it: the mask of a lung leaves vessels and nodules out."""
    mask = np.pad(ball(10.0, (1.0, 1.0, 1.0)), 8)
    vessel = np.zeros_like(mask)
    vessel[8:11, 10:13, 3:6] = True
    image = np.select([mask, vessel], [30, 50], -850).astype(np.int16)
    volume, labels = study_of(mask, image=image)
    organ = Surroundings(organ=Region("lung", ~vessel & ~mask, volume.grid))
    assert measured(volume, labels, surroundings=organ)["ring_mean_hu"] == measured(volume, labels)["ring_mean_hu"]
    assert measured(volume, labels, surroundings=organ)["contact_fraction"] == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_are_left_out(bad: float) -> None:
    mask = np.pad(ball(9.0, (1.0, 1.0, 1.0)), 8)
    places = np.moveaxis(np.indices(mask.shape), 0, -1) - (np.array(mask.shape) - 1) / 2
    distance = np.linalg.norm(places, axis=-1) - 4.5
    image = (-800.0 / (1 + np.exp(-2 * distance))).astype(np.float32)
    clean = measure(mask, image=image)
    side = np.s_[:, :, : mask.shape[2] // 2 - 2]
    image[side] = np.where(mask[side], image[side], bad)
    row = measure(mask, image=image)
    assert row["ring_mean_hu"] == pytest.approx(clean["ring_mean_hu"], abs=2.0)
    assert 0 < row["ring_voxels"] < clean["ring_voxels"]
    assert row["edge_width_10_90_mm"] == pytest.approx(clean["edge_width_10_90_mm"], abs=0.1)
    image[mask] = bad
    nothing = measure(mask, image=image)
    assert math.isnan(nothing["contrast_hu"])
    assert math.isnan(nothing["edge_gradient_hu_per_mm"])
    assert nothing["boundary_irregularity"] == clean["boundary_irregularity"]


def test_the_border_of_the_image_cuts_the_ring() -> None:
    mask = ball(9.0, (1.0, 1.0, 1.0))[2:]
    image = np.where(mask, 0, -800).astype(np.int16)
    row = measure(np.pad(mask, ((0, 8), (8, 8), (8, 8))), image=np.pad(image, ((0, 8), (8, 8), (8, 8)), mode="edge"))
    assert row["ring_mean_hu"] == -800.0
    assert math.isfinite(row["edge_width_10_90_mm"])
    assert "touches_border" in row["flags"]


def test_no_room_for_a_ring() -> None:
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[1:-1] = True
    row = measure(mask)
    assert row["ring_voxels"] == 0
    assert all(math.isnan(row[name]) for name in NAN_WITHOUT_RING)
    assert "ring_small" in row["flags"].split(";")
    whole = measure(np.ones((5, 6, 7), dtype=bool))
    assert all(math.isnan(whole[name]) for name in (*NAN_WITHOUT_RING, "edge_width_10_90_mm"))
    assert "ring_small" not in measure(np.pad(mask, 6))["flags"].split(";")


def test_tiny_lesions_have_no_boundary() -> None:
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[10, 10, 8:13] = True
    row = measure(mask)
    names = [spec.name.format(s="hu") for spec in select("boundary") if spec.family is Family.BOUNDARY]
    assert len(names) > 15
    assert all(math.isnan(row[name]) for name in names)


def test_contrast_z_is_core_on_mr_and_optional_on_ct() -> None:
    mask = np.pad(ball(8.0, (1.0, 1.0, 1.0)), 6)
    ct, mr = study_of(mask), study_of(mask, modality=Modality.MR)
    assert "contrast_z" not in measure_lesions(*ct).names
    assert "contrast_z" in measure_lesions(*mr).names
    assert "contrast_z" in measure_lesions(*ct, MeasureRequest(features=("contrast_z",))).names
    assert measure_lesions(*ct, MeasureRequest(features=("all",), only=frozenset())).names.count("contrast_z") == 1
    one = measured(*mr)
    scaled = Volume(mr[0].array.astype(np.float64) * 3.0 + 70.0, mr[0].grid, Modality.MR)
    other = measured(scaled, mr[1])
    for name in ("contrast_z", "cnr", "edge_width_10_90_mm", "edge_offset_mm"):
        assert other[name] == pytest.approx(one[name], rel=1e-9, nan_ok=True)
    assert other["contrast_au"] == pytest.approx(3 * one["contrast_au"])
    assert other["ring_mean_au"] == pytest.approx(3 * one["ring_mean_au"] + 70)


@pytest.mark.parametrize(("spacing", "turn"), [((1.0, 1.0, 1.0), 0), ((2.0, 0.7, 0.5), 1), ((2.0, 0.7, 0.5), 2)])
def test_contact_with_a_plane(spacing: tuple[float, float, float], turn: int) -> None:
    """A box whose one face lies at the end of the organ: that face's share of the surface."""
    mask = np.zeros((20, 22, 24), dtype=bool)
    mask[6:12, 8:15, 9:17] = True
    sizes = np.array([6, 7, 8]) * spacing
    beyond = np.indices(mask.shape)[turn] < (6, 8, 9)[turn]
    faces = [2 * sizes[1] * sizes[2], 2 * sizes[0] * sizes[2], 2 * sizes[0] * sizes[1]]
    volume, labels = study_of(mask, spacing)
    organ = Surroundings(organ=Region("lung", ~beyond & ~mask, volume.grid))
    row = measured(volume, labels, surroundings=organ)
    assert row["contact_fraction"] == pytest.approx(faces[turn] / 2 / sum(faces), rel=1e-12)
    free = Surroundings(organ=Region("lung", np.ones_like(mask), volume.grid))
    assert measured(volume, labels, surroundings=free)["contact_fraction"] == 0.0
    assert math.isnan(measured(volume, labels)["contact_fraction"])
