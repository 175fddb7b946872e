"""Edge, spikes, lobes and curvature on bodies whose answer is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lesion_bodies import ball, ellipsoid, study_of
from scipy.special import ndtr

from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.table import Row
from napari_lesion.measure.boundary import edge_profile
from napari_lesion.measure.boundary_edge import weighted_quantiles
from napari_lesion.measure.boundary_form import lobes_of, opening_of
from napari_lesion.measure.boundary_surface import curvature_of, normals_of, surface_of
from napari_lesion.measure.boxes import find_boxes
from napari_lesion.measure.engine import MeasureRequest, lesion_context, measure_lesions
from napari_lesion.measure.topology import distance_inside

Triple = tuple[float, float, float]
SPACINGS = [(1.0, 0.7, 0.7), (0.5, 0.5, 0.5), (2.5, 0.7, 0.7), (1.0, 1.0, 1.0), (0.7, 1.2, 0.9)]


def boundary(mask: np.ndarray, spacing: Triple = (1.0, 1.0, 1.0), **more: Any) -> Row:
    return measure_lesions(*study_of(mask, spacing, **more), MeasureRequest(features=("boundary",))).rows[1]


def lattice(half_mm: float, spacing: Triple) -> np.ndarray:
    """Voxel centres (z, y, x, 3), mm, around a voxel in the middle."""
    axes = [np.arange(-math.ceil(half_mm / s), math.ceil(half_mm / s) + 1) * s for s in spacing]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def capsule(places: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """Signed distance, mm, to the points within a radius of a segment through the origin; negative inside."""
    share = np.clip(places @ end / (end @ end), -1.0, 1.0)
    return np.linalg.norm(places - share[..., None] * end, axis=-1) - radius


EDGES: list[tuple[Callable[[np.ndarray], np.ndarray], float]] = [
    (lambda d: 1.0 / (1.0 + np.exp(d / 0.5)), 4.394 * 0.5),
    (lambda d: 1.0 / (1.0 + np.exp(d / 0.8)), 4.394 * 0.8),
    (lambda d: ndtr(-d / 0.9), 2.563 * 0.9),
    (lambda d: ndtr(-d / 1.5), 2.563 * 1.5),
]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("edge", range(len(EDGES)))
def test_width_of_a_known_edge(spacing: Triple, edge: int) -> None:
    """Logistic and Gaussian edges on capsules that point anywhere: width within 7 %, offset within 0.1 voxels."""
    random = np.random.default_rng(edge)
    profile, width = EDGES[edge]
    places = lattice(18.0, spacing) - random.uniform(-0.5, 0.5, 3) * spacing
    end = random.standard_normal(3)
    distance = capsule(places, end / np.linalg.norm(end) * 4.0, 8.0)
    image = np.round(-850 + 900 * profile(distance)).astype(np.int16)
    row = boundary(distance <= 0, spacing, image=image)
    assert row["edge_width_10_90_mm"] == pytest.approx(width, rel=0.07)
    assert row["edge_offset_mm"] == pytest.approx(0.0, abs=0.1 * max(spacing))
    steepest = 900 * (profile(np.array(-1e-3)) - profile(np.array(1e-3))) / 2e-3
    assert row["edge_gradient_hu_per_mm"] == pytest.approx(steepest, rel=0.15 if max(spacing) < 2 else 0.3)


@pytest.mark.parametrize("shift", [-1.5, -0.8, 0.8, 1.5])
@pytest.mark.parametrize("spacing", SPACINGS[:3])
def test_offset_of_a_shifted_outline(spacing: Triple, shift: float) -> None:
    """A mask that is too small by a millimetre has its edge a millimetre outside; so it is with a dark lesion."""
    distance = np.linalg.norm(lattice(19.0, spacing) - (0.2, 0.1, 0.3), axis=-1) - 11.0
    image = np.round(-850 + 900 * ndtr(-distance / 0.8)).astype(np.int16)
    row = boundary(distance <= -shift, spacing, image=image)
    assert row["edge_offset_mm"] == pytest.approx(shift, abs=0.12)
    assert row["edge_width_10_90_mm"] == pytest.approx(2.563 * 0.8, rel=0.14)
    dark = boundary(distance <= -shift, spacing, image=-image)
    for name in ("edge_offset_mm", "edge_width_10_90_mm", "edge_gradient_hu_per_mm"):
        assert dark[name] == pytest.approx(row[name], rel=1e-9)


def test_noise_widens_nothing_and_no_edge_has_no_width() -> None:
    distance = np.linalg.norm(lattice(18.0, (1.0, 0.7, 0.7)), axis=-1) - 10.0
    noise = np.random.default_rng(5).normal(0, 40, distance.shape)
    image = -850 + 900 * ndtr(-distance / 0.9) + noise
    row = boundary(distance <= 0, (1.0, 0.7, 0.7), image=image.astype(np.int16))
    assert row["edge_width_10_90_mm"] == pytest.approx(2.563 * 0.9, rel=0.1)
    plain = boundary(distance <= 0, (1.0, 0.7, 0.7), image=noise.astype(np.int16))
    assert math.isnan(plain["edge_width_10_90_mm"])
    assert math.isnan(plain["edge_offset_mm"])
    assert abs(plain["cnr"]) < 0.1


def test_a_neighbour_does_not_enter_the_profile() -> None:
    """A bright lesion that touches takes its part of the surface out; the rest gives the same edge."""
    places = lattice(20.0, (1.0, 1.0, 1.0))
    distance = np.linalg.norm(places, axis=-1) - 9.0
    other = np.linalg.norm(places - (0, 0, 14), axis=-1) - 6.0
    labels = np.where(distance <= 0, 1, np.where(other <= 0, 2, 0)).astype(np.uint8)
    image = np.where(labels == 2, 2500, -850 + 900 * ndtr(-distance / 0.9)).astype(np.int16)
    volume, both = study_of(labels, image=image)
    row = measure_lesions(volume, both, MeasureRequest(features=("boundary",))).rows[1]
    assert row["edge_width_10_90_mm"] == pytest.approx(2.563 * 0.9, rel=0.08)
    assert row["ring_mean_hu"] < -700


def test_profile_for_the_panel() -> None:
    distance = np.linalg.norm(lattice(18.0, (1.0, 1.0, 1.0)), axis=-1) - 10.0
    volume, labels = study_of(distance <= 0, image=(-850 + 900 * ndtr(-distance)).astype(np.int16))
    context = lesion_context(volume, labels, Lesion(1, Status.MANUAL), find_boxes(labels.array)[1])
    assert context is not None
    profile = edge_profile(context)
    assert profile.offsets_mm[[0, -1]].tolist() == [-5.0, 5.0]
    assert len(profile.offsets_mm) == len(profile.median) == len(profile.p25) == len(profile.p75) == 41
    assert (profile.p25 <= profile.median).all()
    assert (profile.median <= profile.p75).all()
    assert profile.inside_level == pytest.approx(50, abs=2)
    assert profile.outside_level == pytest.approx(-850, abs=2)


def test_thin_and_tiny_bodies_have_no_unseen_inside() -> None:
    """A plate three voxels thick: no sample of the inside comes from beyond the other face."""
    mask = np.zeros((17, 40, 40), dtype=bool)
    mask[7:10, 8:32, 8:32] = True
    volume, labels = study_of(mask, image=np.where(mask, 50, -850).astype(np.int16))
    context = lesion_context(volume, labels, Lesion(1, Status.MANUAL), find_boxes(labels.array)[1])
    assert context is not None
    profile = edge_profile(context)
    assert np.isnan(profile.median[profile.offsets_mm < -3.3]).all()
    assert profile.inside_level > -100


def spiky(spikes: np.ndarray, spacing: Triple, length: float = 7.0) -> np.ndarray:
    """A ball of radius 9 mm with straight cones, base radius 2.2 mm, along unit vectors."""
    places = lattice(18.0, spacing) - (0.2, 0.1, 0.3)
    body = np.linalg.norm(places, axis=-1) <= 9.0
    for spike in spikes:
        along = places @ spike
        across = np.linalg.norm(places - along[..., None] * spike, axis=-1)
        body |= (along >= 0) & (along <= 9 + length) & (across <= 2.2 * (9 + length - along) / length)
    return body


DIRECTIONS = np.array(list(itertools.product((-1, 1), repeat=3))) / math.sqrt(3)


@pytest.mark.parametrize("spacing", [(1.0, 0.7, 0.7), (0.6, 0.6, 0.6)])
@pytest.mark.parametrize("count", [1, 3, 6, 8])
def test_known_spikes(spacing: Triple, count: int) -> None:
    """All are counted, and the index is their share of the volume beyond the ball's own."""
    body, smooth = spiky(DIRECTIONS[:count], spacing), spiky(DIRECTIONS[:0], spacing)
    image = np.where(body, 50, -850).astype(np.int16)
    row, plain = (boundary(mask, spacing, image=np.where(mask, 50, -850).astype(np.int16)) for mask in (body, smooth))
    assert row["spicule_count"] == count
    assert plain["spicule_count"] == 0
    share = 1.0 - smooth.sum() / body.sum()
    assert row["spiculation_index"] == pytest.approx(share + plain["spiculation_index"], abs=0.3 * share + 0.01)
    # a mask without the spikes sees them in the image, as far as 3 mm
    cut = boundary(smooth, spacing, image=image)
    assert cut["spiculation_index"] > plain["spiculation_index"] + 0.3 * share


def test_no_spicules_below_8_mm() -> None:
    assert math.isnan(boundary(np.pad(ball(7.0, (0.7, 0.7, 0.7)), 8), (0.7, 0.7, 0.7))["spicule_count"])


@pytest.mark.parametrize("spacing", SPACINGS)
def test_opening_of_a_box_rounds_its_edges(spacing: Triple) -> None:
    """A ball of radius r cannot reach the corners of a box: 12 edges and 8 corners of known volume."""
    sizes = np.array([30.0, 24.0, 36.0])
    counts = np.round(sizes / spacing).astype(int)
    body = np.pad(np.ones(counts, dtype=bool), 1)
    opening = opening_of(body, spacing)
    a, b, c = counts * spacing
    r = opening.radius_mm
    lost = (4 - math.pi) * r**2 * (a + b + c - 6 * r) + (8 - 4 * math.pi / 3) * r**3
    assert opening.share == pytest.approx(lost / (a * b * c), rel=0.3)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("centres", [[(0, 0, 0)], [(0, -8, 0), (0, 8, 0)], [(0, -9, -5), (0, 9, -5), (0, 0, 10)]])
def test_known_lobes(spacing: Triple, centres: list[Triple]) -> None:
    places = lattice(22.0, spacing) - (0.1, 0.2, 0.3)
    body = np.min([np.linalg.norm(places - centre, axis=-1) - 9.0 for centre in centres], axis=0) <= 0
    assert lobes_of(distance_inside(body, spacing), spacing) == len(centres)
    row = boundary(body, spacing)
    assert row["lobulation_count"] == len(centres)
    assert (row["surface_concavity"] > 1e-3) == (len(centres) > 1)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_bent_and_long_bodies_have_one_lobe(spacing: Triple) -> None:
    places = lattice(26.0, spacing) - (0.1, 0.2, 0.3)
    angle = np.arctan2(places[..., 1], places[..., 2])
    ring = np.hypot(np.hypot(places[..., 1], places[..., 2]) - 14.0, places[..., 0])
    banana = (ring <= 6.0) & (np.abs(angle) < 2.0)
    long = capsule(places, np.array([3.0, 15.0, 9.0]), 5.0) <= 0
    for body in (banana, long):
        assert lobes_of(distance_inside(body, spacing), spacing) == 1


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("diameter", [12.0, 20.0, 32.0])
def test_a_sphere_is_smooth(spacing: Triple, diameter: float) -> None:
    mask = np.pad(ball(diameter, spacing, (0.2, 0.1, 0.3)), 9)
    row = boundary(mask, spacing, image=np.where(mask, 0, -800).astype(np.int16))
    coarse = max(spacing) / diameter
    assert row["boundary_irregularity"] == pytest.approx(0.0, abs=0.03)
    assert row["radial_cv"] < 0.4 * coarse
    assert row["radial_sd_mm"] == pytest.approx(row["radial_cv"] * diameter / 2, rel=0.03)
    assert row["surface_concavity"] < 1e-3
    assert row["spiculation_index"] < 1.2 * coarse
    assert row["lobulation_count"] == 1


def test_an_ellipsoid_is_convex_but_irregular() -> None:
    mask = np.pad(ellipsoid(np.array([14.0, 9.0, 7.0]), (1.0, 0.7, 0.7)), 9)
    row = boundary(mask, (1.0, 0.7, 0.7), image=np.where(mask, 0, -800).astype(np.int16))
    assert row["surface_concavity"] < 1e-3
    assert row["boundary_irregularity"] > 0.03
    assert row["radial_cv"] > 0.1


@pytest.mark.parametrize("spacing", SPACINGS)
def test_normals_and_curvature(spacing: Triple) -> None:
    """On a ball of radius R: radial normals, curvature 1/R; on the side of a cylinder half of that."""
    mask = ball(24.0, spacing)
    surface = surface_of(mask, spacing)
    normals = normals_of(surface, mask, spacing)
    centre = (np.array(mask.shape) - 1) / 2
    radial = (surface.corner + 0.5 - centre) * spacing
    radial /= np.linalg.norm(radial, axis=1, keepdims=True)
    assert np.degrees(np.arccos(np.clip((normals * radial).sum(axis=1), -1, 1))).mean() < 6.0
    curvature = curvature_of(surface, mask, spacing, 2.5)
    assert np.average(curvature, weights=surface.weights) == pytest.approx(1 / 12, rel=0.08)
    tube = capsule(lattice(26.0, spacing), np.array([14.0, 5.0, 3.0]), 8.0) <= 0
    surface = surface_of(tube, spacing)
    places = (surface.points - (np.array(tube.shape) - 1) / 2) * spacing
    side = np.abs(places @ np.array([14.0, 5.0, 3.0]) / 230.0) < 0.6
    curvature = curvature_of(surface, tube, spacing, 2.0)[side]
    assert np.average(curvature, weights=surface.weights[side]) == pytest.approx(1 / 16, rel=0.15)


def test_points_are_chosen_alike_under_every_flip() -> None:
    mask = np.random.default_rng(8).random((12, 15, 13)) < 0.4
    surface = surface_of(mask, (1.0, 0.7, 0.7))
    some = surface.sample(200, mask.shape)
    assert 200 <= len(some) < 400 < len(surface)
    chosen = {tuple(place) for place in some.corner}
    for flips in itertools.product((False, True), repeat=3):
        for axes in itertools.permutations(range(3)):
            turned = np.flip(mask.transpose(axes), [k for k, flip in enumerate(flips) if flip])
            found = surface_of(turned, (1.0, 1.0, 1.0)).sample(200, turned.shape).corner
            back = np.where(flips, np.array(turned.shape) - 2 - found, found)[:, np.argsort(axes)]
            assert {tuple(place) for place in back} == chosen


def test_weighted_quantiles() -> None:
    random = np.random.default_rng(9)
    values = random.integers(0, 9, (7, 31)).astype(float)
    weights = random.integers(1, 5, 31)
    values[2] = np.nan
    values[3, ::2] = np.nan
    found = weighted_quantiles(values, weights.astype(float), (0.5, 0.25))
    for row, line in enumerate(values):
        repeated = np.repeat(line, weights)[np.isfinite(np.repeat(line, weights))]
        for share, got in zip((50, 25), found[:, row], strict=True):
            expected = np.percentile(repeated, share, method="averaged_inverted_cdf") if repeated.size else np.nan
            assert got == pytest.approx(expected, nan_ok=True)
