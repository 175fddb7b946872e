from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_lesion.training.cases import list_cases
from napari_lesion.training.config import Intensity, Stage
from napari_lesion.training.patches import PatchBatches, crop, set_into
from napari_lesion.training.scenes import IGNORE, LESION, Scene, load_scenes


@pytest.fixture(scope="module")
def scenes(tiny_data: Path) -> list[Scene]:
    return load_scenes(list_cases(tiny_data), Intensity())


@pytest.fixture
def stage() -> Stage:
    return Stage("only", steps=10, roi=32, lesion_patches=3, background_patches=2, hard_fraction=0.5)


def test_the_same_step_gives_the_same_batch(scenes: list[Scene], stage: Stage) -> None:
    first, second = PatchBatches(scenes, stage, seed=1), PatchBatches(scenes, stage, seed=1)
    first[0], first[1]
    for key in ("image", "label"):
        np.testing.assert_array_equal(first[7][key].numpy(), second[7][key].numpy())


def test_steps_and_seeds_differ(scenes: list[Scene], stage: Stage) -> None:
    batches = PatchBatches(scenes, stage, seed=1)
    assert not np.array_equal(batches[0]["image"].numpy(), batches[1]["image"].numpy())
    assert not np.array_equal(batches[0]["image"].numpy(), PatchBatches(scenes, stage, seed=2)[0]["image"].numpy())


def test_batches_hold_lesions_and_labels_stay_labels(scenes: list[Scene], stage: Stage) -> None:
    batches = PatchBatches(scenes, stage, seed=1)
    shares = []
    for step in range(4):
        batch = batches[step]
        assert tuple(batch["image"].shape) == tuple(batch["label"].shape) == (5, 1, 32, 32, 32)
        assert set(np.unique(batch["label"].numpy())) <= {0, 1, 2}
        assert np.isfinite(batch["image"].numpy()).all()
        shares.append((batch["label"].numpy()[:3] == LESION).any(axis=(1, 2, 3, 4)).mean())
    assert np.mean(shares) > 0.9


def test_background_patches_hold_no_lesion(scenes: list[Scene], stage: Stage) -> None:
    hard = {"CMB-CRC-MSB-01068": np.array([[95, 45, 40]])}
    batches = PatchBatches(scenes, stage, seed=3, hard_points=hard)
    for step in range(4):
        assert not (batches[step]["label"].numpy()[3:] == LESION).any()


def test_a_crop_inside_is_the_image(scenes: list[Scene]) -> None:
    patch = crop(scenes[0], np.array([25, 25, 25]), 16)
    np.testing.assert_array_equal(patch["image"][0], scenes[0].image[17:33, 17:33, 17:33].astype(np.float32))
    np.testing.assert_array_equal(patch["label"][0], scenes[0].label[17:33, 17:33, 17:33])


def test_beyond_the_faces_the_image_is_mirrored_and_ignored(scenes: list[Scene]) -> None:
    patch = crop(scenes[0], np.array([0, 25, 25]), 32)
    image, label = patch["image"][0], patch["label"][0]
    np.testing.assert_array_equal(image[15], image[17])
    np.testing.assert_array_equal(image[1], image[31])
    assert (label[:16] == IGNORE).all()
    assert not (label[17:] == IGNORE).all()


def test_a_cube_is_set_into_another_image(scenes: list[Scene]) -> None:
    cube = crop(scenes[0], np.array([0, 25, 25]), 32)
    host = crop(scenes[-1], scenes[-1].background_points[0], 32)
    both = set_into(cube, host)
    np.testing.assert_array_equal(both["image"][0, :16], host["image"][0, :16])
    np.testing.assert_array_equal(both["image"][0, 20:], cube["image"][0, 20:])
    np.testing.assert_array_equal(both["label"][0, :16], host["label"][0, :16])
    np.testing.assert_array_equal(both["label"][0, 20:], cube["label"][0, 20:])
