"""The classifier of the product gives the numbers of the training."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_lesion.core.section import Section, section_of
from napari_lesion.inference.rating import network as rating_network
from napari_lesion.inference.rating.classify import Classifier
from napari_lesion.inference.rating.crops import CropSpec, plain_crop
from napari_lesion.inference.rating.heads import apply_heads
from napari_lesion.inference.rating.network import open_members, views
from napari_lesion.inference.rating.scores import N_SCORES, boosted_scores, shipped_scores
from napari_lesion.io.masks import read_labels
from napari_lesion.io.read import read_volume
from napari_lesion.models.classifier import find_classifier, load_members
from napari_lesion.training.classifier.crops import crop_source, plain_crops
from napari_lesion.training.classifier.measured import measure_slice
from napari_lesion.training.classifier.network import views as training_views
from napari_lesion.training.classifier.slices import RATINGS, NoduleSlice

SAMPLE = Path(str(files("napari_lesion"))) / "resources" / "sample"
WHOLE = (slice(None), slice(None), slice(None))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    info = find_classifier()
    assert info is not None
    return Classifier(info)


@pytest.fixture(scope="module")
def section() -> Section:
    volume = read_volume(SAMPLE / "lidc_0314_part.nii.gz")
    found = section_of(volume, read_labels(SAMPLE / "lidc_0314_part_mask.nii.gz"), 1, WHOLE)
    assert found is not None
    return found


def as_nodule(section: Section) -> NoduleSlice:
    """The same slice as the training has it: 71 native pixels about the nodule."""
    side = 71
    middle = np.argwhere(section.mask).mean(axis=0).round().astype(int)
    padded = [
        np.pad(array, side, mode=mode)[tuple(slice(m + side - 35, m + side + 36) for m in middle)]
        for array, mode in ((section.image, "edge"), (section.mask, "constant"))
    ]
    return NoduleSlice(
        name="sample",
        patient_id="sample",
        fold=0,
        image=padded[0].astype(np.int16),
        masks=padded[1][None],
        spacing_mm=section.spacing_mm[0],
        thickness_mm=1.0,
        n_readers=1,
        diameter_mm=15.0,
        ratings=dict.fromkeys(RATINGS, ()),
    )


def random_section(seed: int) -> Section:
    random = np.random.default_rng(seed)
    y, x = np.indices((71, 71))
    centre, radius = random.uniform(30, 40, 2), random.uniform(4, 12)
    mask = (y - centre[0]) ** 2 + 1.5 * (x - centre[1]) ** 2 < radius**2
    image = random.integers(-1100, 1200, mask.shape).astype(np.int16)
    edge = float(random.uniform(0.46, 0.98))
    return Section(image, mask, (edge, edge), 0, (0, 1, 2), (0, 0), (False, False))


@pytest.mark.parametrize("seed", range(4))
def test_a_crop_is_that_of_the_training(seed: int) -> None:
    section, spec = random_section(seed), CropSpec()
    there = plain_crops(crop_source([as_nodule(section)]), spec, np.array([0]))[0].numpy()
    here = plain_crop(section, spec)
    np.testing.assert_allclose(here[0], there[0], atol=2e-4)
    assert (here[1] != there[1]).mean() < 1e-3


def test_values_that_are_not_finite_are_air_or_bone() -> None:
    section = random_section(0)
    image = section.image.astype(np.float32)
    image[:8], image[-8:] = np.nan, np.inf
    odd = Section(image, section.mask, section.spacing_mm, 0, (0, 1, 2), (0, 0), (False, False))
    crop = plain_crop(odd, CropSpec(size=64, pixel_mm=section.spacing_mm[0]))
    assert np.isfinite(crop).all()
    assert crop[0, :3].max() == 0.0
    assert crop[0, -3:].min() == 1.0


def test_views_are_those_of_the_training() -> None:
    crop = np.random.default_rng(0).normal(size=(2, 6, 6)).astype(np.float32)
    there = torch.cat(training_views(torch.from_numpy(crop)[None])).numpy()
    np.testing.assert_array_equal(views(crop), there)
    assert len({view.tobytes() for view in views(crop)}) == 8


def test_the_rating_of_a_real_nodule_is_that_of_the_training_path(classifier: Classifier, section: Section) -> None:
    nodule = as_nodule(section)
    crop = plain_crops(crop_source([nodule]), classifier.spec, np.array([0]))
    members = []
    with torch.inference_mode():
        for network in load_members(classifier.info):
            logits = torch.stack([network(view) for view in training_views(crop)]).mean(0).numpy()
            members.append(shipped_scores(logits))
    measured = measure_slice(nodule)
    row = np.array([[measured.get(name, np.nan) for name in classifier.info.measures]], np.float32)
    boosted = [boosted_scores(member, row) for member in classifier.trees]
    there = np.concatenate((np.mean(members, axis=0), np.mean(boosted, axis=0)), axis=1)
    from napari_lesion.workflow.classify import section_measures

    here = classifier.scores([plain_crop(section, classifier.spec)], section_measures(classifier, section))
    np.testing.assert_allclose(here, there, atol=5e-3)
    first, texture, chalk = apply_heads(classifier.heads, there.astype(np.float32))
    assert first[0] > 0.95
    assert classifier.info.textures[int(texture[0].argmax())] == "solid"
    assert chalk[0] < 0.3


def test_openvino_and_torch_agree(classifier: Classifier, section: Section, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = views(plain_crop(section, classifier.spec))
    there = open_members(classifier.info)(batch)
    monkeypatch.setattr(rating_network, "import_openvino", _missing)
    here = open_members(classifier.info)(batch)
    assert here.shape == (5, 8, 8)
    np.testing.assert_allclose(here, there, atol=1e-3)


def _missing() -> None:
    raise ImportError("not here")


def test_no_lesion_gives_no_row(classifier: Classifier) -> None:
    assert classifier.network_scores([]).shape == (0, N_SCORES)
