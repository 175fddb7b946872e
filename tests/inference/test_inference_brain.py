"""The brain as search region, and z-scores within it as the unit of a model."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.errors import ModelError
from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.inference.brain import find_brain
from napari_lesion.inference.engine import own_intensity, predict
from napari_lesion.inference.organs import find_organ, mask_on
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.models.metadata import read_bundle


@cache
def head() -> tuple[np.ndarray, np.ndarray]:
    """A head of ellipsoids at 2 mm, FLAIR-like: scalp, dark skull and fluid, brain with ventricles; and the brain."""
    z, y, x = np.ogrid[:90, :110, :90]

    def ellipsoid(radii: tuple[float, float, float]) -> np.ndarray:
        return ((z - 45) / radii[0]) ** 2 + ((y - 55) / radii[1]) ** 2 + ((x - 45) / radii[2]) ** 2 < 1

    image = np.zeros((90, 110, 90))
    image[ellipsoid((43, 52, 42))] = 350  # scalp
    image[ellipsoid((39, 48, 38))] = 20  # bone
    image[ellipsoid((36, 45, 35))] = 60  # fluid
    brain = ellipsoid((34, 43, 33))
    image[brain] = 280
    image[ellipsoid((8, 14, 6))] = 70
    noise = np.random.default_rng(0).normal(0, 10, image.shape)
    return np.abs(image + noise).astype(np.int16), brain


def volume_of(array: np.ndarray, step: float = 2.0) -> Volume:
    z, y, x = array.shape
    return Volume(array, Grid((x, y, z), (step, step, step)), Modality.MR)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.parametrize("stripped", [False, True])
def test_the_brain_is_found_with_and_without_skull(stripped: bool) -> None:
    image, brain = head()
    organ = find_brain(volume_of(np.where(brain, image, 0) if stripped else image))
    assert organ.trusted, organ.reason
    assert dice(mask_on(organ, volume_of(image).grid), brain) > 0.95
    assert organ.volume_ml == pytest.approx(brain.sum() * 8 / 1000, rel=0.1)


def test_finer_voxels_and_turned_axes_give_the_same_brain() -> None:
    image, brain = head()
    fine = np.repeat(image, 2, axis=1).transpose(2, 0, 1)[::-1]
    grid = Grid((220, 90, 90), (1.0, 2.0, 2.0))
    organ = find_brain(Volume(np.ascontiguousarray(fine), grid, Modality.MR))
    wanted = np.repeat(brain, 2, axis=1).transpose(2, 0, 1)[::-1]
    assert dice(mask_on(organ, grid), wanted) > 0.95


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ((slice(40, 55), slice(None), slice(None)), "is shown|the largest piece"),
        ((slice(0, 2), slice(0, 2), slice(0, 2)), "No brain was found|no contrast"),
    ],
)
def test_a_part_is_not_trusted_and_everything_is_searched(part: tuple[slice, ...], reason: str) -> None:
    organ = find_brain(volume_of(head()[0][part]))
    assert not organ.trusted
    assert organ.array is None
    assert re.search(reason, organ.reason), organ.reason


def test_an_image_without_contrast_is_not_trusted() -> None:
    assert "no contrast" in find_brain(volume_of(np.full((50, 50, 50), 7, dtype=np.int16))).reason


def test_real_brains_are_found_and_no_lesion_is_cut(shared_data: Path) -> None:
    from napari_lesion.io.masks import read_labels
    from napari_lesion.io.read import read_volume

    for folder, image, lesions in (
        ("brain_flair/ljubljana_ms_p19", "flair", "lesion"),
        ("other/ms_longitudinal_p12", "flair_study2", "new_lesion_change_mask"),
    ):
        volume = read_volume(shared_data / "data" / folder / f"{image}.nii.gz", modality=Modality.MR)
        organ = find_organ(volume, "brain", Modality.MR)
        assert organ.trusted, folder
        region = mask_on(organ, volume.grid)
        lesion = read_labels(shared_data / "data" / folder / f"{lesions}.nii.gz").array > 0
        brain = read_labels(shared_data / "data" / folder / "brain_mask.nii.gz").array > 0
        assert region[lesion].mean() > 0.995, folder
        assert dice(region, brain) > 0.85, folder


@pytest.fixture
def z_bundle(write_bundle: Callable[..., Path], tmp_path: Path) -> Path:
    own = {
        "organ": "brain",
        "modality": "MR",
        "spacing_mm": [2, 2, 2],
        "intensity": {"a_min": -4, "a_max": 6, "b_min": 0, "b_max": 1, "clip": True, "z_score": True},
    }
    return write_bundle(tmp_path / "z", own=own)


def test_a_bundle_can_ask_for_z_scores(z_bundle: Path) -> None:
    info = read_bundle(z_bundle)
    assert info.intensity.z_score
    image, _ = head()
    volume = volume_of(image)
    organ = find_organ(volume, "brain", Modality.MR)
    own = own_intensity(volume, organ, info.intensity)
    inside = image[mask_on(organ, volume.grid)].astype(float)
    assert (own.a_min, own.a_max) == pytest.approx(
        (inside.mean() - 4 * inside.std(), inside.mean() + 6 * inside.std()), rel=1e-6
    )
    assert not own.z_score


def test_the_scale_of_the_image_does_not_matter(z_bundle: Path) -> None:
    info, settings = read_bundle(z_bundle), EngineSettings(device="cpu", backend="torch")
    image, _ = head()
    first, other = (predict(volume_of(image.astype(np.float32) * factor), info, settings) for factor in (1.0, 0.01))
    difference = first.probability.dense().astype(int) - other.probability.dense()
    assert np.abs(difference).max() <= 1


def test_an_image_of_one_value_is_refused(z_bundle: Path) -> None:
    flat = volume_of(np.full((40, 40, 40), 7, dtype=np.int16))
    with pytest.raises(ModelError, match="values do not differ"):
        predict(flat, read_bundle(z_bundle), EngineSettings(device="cpu", backend="torch"))
