"""Error bars: the true size of random digital bodies lies inside them as often as they say, and they are not huge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from lesion_bodies import ball, measure, study_of

from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.errorbars import half_width, lattice_variance, second_moments
from napari_lesion.measure.registry import FEATURES
from napari_lesion.phantom.bodies import Ellipsoid, axial_axes, digitise, random_turn

Triple = tuple[float, float, float]

ERRORS = {spec.name: spec.error for spec in FEATURES if spec.error}
SPACINGS = [(0.5, 0.5, 0.5), (1.0, 0.7, 0.7), (2.5, 0.7, 0.7), (5.0, 0.8, 0.8), (1.5, 1.0, 0.6)]
NAMES = ("volume_mm3", "long_axis_mm", "short_axis_mm", "mean_diameter_mm")


def bars(mask: np.ndarray, spacing: Triple) -> dict[str, tuple[float, float]]:
    """Value and half width of each measure that has one."""
    study = study_of(mask, spacing, np.zeros(mask.shape, dtype=np.int16))
    request = MeasureRequest(features=(*NAMES, *(ERRORS[name] for name in NAMES)))
    row = measure_lesions(*study, request).rows[1]
    return {name: (row[name], row[ERRORS[name]]) for name in NAMES}


def random_body(random: np.random.Generator, kind: int) -> Ellipsoid:
    """A sphere, or an ellipsoid as slim as 0.4; another distribution of sizes than the bars were fitted on."""
    half = random.uniform(2.0, 18.0) if kind else math.exp(random.uniform(math.log(2.0), math.log(20.0)))
    if kind == 0:
        return Ellipsoid((half, half, half))
    return Ellipsoid((half, half * random.uniform(0.4, 1.0), half * random.uniform(0.4, 1.0)), random_turn(random))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_coverage(spacing: Triple) -> None:
    """Of 400 bodies, 90 to 99 % hold the truth; the median bar is at most 3 times the RMS error."""
    random = np.random.default_rng(40)
    errors: dict[str, list[float]] = {name: [] for name in NAMES}
    halves: dict[str, list[float]] = {name: [] for name in NAMES}
    count = 0
    while count < 400:
        body = random_body(random, count % 2)
        mask = digitise(body, spacing, random.uniform(-0.5, 0.5, 3) * spacing)
        if not mask.any():
            continue
        count += 1
        found = bars(mask, spacing)
        long, short = axial_axes(body)
        for name, truth in zip(NAMES, (body.volume, long, short, (long + short) / 2), strict=True):
            value, half = found[name]
            errors[name].append(truth - value)
            halves[name].append(half)
    for name in NAMES:
        error, half_widths = np.array(errors[name]), np.array(halves[name])
        inside = np.abs(error) <= half_widths
        assert 0.90 <= inside.mean() <= 0.99, (name, inside.mean())
        assert np.median(half_widths) <= 3.0 * np.sqrt(np.mean(error**2)), name
        assert inside[::2].mean() >= 0.90, (name, "spheres")
        assert inside[1::2].mean() >= 0.90, (name, "ellipsoids")


def test_a_small_body_in_thick_slices() -> None:
    """A 6 mm body at 5 mm slices is seen in one or two of them: the bars are wide and hold the truth."""
    random = np.random.default_rng(41)
    body = Ellipsoid((3.0, 3.0, 3.0))
    inside = []
    for _ in range(150):
        found = bars(digitise(body, (5.0, 0.8, 0.8), random.uniform(-0.5, 0.5, 3) * (5.0, 0.8, 0.8)), (5.0, 0.8, 0.8))
        inside.append(
            [abs(found[n][0] - t) <= found[n][1] for n, t in zip(NAMES, (body.volume, 6, 6, 6), strict=True)]
        )
        assert found["volume_mm3"][1] > 0.1 * body.volume
    assert np.mean(inside, axis=0).min() >= 0.88


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7)])
def test_lattice_variance_is_that_of_random_places(spacing: Triple) -> None:
    """The sum over the reciprocal lattice against the scatter of the volume itself, over sizes within one voxel."""
    random = np.random.default_rng(42)
    turn = random_turn(random)
    squares, expected = [], []
    for _ in range(250):
        semi_axes = np.array([7.0, 5.5, 4.5]) * random.uniform(0.9, 1.1)
        body = Ellipsoid(tuple(map(float, semi_axes)), turn)
        mask = digitise(body, spacing, random.uniform(-0.5, 0.5, 3) * spacing)
        squares.append((mask.sum() * math.prod(spacing) - body.volume) ** 2)
        moments = turn @ np.diag(semi_axes**2 / 5.0) @ turn.T
        expected.append(lattice_variance(moments, np.asarray(spacing))[0])
    assert np.mean(squares) == pytest.approx(np.mean(expected), rel=0.25)


def test_bars_grow_with_slice_and_pixel() -> None:
    fine, thick, coarse = (
        bars(ball(12.0, spacing), spacing) for spacing in ((0.7, 0.7, 0.7), (4.0, 0.7, 0.7), (0.7, 1.4, 1.4))
    )
    for name in ("volume_mm3", "long_axis_mm"):
        assert thick[name][1] > fine[name][1]
        assert coarse[name][1] > fine[name][1]


def test_an_irregular_surface_has_a_wider_bar() -> None:
    smooth = np.pad(ball(14.0, (1.0, 1.0, 1.0)), 1)
    rough = smooth.copy()
    rough[(np.indices(rough.shape).sum(axis=0) % 4 == 0) & ~ball_core(smooth)] = False
    assert measure(rough)["volume_err_mm3"] > measure(smooth)["volume_err_mm3"]


def ball_core(mask: np.ndarray) -> np.ndarray:
    """The mask without its outer layers."""
    from scipy import ndimage

    return ndimage.binary_erosion(mask, iterations=2)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 9), (1, 9, 9), (9, 1, 1), (2, 2, 2), (2, 30, 30), (3, 1, 30)])
def test_bars_of_degenerate_lesions_are_finite(shape: tuple[int, int, int]) -> None:
    for spacing in ((1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (0.7, 5.0, 0.7)):
        row = measure(np.pad(np.ones(shape, dtype=bool), 1), spacing)
        for name, error in ERRORS.items():
            assert math.isfinite(row[error]), (shape, name)
            assert row[error] > 0, (shape, name)
        if max(shape) == 30 and min(shape) == 2:  # a plate is not taken for the ball that has the same section
            assert row["volume_err_mm3"] < row["volume_mm3"]


@pytest.mark.parametrize(("bias", "sd"), [(0.0, 1.0), (0.3, 1.0), (-1.0, 0.5), (2.0, 0.1), (1.5, 0.0)])
def test_half_width_is_the_quantile_of_a_shifted_normal(bias: float, sd: float) -> None:
    from scipy.stats import norm

    half = half_width(bias, sd)
    if sd == 0.0:
        assert half == abs(bias)
    else:
        assert norm.cdf((half - bias) / sd) - norm.cdf((-half - bias) / sd) == pytest.approx(0.95, abs=0.002)


def test_second_moments_are_those_of_the_voxels() -> None:
    """Of one voxel: the box itself; of a long row: that of the centres and one voxel more."""
    from napari_lesion.core.lesion import Lesion, Status
    from napari_lesion.measure.engine import lesion_context

    mask = np.zeros((3, 3, 12), dtype=bool)
    mask[1, 1, 1:11] = True
    volume, labels = study_of(mask, (2.0, 0.8, 0.7))
    context = lesion_context(volume, labels, Lesion(1, Status.MANUAL), (slice(0, 3), slice(0, 3), slice(0, 12)))
    assert context is not None
    assert np.diag(second_moments(context)) == pytest.approx([2.0**2 / 12, 0.8**2 / 12, 7.0**2 / 12])


def test_every_bar_is_a_column_in_the_unit_of_its_measure() -> None:
    specs = {spec.name: spec for spec in FEATURES}
    assert set(NAMES) <= set(ERRORS)
    for name, error in ERRORS.items():
        assert specs[error].ucum == specs[name].ucum
