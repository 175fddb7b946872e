"""``napari-lesion models check`` and ``models add``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zoo_shapes as zoo

from napari_lesion.models.catalogue import shipped_folder

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the user's models."""
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path / "installed"))
    return tmp_path / "installed"


def test_shipped_model_is_safe_and_runs(run: Run) -> None:
    result = run("models", "check", shipped_folder() / "lung_nodule_ct", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert (report["class"], report["can_run"], report["reasons"]) == ("safe", True, [])


def test_check_names_what_would_run(run: Run, tmp_path: Path) -> None:
    result = run("models", "check", zoo.write(tmp_path / "brats", zoo.brats(), zoo.metadata(4, 3)))
    assert result.exit_code == 1
    for words in ("Class: needs trust", "it is a lambda", "3 sequence 3", "you have not said that you trust it"):
        assert words in result.stdout


def test_check_says_that_there_is_no_network(run: Run, tmp_path: Path) -> None:
    """Some bundles of the zoo make images and have none that takes one."""
    config = {key: value for key, value in zoo.spleen().items() if key not in ("network", "network_def", "evaluator")}
    without = zoo.write(tmp_path / "without", config)
    assert "its configuration has no network_def" in run("models", "check", without).stdout
    with_one = zoo.write(tmp_path / "with_one", zoo.named_otherwise())
    assert "its configuration has no network_def" not in run("models", "check", with_one).stdout


def test_check_of_a_zip_file_leaves_nothing(run: Run, tmp_path: Path, models: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "spleen"), "zip", zoo.write(tmp_path / "folder", zoo.spleen()))
    report = json.loads(run("models", "check", archive, "--json").stdout)
    assert (report["class"], report["name"]) == ("safe", "spleen")
    assert not models.exists()


def test_add_and_use(run: Run, tmp_path: Path, models: Path) -> None:
    source = shutil.copytree(shipped_folder() / "lung_nodule_ct", tmp_path / "mine")
    assert run("models", "add", source).exit_code == 0
    assert (models / "mine" / "configs" / "metadata.json").is_file()
    assert [model["name"] for model in json.loads(run("models", "--json").stdout)] == [
        "lung_nodule_ct",
        "brain_flair_lesion",
        "mine",
    ]


def test_add_asks_for_trust(run: Run, tmp_path: Path, models: Path) -> None:
    source = zoo.write(tmp_path / "brats", zoo.brats(), zoo.metadata(4, 3))
    result = run("models", "add", source)
    assert result.exit_code == 2
    assert "--trust" in result.stderr
    assert not (models / "brats").exists()
    assert run("models", "add", source, "--trust").exit_code == 0
    report = json.loads(run("models", "check", models / "brats", "--json").stdout)
    assert report["trusted"]


@pytest.mark.parametrize("source", ["nowhere", "http://example.org/model.zip", __file__])
def test_bad_sources(run: Run, source: str) -> None:
    result = run("models", "add", source)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")


def test_detect_with_a_bundle_of_others(run: Run, tmp_path: Path) -> None:
    import nibabel
    import numpy as np
    import torch

    from napari_lesion.models.config.build import Builder
    from napari_lesion.models.config.reading import read_configuration

    hu = np.random.default_rng(0).normal(0, 200, (32, 32, 20)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(hu, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "ct.nii.gz")
    root = zoo.write(tmp_path / "spleen", zoo.spleen())
    (root / "models").mkdir()
    torch.save(Builder(read_configuration(root)).get("network_def").state_dict(), root / "models" / "model.pt")
    assert run("models", "check", root).exit_code == 0
    result = run("detect", tmp_path / "ct.nii.gz", "--out", tmp_path / "out", "--model", root, "--modality", "CT")
    assert result.exit_code == 0, result.stderr
    record = json.loads((tmp_path / "out" / "ct" / "run.json").read_text(encoding="utf-8"))
    assert (record["detection"]["backend"], record["detection"]["model"]["name"]) == ("MONAI", "spleen")


def test_the_card_tells_where_its_pictures_lie(run: Run, tmp_path: Path) -> None:
    source = Path(shutil.copytree(shipped_folder() / "brain_flair_lesion", tmp_path / "mine"))
    before = run("models", "card", source)
    assert before.exit_code == 0
    assert "Pictures of this card" not in before.stdout
    card = source / "docs" / "README.md"
    card.write_text(card.read_text(encoding="utf-8") + "\n![Failures](gallery.jpg)\n", encoding="utf-8")
    (source / "docs" / "gallery.jpg").write_bytes(b"x")
    lines = run("models", "card", source).stdout.splitlines()
    assert lines[-2:] == ["Pictures of this card:", f"  {source / 'docs' / 'gallery.jpg'}"]
