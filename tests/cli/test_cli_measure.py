"""``napari-lesion measure``: two files in, one table out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from cli_inputs import Run, write_image


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_measures_a_real_nodule(run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "lesions.csv"
    result = run("measure", nodule, nodule_mask, "--out", out)
    assert (result.exit_code, result.stdout) == (0, f"1 lesion in {out}\n")
    (row,) = rows_of(out)
    mask = sitk.ReadImage(str(nodule_mask))
    voxels = int((sitk.GetArrayFromImage(mask) > 0).sum())
    assert list(row)[:3] == ["label", "status", "probability"]
    assert (row["label"], row["status"], row["probability"]) == ("1", "manual", "")
    assert float(row["volume_mm3"]) == pytest.approx(voxels * np.prod(mask.GetSpacing()), rel=1e-4)


def test_components_of_a_binary_mask_are_lesions(run: Run, tmp_path: Path) -> None:
    image = write_image(tmp_path / "image.nii.gz", np.zeros((20, 20, 20), np.int16))
    parts = np.zeros((20, 20, 20), np.uint8)
    parts[2:5, 2:5, 2:5] = parts[10:14, 10:14, 10:14] = 1
    mask = write_image(tmp_path / "mask.nii.gz", parts)
    run("measure", image, mask, "--modality", "CT", "--out", tmp_path / "whole.csv")
    run("measure", image, mask, "--modality", "CT", "--components", "--out", tmp_path / "parts.csv")
    assert len(rows_of(tmp_path / "whole.csv")) == 1
    volumes = sorted(float(row["volume_mm3"]) for row in rows_of(tmp_path / "parts.csv"))
    assert volumes == [27.0, 64.0]


def test_an_empty_mask_gives_a_header_only(run: Run, tmp_path: Path) -> None:
    image = write_image(tmp_path / "image.nii.gz", np.zeros((20, 20, 20), np.int16))
    mask = write_image(tmp_path / "mask.nii.gz", np.zeros((20, 20, 20), np.uint8))
    result = run("measure", image, mask, "--modality", "CT", "--out", tmp_path / "lesions.csv")
    assert result.stdout.startswith("0 lesions in ")
    (header,) = (tmp_path / "lesions.csv").read_text().splitlines()
    assert header.startswith("label,status,probability")


def test_chosen_features_only(run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path) -> None:
    out = tmp_path / "lesions.csv"
    run("measure", nodule, nodule_mask, "--out", out, "--features", "volume_mm3, shape")
    (row,) = rows_of(out)
    assert "volume_mm3" in row
    assert "density_mean_hu" not in row


def test_a_mask_of_another_grid_is_refused(run: Run, nodule: Path, tmp_path: Path) -> None:
    mask = write_image(tmp_path / "mask.nii.gz", np.ones((4, 4, 4), np.uint8))
    result = run("measure", nodule, mask, "--out", tmp_path / "lesions.csv")
    assert result.exit_code == 2
    assert "another grid" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "lesions.csv").exists()


def test_an_unknown_feature_is_refused(run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path) -> None:
    result = run("measure", nodule, nodule_mask, "--out", tmp_path / "lesions.csv", "--features", "volme_mm3")
    assert result.exit_code == 2
    assert "volume_mm3" in result.stderr
