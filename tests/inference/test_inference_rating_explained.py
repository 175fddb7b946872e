"""Explanations of a rating: known answers, sums that must hold, and maps that must follow the weights."""

from __future__ import annotations

from importlib.resources import files
from itertools import combinations
from math import factorial
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_lesion.core.errors import ModelError
from napari_lesion.core.section import section_of
from napari_lesion.inference.rating.classify import Classifier
from napari_lesion.inference.rating.crops import plain_crop
from napari_lesion.inference.rating.drivers import shapley_values
from napari_lesion.inference.rating.examples import (
    EXAMPLES,
    Examples,
    load_examples,
    penultimate,
    picture_of,
)
from napari_lesion.inference.rating.maps import grad_cam, occlusion, turned_back
from napari_lesion.inference.rating.network import views
from napari_lesion.inference.trees import LEAF, Trees
from napari_lesion.io.masks import read_labels
from napari_lesion.io.read import read_volume
from napari_lesion.models.classifier import find_classifier, load_members, read_classifier

SAMPLE = Path(str(files("napari_lesion"))) / "resources" / "sample"
WHOLE = (slice(None), slice(None), slice(None))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    info = find_classifier()
    assert info is not None
    return Classifier(info)


@pytest.fixture(scope="module")
def crop(classifier: Classifier) -> np.ndarray:
    volume = read_volume(SAMPLE / "lidc_0314_part.nii.gz")
    section = section_of(volume, read_labels(SAMPLE / "lidc_0314_part_mask.nii.gz"), 1, WHOLE)
    assert section is not None
    return plain_crop(section, classifier.spec)


# -- maps ------------------------------------------------------------------------------------------------------------


def test_maps_of_the_views_are_turned_back() -> None:
    crop = np.random.default_rng(0).normal(size=(2, 5, 5)).astype(np.float32)
    for one in turned_back(views(crop)[:, 0]):
        np.testing.assert_array_equal(one, crop[0])


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def randomised(classifier: Classifier, seed: int) -> list[torch.nn.Module]:
    """The networks with new weights in every layer: the last test of Adebayo 2018, the cascade gone to its end."""
    torch.manual_seed(seed)
    members = load_members(classifier.info)
    for network in members:
        for module in network.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return members


def test_grad_cam_follows_the_weights(classifier: Classifier, crop: np.ndarray) -> None:
    """Sanity check of Adebayo et al. 2018 (arXiv:1810.03292): a map that survives other weights explains nothing.

    It passes narrowly: a nodule is the only bright thing in its crop, and any network lights up there (measured: up
    to 0.91 with random weights). The page of the classifier says so.
    """
    own = grad_cam(load_members(classifier.info), crop)
    assert own.shape == (48, 48)
    assert own.min() >= 0.0
    assert own.max() == pytest.approx(1.0)
    np.testing.assert_allclose(grad_cam(load_members(classifier.info), crop), own, atol=1e-5)
    others = [grad_cam(randomised(classifier, seed), crop) for seed in range(3)]
    assert max(correlation(own, other) for other in others) < 0.95


def test_occlusion_follows_the_weights_and_lies_on_the_nodule(classifier: Classifier, crop: np.ndarray) -> None:
    own = occlusion(load_members(classifier.info), crop)
    assert own.shape == (48, 48)
    assert (own.min(), own.max()) == (pytest.approx(0.0), pytest.approx(1.0))
    inside = crop[1] > 0
    assert own[inside].mean() > 2 * own[~inside].mean()
    others = [occlusion(randomised(classifier, seed), crop) for seed in range(2)]
    assert max(correlation(own, other) for other in others) < 0.95


class LooksAt(torch.nn.Module):
    """A network whose expected malignancy is the brightness of one corner."""

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        corner = 8 * crops[:, 0, :12, :12].mean(dim=(1, 2)) - 4
        return torch.cat([corner[:, None].repeat(1, 4), torch.zeros(len(crops), 4)], dim=1)


def test_occlusion_finds_the_corner_that_a_network_looks_at() -> None:
    found = occlusion([LooksAt()], np.ones((2, 48, 48), np.float32))
    assert found[4:8, 4:8].min() > 0.9
    assert found[20:, 20:].max() == 0.0


# -- drivers ---------------------------------------------------------------------------------------------------------


def small_trees() -> Trees:
    """Two trees over three features, with a feature that is asked twice on one way."""
    return Trees(
        feature=np.array([[0, 1, 2, LEAF, LEAF, LEAF, LEAF], [1, LEAF, 1, LEAF, LEAF, 0, 0]], np.int32),
        threshold=np.array([[0.5, 0.0, 0.5, 0, 0, 0, 0], [0.5, 0, 1.5, 0, 0, 0, 0]], float),
        missing_left=np.array([[True] * 7, [False] * 7]),
        left=np.array([[1, 3, 5, 0, 0, 0, 0], [1, 0, 3, 0, 0, 0, 0]], np.int32),
        right=np.array([[2, 4, 6, 0, 0, 0, 0], [2, 0, 4, 0, 0, 0, 0]], np.int32),
        value=np.array([[0, 0, 0, 1.0, -2.0, 3.0, 0.5], [0, 0.25, 0, -1.0, 4.0, 0, 0]], np.float32),
        output=np.zeros(2, np.int32),
        baseline=np.array([10.0]),
    )


def by_definition(trees: Trees, lesion: np.ndarray, background: np.ndarray) -> list[float]:
    """Shapley values from their definition, over all coalitions."""
    features = range(len(lesion))

    def worth(coalition: tuple[int, ...]) -> float:
        mixed = background.copy()
        mixed[:, list(coalition)] = lesion[list(coalition)]
        return float(trees(mixed)[:, 0].mean())

    values = []
    for one in features:
        rest = [other for other in features if other != one]
        total = 0.0
        for size in range(len(rest) + 1):
            weight = factorial(size) * factorial(len(rest) - size) / factorial(len(rest) + 1)
            for coalition in combinations(rest, size):
                total += weight * (worth((*coalition, one)) - worth(coalition))
        values.append(total)
    return values


@pytest.mark.parametrize("seed", range(4))
def test_shapley_values_are_those_of_the_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    lesion, background = random.normal(size=3) + 0.5, random.normal(size=(5, 3)) + 0.5
    if seed == 3:
        lesion[1], background[2, 0] = np.nan, np.nan
    found = shapley_values(small_trees(), lesion, background)
    assert found == pytest.approx(by_definition(small_trees(), lesion, background), abs=1e-9)


def test_drivers_of_the_shipped_trees_sum_to_the_score(classifier: Classifier) -> None:
    examples = load_examples(classifier.info)
    assert examples is not None
    lesion = examples.background[3]
    for model in classifier.trees[:2]:
        for trees in (model.malignancy, model.calcified):
            values = shapley_values(trees, lesion, examples.background)
            whole = trees(lesion[None])[0, 0] - trees(examples.background)[:, 0].mean()
            assert values.sum() == pytest.approx(whole, abs=1e-6)
            assert np.abs(values).max() > 0


# -- examples --------------------------------------------------------------------------------------------------------


def test_the_shipped_examples_are_rated_nodules_of_the_training(classifier: Classifier) -> None:
    examples = load_examples(classifier.info)
    assert examples is not None
    assert examples.pictures.shape[1:] == (48, 48)
    assert len(examples.pictures) > 1000
    assert set(examples.patients.tolist()) <= set(classifier.info.training_patients)
    assert "LIDC-IDRI-0314" not in examples.patients
    assert all(3 <= len(votes.split(";")) <= 4 for votes in examples.malignancy)


def test_a_nodule_of_the_training_finds_its_like_but_not_itself(classifier: Classifier, crop: np.ndarray) -> None:
    examples = load_examples(classifier.info)
    assert examples is not None
    own, direction = examples.pictures[7], examples.features[7]
    feature = examples.mean + np.linalg.lstsq(examples.components, direction, rcond=None)[0]
    found = examples.nearest(feature, own, 5, lambda _patient: False)
    assert len(found) == 5
    assert 7 not in found
    assert len(set(examples.patients[found])) == 5
    blank = np.zeros_like(own)
    assert examples.nearest(feature, blank, 1, lambda _patient: False) == [7]
    patient = str(examples.patients[7])
    assert 7 not in examples.nearest(feature, blank, 5, lambda other: other == patient)


def test_the_features_are_what_the_last_layer_sees(classifier: Classifier, crop: np.ndarray) -> None:
    members = load_members(classifier.info)
    features = penultimate(members, np.stack([crop, crop[:, ::-1].copy()]))
    width = features.shape[1] // len(members)
    with torch.inference_mode():
        last = members[1].get_submodule("fc")(torch.from_numpy(features[:1, width : 2 * width])).numpy()
        whole = members[1](torch.from_numpy(crop[None])).numpy()
    np.testing.assert_allclose(last, whole, atol=1e-5)


def test_large_suspicious_nodules_are_alike(classifier: Classifier, crop: np.ndarray) -> None:
    examples = load_examples(classifier.info)
    assert examples is not None
    feature = penultimate(load_members(classifier.info), crop[None])[0]
    picture = picture_of(crop, classifier.spec.a_min, classifier.spec.a_max)
    found = examples.nearest(feature, picture, 5, lambda _patient: False)
    means = [np.mean([int(vote) for vote in examples.malignancy[k].split(";")]) for k in found]
    assert np.mean(means) > 3.0


def test_damaged_examples_are_refused(classifier: Classifier, tmp_path: Path) -> None:
    import shutil

    bundle = Path(shutil.copytree(classifier.info.path, tmp_path / "bundle"))
    (bundle / EXAMPLES).write_bytes(b"no arrays")
    with pytest.raises(ModelError, match="is damaged"):
        load_examples(read_classifier(bundle))
    examples = load_examples(classifier.info)
    assert isinstance(examples, Examples)
    arrays = {**examples.to_arrays(), "features": examples.features[:5]}
    np.savez(bundle / EXAMPLES, **arrays)
    with pytest.raises(ModelError, match="do not fit"):
        load_examples(read_classifier(bundle))
    (bundle / EXAMPLES).unlink()
    assert load_examples(read_classifier(bundle)) is None
