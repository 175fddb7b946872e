"""Masks against what is known of phantoms, and against the brain masks that come with real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from preprocess_images import dice, head, volume_of

from napari_lesion.core.volume import Modality, Volume
from napari_lesion.phantom.anatomy import make_anatomy
from napari_lesion.phantom.chest import Chest
from napari_lesion.phantom.space import Canvas
from napari_lesion.preprocess.chain import Chain, prepare


def mask(volume: Volume, step: str) -> np.ndarray:
    return prepare(volume, Chain.parse([f"{step}:as_mask=yes"])).array > 0


def test_body_of_the_phantom_without_its_table(small_chest: Chest) -> None:
    canvas = Canvas(small_chest.volume.grid, -1000.0)
    skin = canvas.fine(make_anatomy(canvas.coarse).skin) < 0
    assert dice(mask(small_chest.volume, "body"), skin) > 0.98


def test_body_is_the_same_for_a_study_that_lies_otherwise(small_chest: Chest) -> None:
    grid = small_chest.volume.grid
    x, y, z = (np.asarray(grid.matrix)[:, a] for a in range(3))
    turned = type(grid)(
        (grid.size[2], grid.size[0], grid.size[1]),
        (grid.spacing[2], grid.spacing[0], grid.spacing[1]),
        grid.origin,
        tuple(np.stack([z, x, y], axis=1).ravel()),
    )
    array = np.ascontiguousarray(np.moveaxis(small_chest.volume.array, 0, 2))
    made = mask(Volume(array, turned, Modality.CT), "body")
    assert dice(np.moveaxis(made, 2, 0), mask(small_chest.volume, "body")) > 0.995


def test_lungs_of_the_phantom(small_chest: Chest) -> None:
    closed = mask(small_chest.volume, "lungs")
    assert closed[small_chest.lungs].mean() > 0.99
    tight = prepare(small_chest.volume, Chain.parse(["lungs:as_mask=yes,tight=yes"])).array > 0
    assert dice(tight, small_chest.lungs) > 0.96


def test_outside_gets_the_value_that_is_asked_for(small_chest: Chest) -> None:
    volume = small_chest.volume
    inside = mask(volume, "lungs")
    made = prepare(volume, Chain.parse(["lungs:outside=-500"])).array
    np.testing.assert_array_equal(made[inside], volume.array[inside])
    assert (made[~inside] == -500).all()
    assert (prepare(volume, Chain.parse(["lungs"])).array[~inside] == volume.array.min()).all()


def test_brain_of_a_phantom_head() -> None:
    volume, brain = head()
    assert dice(mask(volume, "brain"), brain) > 0.97


def test_an_image_that_is_stripped_already_is_recognised() -> None:
    volume, brain = head()
    stripped = volume_of(np.where(brain, volume.array, 0), spacing=volume.grid.spacing)
    assert dice(mask(stripped, "brain"), brain) > 0.995


@pytest.mark.real
@pytest.mark.parametrize("patient", ["p01", "p12"])
def test_brain_of_a_real_head(shared_data: Path, patient: str) -> None:
    from napari_lesion.io.read import read_volume

    folder = shared_data / "data" / "other" / f"ms_longitudinal_{patient}"
    volume = read_volume(folder / "flair_study1.nii.gz", modality=Modality.MR)
    truth = read_volume(folder / "brain_mask.nii.gz").array > 0
    assert dice(mask(volume, "brain"), truth) > 0.94
