"""``napari-lesion info`` and ``models``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from cli_inputs import Run, write_image


def test_info_of_a_file(run: Run, nodule: Path) -> None:
    result = run("info", nodule)
    assert result.exit_code == 0
    image = sitk.ReadImage(str(nodule))
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["size"] == " x ".join(str(n) for n in image.GetSize())
    assert lines["spacing"] == "0.7812 x 0.7812 x 1 mm"
    assert lines["case"] == "nodule"


def test_info_as_json(run: Run, nodule: Path) -> None:
    told = json.loads(run("info", nodule, "--json").stdout)
    image = sitk.ReadImage(str(nodule))
    assert told["grid"]["size_xyz"] == list(image.GetSize())
    assert told["grid"]["spacing_xyz_mm"] == list(image.GetSpacing())
    assert told["grid"]["direction"] == list(image.GetDirection())
    assert told["check"]["level"] in ("green", "yellow")
    assert len(told["series"]) == 1


def test_info_of_a_dicom_folder(run: Run, shared_data: Path) -> None:
    told = json.loads(run("info", shared_data / "data" / "chest_ct" / "LIDC-IDRI-0314", "--json").stdout)
    assert told["case"] == "LIDC-IDRI-0314"
    assert told["modality"] == "CT"
    assert told["modality_stated"] is True
    assert told["grid"]["size_xyz"] == [512, 512, 275]
    assert told["series"][0]["files"] == 275


def test_info_of_a_refused_study_says_why_and_ends_with_2(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "missing.nii.gz"
    result = run("info", path)
    assert result.exit_code == 2
    assert str(path) in result.stderr


def test_info_of_a_study_with_nan_voxels(run: Run, tmp_path: Path) -> None:
    array = np.zeros((12, 12, 12), np.float32)
    array[3, 3, 3] = np.nan
    result = run("info", write_image(tmp_path / "nan.nii.gz", array))
    assert result.exit_code == 0
    assert "nan" in result.stdout.lower()


def test_models_lists_the_shipped_one(run: Run) -> None:
    result = run("models")
    assert result.exit_code == 0
    assert "lung_nodule_ct" in result.stdout
    (model,) = (m for m in json.loads(run("models", "--json").stdout) if m["name"] == "lung_nodule_ct")
    assert model["modality"] == "CT"
    assert Path(model["path"]).is_dir()


def test_models_lists_the_user_s_own(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shipped,) = (m for m in json.loads(run("models", "--json").stdout) if m["name"] == "lung_nodule_ct")
    (tmp_path / "mine").symlink_to(shipped["path"])
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path))
    assert [m["name"] for m in json.loads(run("models", "--json").stdout)] == [
        "lung_nodule_ct",
        "brain_flair_lesion",
        "mine",
    ]
