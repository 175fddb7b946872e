"""Missing and uneven slices are found in stacks of any spacing, and even ones are left in peace."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_lesion.io.skew import skewed_grid, tilt_of
from napari_lesion.io.spacing import Gap, spacing_of

STEPS = st.floats(0.3, 8)
STARTS = st.floats(-1500, 1500)


@given(st.integers(2, 400), STEPS, STARTS)
def test_an_even_stack_is_even(count: int, step: float, start: float) -> None:
    spacing = spacing_of([round(start + k * step, 6) for k in range(count)])
    assert spacing is not None
    assert not spacing.gaps
    assert not spacing.uneven
    assert not spacing.wrong
    assert spacing.grid_step == pytest.approx(step, abs=1e-5)


@given(st.integers(20, 200), STEPS, STARTS, st.data())
def test_the_slices_that_are_taken_out_are_the_missing_ones(
    count: int, step: float, start: float, data: st.DataObject
) -> None:
    inner = st.integers(1, count - 2)
    gone = data.draw(st.sets(inner, min_size=1, max_size=count // 8))
    kept = [k for k in range(count) if k not in gone]
    spacing = spacing_of([start + k * step for k in kept])
    assert spacing is not None
    wanted = [Gap(n, b - a - 1) for n, (a, b) in enumerate(pairwise(kept)) if b - a > 1]
    assert list(spacing.gaps) == wanted
    assert spacing.missing == len(gone)
    assert not spacing.uneven
    assert not spacing.wrong
    assert spacing.error == pytest.approx((count - 1) / (count - 1 - len(gone)) - 1, rel=1e-6)


@given(st.integers(8, 100), STEPS, st.data())
def test_one_slice_off_its_place_is_uneven(count: int, step: float, data: st.DataObject) -> None:
    moved = data.draw(st.integers(1, count - 2))
    share = data.draw(st.floats(0.2, 0.45)) * data.draw(st.sampled_from([-1, 1]))
    spacing = spacing_of([(k + share * (k == moved)) * step for k in range(count)])
    assert spacing is not None
    assert spacing.uneven
    assert not spacing.gaps
    assert spacing.deviation == pytest.approx(abs(share), rel=1e-6)


def test_a_stack_of_two_spacings_is_wrong() -> None:
    spacing = spacing_of([*np.arange(20.0), *(19 + 2.5 * np.arange(1, 20))])
    assert spacing is not None
    assert spacing.uneven
    assert spacing.wrong


@pytest.mark.parametrize("positions", [[], [1.0], [0.0, float("nan"), 2.0], [0.0, 1.0, 1.0], [2.0, 1.0]])
def test_what_is_no_stack(positions: list[float]) -> None:
    assert spacing_of(positions) is None
    assert skewed_grid((3, 3, len(positions)), np.eye(4), positions) is None


@given(st.floats(0.2, 40), st.integers(3, 300), st.floats(0.3, 5))
def test_the_tilt_is_the_angle_of_the_stack(angle: float, count: int, step: float) -> None:
    sideways = step * np.tan(np.radians(angle))
    assume(sideways * (count - 1) > 0.6)
    affine = np.eye(4)
    affine[:3, 2] = (0, -sideways, -step)
    assert tilt_of(affine, (9, 9, count)) == pytest.approx(angle)
    affine[1, 2] = 0
    assert tilt_of(affine, (9, 9, count)) == 0
