"""Bundles made by others through the whole detection: marks, names of classes, what the reader did, and files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo_shapes as zoo

from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Review
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.models.config.reading import read_configuration
from napari_lesion.workflow.channels import Images
from napari_lesion.workflow.detect import Detection, detect_lesions, install_detection, request_for
from napari_lesion.workflow.fit import check_fit
from napari_lesion.workflow.models import find_model
from napari_lesion.workflow.parameters import DetectParameters
from napari_lesion.workflow.study import Study

SHAPE = (24, 36, 40)


@pytest.fixture
def study() -> Study:
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal(SHAPE), 3)
    hu = (noise / noise.std() * 150).astype(np.int16)
    return Study.of(Volume(hu, Grid((40, 36, 24), (1.0, 1.0, 2.0)), Modality.CT), Check(()))


def _bundle(root: Path, config: dict[str, Any], stated: dict[str, Any], name: str = "model.pt") -> Path:
    import torch

    from napari_lesion.models.config.build import Builder

    zoo.write(root, config, stated)
    torch.manual_seed(1)
    network = Builder(read_configuration(root)).get("network_def")
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    (root / "models").mkdir()
    torch.save(network.state_dict(), root / "models" / name)
    return root


def _detect(study: Study, root: Path) -> Detection:
    detection = detect_lesions(request_for(study, find_model(root)))
    install_detection(study, detection)
    return detection


def test_one_class_keeps_its_probability(tmp_path: Path, study: Study) -> None:
    detection = _detect(study, _bundle(tmp_path / "spleen", zoo.spleen(), zoo.metadata(1, 2)))
    assert detection.backend == "MONAI"
    assert study.threshold == 0.5
    assert study.lesions
    assert detection.probability.dense().max() > 125
    assert (study.labels.array > 0).sum() == (detection.probability.dense() >= 125).sum()


def test_classes_are_rows_with_names(tmp_path: Path, study: Study) -> None:
    stated = zoo.metadata(1, 3)
    stated["network_data_format"]["outputs"]["pred"]["channel_def"] = {"0": "background", "1": "liver", "2": "tumour"}
    root = _bundle(tmp_path / "body", zoo.whole_body(), stated, "model_lowres.pt")
    _detect(study, root)
    assert study.threshold is None
    findings = {label: row["finding"] for label, row in study.table.rows.items()}
    assert set(findings.values()) <= {"liver", "tumour"}
    assert list(findings.values()).count("liver") <= 1
    for label, lesion in study.lesions.items():
        assert (study.labels.array == label).any()
        assert lesion.finding == findings[label]


def test_what_the_reader_did_is_kept(tmp_path: Path, study: Study) -> None:
    root = _bundle(tmp_path / "body", zoo.whole_body(), zoo.metadata(1, 3), "model_lowres.pt")
    _detect(study, root)
    first = next(iter(study.lesions))
    before = study.labels.array == first
    study.review(first, Review.ACCEPTED)
    _detect(study, root)
    assert study.lesions[first].review == Review.ACCEPTED
    np.testing.assert_array_equal(study.labels.array == first, before)
    _detect(study, _bundle(tmp_path / "spleen", zoo.spleen(), zoo.metadata(1, 2)))
    assert {lesion.finding for label, lesion in study.lesions.items() if label != first} <= {""}


def test_classifier_gives_a_sentence(tmp_path: Path, study: Study) -> None:
    detection = _detect(study, _bundle(tmp_path / "scores", zoo.classification(), zoo.metadata(1, 2)))
    assert not study.lesions
    assert detection.notes[0].startswith("Scores of the model for the whole image: background ")


def test_sequences(tmp_path: Path, study: Study) -> None:
    config = zoo.brats()
    config["postprocessing"]["transforms"] = [
        step for step in config["postprocessing"]["transforms"] if step["_target_"] != "Lambdad"
    ]
    model = find_model(_bundle(tmp_path / "brats", config, zoo.metadata(4, 3)))
    assert model.channel_names == ("sequence 0", "sequence 1", "sequence 2", "sequence 3")
    others = tuple(replace(study.volume, array=study.volume.array * factor) for factor in (2, 3, 4))
    detection = detect_lesions(request_for(study, model, images=Images((study.volume, *others))))
    assert detection.marks.lesions


def test_fit_says_what_is_not_known(tmp_path: Path, study: Study) -> None:
    model = find_model(_bundle(tmp_path / "spleen", zoo.spleen(), zoo.metadata(1, 2)))
    fit = check_fit(study.volume, model, DetectParameters())
    assert "time not known" in fit.sentence
