"""Explanations of real ratings: in the right place, summing to the score, without the patient's own nodules."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.errors import LesionError
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.inference.rating.examples import load_examples
from napari_lesion.io.masks import read_labels
from napari_lesion.io.patient import pseudonym_of_patient
from napari_lesion.io.read import read_volume
from napari_lesion.models.classifier import find_classifier
from napari_lesion.workflow.explain import (
    GRAD_CAM,
    NEIGHBOURS,
    OCCLUSION,
    ExplainRequest,
    Explanation,
    driver_words,
    explain_lesion,
)

SAMPLE = Path(str(files("napari_lesion"))) / "resources" / "sample"
WHOLE = (slice(None), slice(None), slice(None))


@pytest.fixture(scope="module")
def study() -> tuple[Volume, LabelMap]:
    return read_volume(SAMPLE / "lidc_0314_part.nii.gz"), read_labels(SAMPLE / "lidc_0314_part_mask.nii.gz")


@pytest.fixture(scope="module")
def explanation(study: tuple[Volume, LabelMap]) -> Explanation:
    return explain_lesion(ExplainRequest(*study, 1, WHOLE))


def test_maps_lie_over_the_nodule(study: tuple[Volume, LabelMap], explanation: Explanation) -> None:
    volume, labels = study
    z = int((labels.array == 1).sum(axis=(1, 2)).argmax())
    for name in (GRAD_CAM, OCCLUSION):
        heat = explanation.maps[name]
        assert heat.box[0] == slice(z, z + 1)
        assert heat.array.shape == volume.array[heat.box].shape
        assert 0.0 <= heat.array.min() <= heat.array.max() <= 1.0 + 1e-6
        assert heat.array.max() > 0.5
    centre = np.argwhere(labels.array[z] == 1).mean(axis=0)
    heat = explanation.maps[OCCLUSION]
    hottest = np.array(np.unravel_index(int(heat.array[0].argmax()), heat.array.shape[1:]))
    place = hottest + np.array([part.start for part in heat.box[1:]])
    assert np.linalg.norm((place - centre) * volume.grid.spacing_zyx[1:]) < 12.0


def test_families_sum_to_the_expected_rating(explanation: Explanation) -> None:
    whole = explanation.typical + sum(effect for _, effect in explanation.families)
    assert whole == pytest.approx(explanation.expected, abs=1e-5)
    assert 3.5 < explanation.expected <= 5.0
    assert explanation.families[0][0] == "size"
    effects = [abs(driver.effect) for driver in explanation.drivers]
    assert effects == sorted(effects, reverse=True)
    assert all("_" not in driver.title for driver in explanation.drivers)
    words = driver_words(explanation.drivers[0])
    assert words.startswith(("+", "−"))
    assert explanation.drivers[0].title in words


def test_neighbours_are_other_patients_with_their_ratings(
    study: tuple[Volume, LabelMap], explanation: Explanation
) -> None:
    patients = [neighbour.patient for neighbour in explanation.neighbours]
    assert len(set(patients)) == NEIGHBOURS
    assert all(1 <= vote <= 5 for neighbour in explanation.neighbours for vote in neighbour.malignancy)
    assert all(neighbour.picture.shape == (48, 48) for neighbour in explanation.neighbours)
    same = ExplainRequest(*study, 1, WHOLE, patient=pseudonym_of_patient(patients[0]))
    assert patients[0] not in [neighbour.patient for neighbour in explain_lesion(same).neighbours]


def test_sentences_call_it_an_opinion(explanation: Explanation) -> None:
    words = " ".join(explanation.sentences)
    assert "Readers would rate it suspicious" in words
    assert "no diagnosis" in words


def test_a_lesion_that_is_not_rated_is_not_explained(study: tuple[Volume, LabelMap]) -> None:
    volume, labels = study
    tissue = replace(volume, array=np.full_like(volume.array, 40))
    with pytest.raises(LesionError, match=r"lesion 1 cannot be explained.*aerated lung"):
        explain_lesion(ExplainRequest(tissue, labels, 1, WHOLE))
    with pytest.raises(LesionError, match="no voxels"):
        explain_lesion(ExplainRequest(volume, labels, 9, WHOLE))


def test_no_thumbnail_is_of_the_test_patient() -> None:
    info = find_classifier()
    assert info is not None
    examples = load_examples(info)
    assert examples is not None
    assert "LIDC-IDRI-0314" not in set(examples.patients.tolist())
