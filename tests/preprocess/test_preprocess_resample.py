"""Resampling: places in the patient stay, and the inverse gives the grid back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from preprocess_images import biased_ball

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.preprocess.chain import Chain, prepare
from napari_lesion.preprocess.images import grid_of, image_of

ROTATED = tuple(np.asarray([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]]).ravel())


def linear(grid: Grid) -> Volume:
    """An image whose value is a linear function of the place, LPS mm."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    values = grid.to_physical(index) @ np.asarray([1.0, -2.0, 0.5])
    return Volume(values.astype(np.float32), grid, Modality.MR, Source(headers={"nifti": {}}, sop_uids=("1",)))


@settings(max_examples=15, deadline=None)
@given(
    st.tuples(*[st.floats(0.7, 4.0)] * 3),
    st.tuples(*[st.floats(0.8, 3.0)] * 3),
    st.sampled_from([Grid((1, 1, 1), (1, 1, 1)).direction, ROTATED, (0, 1, 0, 1, 0, 0, 0, 0, -1.0)]),
)
def test_the_same_place_has_the_same_value(
    spacing: tuple[float, float, float], wanted: tuple[float, float, float], direction: tuple[float, ...]
) -> None:
    volume = linear(Grid((14, 12, 10), spacing, (-31.0, 12.5, 4.0), direction))
    x, y, z = wanted
    made = prepare(volume, Chain.parse([f"resample:x_mm={x},y_mm={y},z_mm={z}"]))
    np.testing.assert_allclose(made.grid.spacing, [float(f"{v:g}") for v in wanted], rtol=1e-5)
    expected = linear(made.grid).array
    index = np.stack(np.meshgrid(*[np.arange(n) for n in made.grid.shape], indexing="ij"), axis=-1)
    there = volume.grid.to_index(made.grid.to_physical(index))
    inside = ((there >= 0) & (there <= np.asarray(volume.grid.shape) - 1)).all(axis=-1)
    assert inside.sum() > 8
    np.testing.assert_allclose(made.array[inside], expected[inside], atol=2e-2)
    assert made.source.headers == {}
    assert made.source.sop_uids == ()


def test_the_inverse_gives_the_grid_back_past_the_other_steps() -> None:
    from monai.transforms import Compose, Spacingd

    from napari_lesion.preprocess.filters import CurvatureFlowd, N4BiasFieldCorrectiond
    from napari_lesion.preprocess.masks import BodyMaskd

    volume, _, _ = biased_ball()
    compose = Compose(
        [
            N4BiasFieldCorrectiond("image", levels=2, iterations=10),
            Spacingd("image", (3.0, 3.0, 3.0), mode="bilinear"),
            CurvatureFlowd("image", iterations=1),
            BodyMaskd("image"),
        ]
    )
    made = compose({"image": image_of(volume)})
    assert grid_of(made["image"]).spacing == pytest.approx((3.0, 3.0, 3.0))
    back = compose.inverse(made)["image"]
    assert grid_of(back).agrees_with(volume.grid)
    assert tuple(back.shape[1:]) == volume.grid.size


def test_spacing_of_one_number_and_of_single_axes() -> None:
    volume = linear(Grid((14, 12, 10), (1.0, 1.0, 3.0)))
    assert prepare(volume, Chain.parse(["resample:spacing_mm=1.5"])).grid.spacing == pytest.approx((1.5, 1.5, 1.5))
    made = prepare(volume, Chain.parse(["resample:spacing_mm=1.5,z_mm=3,interpolation=nearest"]))
    assert made.grid.spacing == pytest.approx((1.5, 1.5, 3.0))
    assert set(np.unique(made.array)) <= set(np.unique(volume.array))
