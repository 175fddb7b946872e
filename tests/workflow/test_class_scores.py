"""Scores of classifiers made by others: of the study, and columns of its lesions."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo_shapes as zoo

from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.inference.bundles.crops import crop_around
from napari_lesion.workflow.detect import detect_lesions, install_detection, request_for
from napari_lesion.workflow.export import ExportParameters, ExportRequest, export_study
from napari_lesion.workflow.measure import install_measurement, measure_study
from napari_lesion.workflow.measure import request_for as measure_request
from napari_lesion.workflow.models import CLASS_SCORES, find_model, list_models
from napari_lesion.workflow.study import Study

GRID = Grid((60, 50, 40), (0.8, 0.8, 1.5), (-20.0, 3.0, 7.0))
BENIGN, MALIGNANT = "score_rater_benign", "score_rater_malignant_or_not"


def _bundle(root: Path) -> Path:
    import torch
    from monai.networks.nets import DenseNet

    config = zoo.classification()
    small = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "init_features": 4, "growth_rate": 2}
    config["network_def"] = {"_target_": "DenseNet", **small, "block_config": [1, 1]}
    stated = zoo.metadata(1, 2)
    stated["network_data_format"]["inputs"]["image"]["spatial_shape"] = [16, 16, 16]
    stated["network_data_format"]["outputs"]["pred"]["channel_def"] = {"0": "benign", "1": "malignant, or not"}
    config["preprocessing"]["transforms"].insert(3, zoo.spacing([2.0, 2.0, 2.0]))
    zoo.write(root, config, stated)
    (root / "models").mkdir()
    torch.manual_seed(0)
    network = DenseNet(**small, block_config=(1, 1))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    torch.save(network.state_dict(), root / "models" / "model.pt")
    return root


@pytest.fixture
def study() -> Study:
    values = np.random.default_rng(0).normal(0, 300, GRID.shape).astype(np.int16)
    made = Study.of(Volume(values, GRID, Modality.CT, Source(case="case")), Check())
    made.labels.array[10:14, 20:26, 30:36] = 1
    made.labels.array[0:3, 0:4, 0:4] = 2
    made.lesions = {label: Lesion(label, Status.MANUAL) for label in (1, 2)}
    made.table = measure_study(measure_request(made)).table
    return made


def _score(study: Study, root: Path) -> Any:
    detection = detect_lesions(request_for(study, find_model(root)))
    install_detection(study, detection)
    return detection


def test_each_lesion_gets_a_column_for_each_class(tmp_path: Path, study: Study) -> None:
    before = study.labels.array.copy(), dict(study.lesions)
    detection = _score(study, _bundle(tmp_path / "rater"))
    assert (study.labels.array == before[0]).all()
    assert study.lesions == before[1]
    assert study.detection is None
    assert study.table.names[-2:] == [BENIGN, MALIGNANT]
    assert study.table.column(MALIGNANT).title == "malignant, or not"
    assert "rater" in study.table.column(BENIGN).definition
    for row in study.table.rows.values():
        assert row[BENIGN] + row[MALIGNANT] == pytest.approx(1.0, abs=1e-5)  # type: ignore[operator]
    assert study.table.rows[1][BENIGN] != study.table.rows[2][BENIGN]
    assert "2 lesions scored" in detection.notes[0]


def test_a_lesion_that_changed_loses_its_scores(tmp_path: Path, study: Study) -> None:
    _score(study, _bundle(tmp_path / "rater"))
    study.labels.array[10:14, 20:26, 36] = 1
    install_measurement(study, measure_study(measure_request(study, frozenset({1}))))
    assert math.isnan(study.table.rows[1][BENIGN])  # type: ignore[arg-type]
    assert study.table.rows[2][BENIGN] > 0  # type: ignore[operator]
    study.labels.array[10:14, 20:26, 36] = 0
    install_measurement(study, measure_study(measure_request(study)))
    assert study.table.rows[1][BENIGN] > 0  # type: ignore[operator]


def test_scores_are_exported(tmp_path: Path, study: Study) -> None:
    _score(study, _bundle(tmp_path / "rater"))
    export_study(ExportRequest(study, tmp_path / "out", ExportParameters()))
    with (tmp_path / "out" / "lesions.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    assert [float(row[BENIGN]) for row in rows] == pytest.approx(
        [study.table.rows[int(row["label"])][BENIGN] for row in rows], rel=1e-4
    )
    (record,) = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["scores"]
    assert record["classes"] == ["benign", "malignant, or not"]
    assert record["lesions"] == [1, 2]


def test_a_study_without_lesions_is_scored_as_a_whole(tmp_path: Path, study: Study) -> None:
    study = Study.of(study.volume, Check())
    _score(study, _bundle(tmp_path / "rater"))
    (scores,) = study.scores
    assert sum(scores.whole) == pytest.approx(1.0, abs=1e-5)
    assert scores.classes == ("benign", "malignant, or not")
    export_study(ExportRequest(study, tmp_path / "out", ExportParameters()))
    (record,) = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["scores"]
    assert record["study"]["benign"] == pytest.approx(scores.whole[0])


def test_a_crop_holds_its_lesion_in_its_middle(study: Study) -> None:
    box = (slice(10, 14), slice(20, 26), slice(30, 36))
    crop = crop_around(study.volume, box, (24.0, 24.0, 24.0))
    assert crop.array.shape == (16, 30, 30)
    centre = study.volume.grid.to_physical([[11.5, 22.5, 32.5]])
    np.testing.assert_allclose(crop.grid.to_index(centre), [[7.5, 14.5, 14.5]], atol=0.51)
    corner = crop_around(study.volume, (slice(0, 2), slice(0, 2), slice(0, 2)), (24.0, 24.0, 24.0))
    assert corner.grid.origin == study.volume.grid.origin
    large = crop_around(study.volume, (slice(0, 40), slice(0, 50), slice(0, 60)), (24.0, 24.0, 24.0))
    assert large.array.shape == study.volume.array.shape


def test_classifiers_stand_in_the_list_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path))
    _bundle(tmp_path / "rater")
    (found,) = [model for model in list_models() if model.name == "rater"]
    assert found.task == CLASS_SCORES
