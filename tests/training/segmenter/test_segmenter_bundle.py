"""From a datalist to a bundle that `detect` runs, with everything that made it beside the weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from segmenter_tiny import tiny_config

from napari_lesion.core.errors import InputError, ModelError
from napari_lesion.inference.engine import predict
from napari_lesion.io.datalist import read_datalist
from napari_lesion.io.fingerprint import voxel_sha256
from napari_lesion.io.read import read_volume
from napari_lesion.models.bundle import load_network
from napari_lesion.models.metadata import read_bundle
from napari_lesion.models.training_data import read_training_data
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.segmenter.fit import BEST
from napari_lesion.training.segmenter.parameters import TrainParameters
from napari_lesion.training.segmenter.train import TrainRequest, train

CONFIG = tiny_config(steps=40, validate_every=20)


@pytest.fixture(scope="module")
def made(balls: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that was trained on three of four balls."""
    out = tmp_path_factory.mktemp("models") / "balls"
    train(TrainRequest(balls, CONFIG, out))
    return out


def test_detection_runs_on_it_at_once(made: Path, balls: Path) -> None:
    info = read_bundle(made)
    assert (info.title, info.roi_size, info.spacing_mm, info.organ) == ("Balls", (16, 16, 16), (1.0, 1.0, 1.0), "")
    held_out = json.loads((made / "docs/training/split.json").read_text(encoding="utf-8"))["held_out"][0]
    case = next(case for case in read_datalist(balls).first("training") if case.name == held_out["name"])
    volume = read_volume(case.image)
    found = predict(volume, info).probability.dense() >= 250 * info.default_threshold
    truth = np.asarray(read_volume(case.label_file).array) > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.7


def test_what_made_it_lies_beside_the_weights(made: Path) -> None:
    folder = made / "docs" / "training"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "log.jsonl", "record.json", "split.json"]
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert (record["seed"], record["steps"]) == (2026, 40)
    assert {"torch", "monai", "napari-lesion"} <= set(record["versions"])
    assert len(record["data_sha256"]) == 64
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["network"]["channels"] == [4, 8]
    card = (made / "docs" / "README.md").read_text(encoding="utf-8")
    assert "Research use only" in card
    assert "Nobody but its user has looked at it" in card


def test_it_knows_what_it_was_trained_on(made: Path, balls: Path) -> None:
    seen = read_training_data(read_bundle(made))
    split = json.loads((made / "docs/training/split.json").read_text(encoding="utf-8"))
    assert seen.patients == {case["patient"] for case in split["train"]}
    for case in read_datalist(balls).first("training"):
        trained = case.patient in seen.patients
        assert bool(seen.leak("", voxel_sha256(read_volume(case.image)))) == trained


def test_it_can_be_continued_from(made: Path, balls: Path, tmp_path: Path) -> None:
    still = {"_target_": "SGD", "lr": 0.0}
    config = tiny_config(steps=2, optimizer=still, network={"_target_": "SegResNet"}, ema_decay=0.0)
    train(TrainRequest(balls, config, tmp_path / "second", read_bundle(made)))
    second = read_bundle(tmp_path / "second")
    assert second.network_def == read_bundle(made).network_def
    for one, two in zip(load_network(second).parameters(), load_network(read_bundle(made)).parameters(), strict=True):
        np.testing.assert_allclose(one.detach(), two.detach(), atol=1e-3)
    record = json.loads((tmp_path / "second/docs/training/record.json").read_text(encoding="utf-8"))
    assert record["started_from"].startswith("balls 0.1.0")


def test_the_folder_of_another_run_is_not_continued(balls: Path, tmp_path: Path) -> None:
    config = tiny_config(steps=2)
    train(TrainRequest(balls, config, tmp_path / "one"))
    weights = load_weights(tmp_path / "one.run" / BEST)
    with pytest.raises(InputError, match=r"(?i)holds another training"):
        train(TrainRequest(balls, replace(config, seed=7), tmp_path / "one"))
    assert all(value.equal(weights[key]) for key, value in load_weights(tmp_path / "one.run" / BEST).items())


def test_every_fold_in_turn(balls: Path, tmp_path: Path) -> None:
    config = tiny_config(steps=2, folds=2)
    result = train(TrainRequest(balls, config, tmp_path / "cv", parameters=TrainParameters(all_folds=True)))
    assert [path.name for path in result.bundles] == ["cv-fold0", "cv-fold1"]
    summary = json.loads((tmp_path / "cv.run" / "folds.json").read_text(encoding="utf-8"))
    assert summary["dice"]["folds"] == pytest.approx(list(result.dice))
    held = [
        {case["patient"] for case in json.loads((path / "docs/training/split.json").read_text())["held_out"]}
        for path in result.bundles
    ]
    assert held[0].isdisjoint(held[1])
    assert held[0] | held[1] == {"p0", "p1", "p2", "p3"}


def test_a_name_that_is_none(balls: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"(?i)is not the name of a model"):
        train(TrainRequest(balls, tiny_config(), tmp_path / "a model"))
