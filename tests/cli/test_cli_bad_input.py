"""Bad input through the command line: each a clear error, or values that are empty for a reason in ``flags``."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from cli_inputs import Run, write_image

SHAPE = (16, 18, 20)
BALL = sum((axis - size / 2) ** 2 for axis, size in zip(np.indices(SHAPE), SHAPE, strict=True)) <= 5**2
TISSUE = np.random.default_rng(3).normal(-600, 120, SHAPE).astype(np.int16)
Writer = Callable[[Path], Path]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def array_as(array: np.ndarray, name: str = "mask.nii.gz") -> Writer:
    return lambda folder: write_image(folder / name, array)


def moved(offset: tuple[float, float, float], spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Writer:
    def write(folder: Path) -> Path:
        image = sitk.GetImageFromArray(BALL.astype(np.uint8))
        image.SetOrigin(offset)
        image.SetSpacing(spacing)
        sitk.WriteImage(image, str(folder / "mask.nii.gz"))
        return folder / "mask.nii.gz"

    return write


def sheared(folder: Path) -> Path:
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[0, 2] = 0.3
    nibabel.save(nibabel.Nifti1Image(BALL.T.astype(np.uint8), affine), folder / "mask.nii.gz")
    return folder / "mask.nii.gz"


def four_dimensional(folder: Path) -> Path:
    nibabel.save(
        nibabel.Nifti1Image(np.stack([BALL.T, BALL.T], axis=-1).astype(np.uint8), np.eye(4)), folder / "mask.nii.gz"
    )
    return folder / "mask.nii.gz"


def truncated(folder: Path) -> Path:
    path = write_image(folder / "mask.nii.gz", BALL.astype(np.uint8))
    path.write_bytes(path.read_bytes()[:-40])
    return path


def text_file(folder: Path) -> Path:
    (folder / "mask.nii.gz").write_text("not an image")
    return folder / "mask.nii.gz"


REFUSED: dict[str, tuple[Writer, str]] = {
    "other size": (array_as(np.ones((4, 4, 4), np.uint8)), "another grid"),
    "other spacing": (moved((0, 0, 0), (1.0, 1.0, 2.0)), "another grid"),
    "no overlap with the image": (moved((500.0, 0.0, 0.0)), "another grid"),
    "half a voxel off": (moved((0.5, 0.0, 0.0)), "another grid"),
    "sheared affine": (sheared, "rectangular grid"),
    "four dimensions": (four_dimensional, "4"),
    "fractions": (array_as(BALL * 0.7), "not whole numbers"),
    "NaN in the mask": (array_as(np.where(BALL, np.nan, 0.0)), "not whole numbers"),
    "infinity in the mask": (array_as(np.where(BALL, np.inf, 0.0)), "beyond 32 bits"),
    "numbers beyond 32 bits": (array_as(BALL * np.int64(2**40)), "beyond 32 bits"),
    "negative labels": (array_as(-BALL.astype(np.int16)), "negative"),
    "cut off": (truncated, "mask.nii.gz"),
    "no image": (text_file, "mask.nii.gz"),
    "not there": (lambda folder: folder / "none.nii.gz", "does not exist"),
    "a folder": (lambda folder: folder, "It is a folder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mask_that_will_not_do_is_one_sentence(run: Run, tmp_path: Path, case: str) -> None:
    write, why = REFUSED[case]
    image = write_image(tmp_path / "image.nii.gz", TISSUE)
    result = run("measure", image, write(tmp_path), "--modality", "CT", "--out", tmp_path / "lesions.csv")
    assert result.exit_code == 2, result.stdout
    assert result.stderr.startswith("Error: ")
    assert why in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "lesions.csv").exists()


def one_voxel() -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array[8, 9, 10] = 1
    return array


def one_slice() -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array[8] = BALL[8]
    return array


def at_the_border() -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array[:5, 4:12, 4:12] = 1
    return array


TAKEN: dict[str, tuple[np.ndarray, set[str], tuple[str, ...]]] = {
    "one voxel": (one_voxel(), {"few_voxels", "tiny", "thin"}, ("sphericity", "elongation", "pca_major_mm")),
    "flat": (one_slice(), {"thin", "thick_slices"}, ()),
    "at the border": (at_the_border(), {"touches_border"}, ()),
    "whole image": (np.ones(SHAPE, np.uint8), {"touches_border"}, ()),
    "two parts": (one_voxel() | np.roll(one_voxel(), 5, axis=2), {"multi_component"}, ("sphericity",)),
}


@pytest.mark.parametrize("case", TAKEN)
def test_an_odd_lesion_has_a_row_and_its_reasons(run: Run, tmp_path: Path, case: str) -> None:
    array, flags, empty = TAKEN[case]
    image = write_image(tmp_path / "image.nii.gz", TISSUE)
    mask = write_image(tmp_path / "mask.nii.gz", array)
    result = run("measure", image, mask, "--modality", "CT", "--out", tmp_path / "lesions.csv")
    assert result.exit_code == 0, result.stderr
    (row,) = rows_of(tmp_path / "lesions.csv")
    assert float(row["volume_mm3"]) == array.sum()
    assert flags <= set(row["flags"].split(";"))
    assert [row[name] for name in empty] == [""] * len(empty)
    assert not {"nan", "inf", "-inf"} & {value.lower() for value in row.values()}


NUMBERED: dict[str, tuple[np.ndarray, list[str]]] = {
    "whole numbers as float": (BALL * 3.0, ["3"]),
    "boolean": (BALL.astype(np.uint8), ["1"]),
    "gaps": (BALL * np.where(np.indices(SHAPE)[2] > 10, 4, 90).astype(np.uint8), ["4", "90"]),
    "huge numbers": (BALL.astype(np.uint32) * np.uint32(4_000_000_001), ["4000000001"]),
    "signed": (BALL.astype(np.int16) * 300, ["300"]),
}


@pytest.mark.parametrize("case", NUMBERED)
def test_labels_are_taken_as_they_are(run: Run, tmp_path: Path, case: str) -> None:
    array, labels = NUMBERED[case]
    image = write_image(tmp_path / "image.nii.gz", TISSUE)
    mask = write_image(tmp_path / "mask.nii.gz", array)
    result = run("measure", image, mask, "--modality", "CT", "--out", tmp_path / "lesions.csv")
    assert result.exit_code == 0, result.stderr
    rows = rows_of(tmp_path / "lesions.csv")
    assert [row["label"] for row in rows] == [row["lesion_id"] for row in rows] == labels
    assert sum(int(row["n_voxels"]) for row in rows) == BALL.sum()


def test_huge_numbers_in_two_masks(run: Run, tmp_path: Path) -> None:
    image = write_image(tmp_path / "image.nii.gz", TISSUE)
    masks = [write_image(tmp_path / f"{n}.nii.gz", BALL.astype(np.uint32) * np.uint32(4_000_000_001)) for n in "ab"]
    run("measure", image, *masks, "--modality", "CT", "--out", tmp_path / "lesions.csv")
    rows = rows_of(tmp_path / "lesions.csv")
    assert [row["label"] for row in rows] == ["4000000001", "8000000002"]
    assert [int(row["n_voxels"]) for row in rows] == [BALL.sum()] * 2
    assert all("overlaps" in row["flags"] for row in rows)


def test_nan_in_the_image_is_counted_and_left_out(run: Run, tmp_path: Path) -> None:
    values = TISSUE.astype(np.float32)
    values[8, 9, 8:12] = np.nan
    values[BALL & (np.indices(SHAPE)[0] == 5)] = np.inf
    image = write_image(tmp_path / "image.nii.gz", values)
    mask = write_image(tmp_path / "mask.nii.gz", BALL.astype(np.uint8))
    assert run("measure", image, mask, "--modality", "CT", "--out", tmp_path / "lesions.csv").exit_code == 0
    (row,) = rows_of(tmp_path / "lesions.csv")
    finite = values[BALL][np.isfinite(values[BALL])].astype(np.float64)
    assert int(row["nonfinite_voxels"]) == BALL.sum() - finite.size > 4
    assert "nonfinite" in row["flags"].split(";")
    assert float(row["density_mean_hu"]) == pytest.approx(finite.mean(), rel=1e-5)
    assert float(row["volume_mm3"]) == BALL.sum()


def test_an_image_without_a_finite_value_has_geometry_only(run: Run, tmp_path: Path) -> None:
    image = write_image(tmp_path / "image.nii.gz", np.where(BALL, np.nan, -800.0).astype(np.float32))
    mask = write_image(tmp_path / "mask.nii.gz", BALL.astype(np.uint8))
    assert run("measure", image, mask, "--modality", "CT", "--out", tmp_path / "lesions.csv").exit_code == 0
    (row,) = rows_of(tmp_path / "lesions.csv")
    assert (row["density_mean_hu"], row["mass_mg"], row["nodule_type"]) == ("", "", "")
    assert float(row["long_axis_mm"]) > 9
    assert "nonfinite" in row["flags"]


def test_a_sheared_image_is_refused_with_the_reason(run: Run, tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 2] = 0.3
    nibabel.save(nibabel.Nifti1Image(TISSUE.T, affine), tmp_path / "image.nii.gz")
    mask = write_image(tmp_path / "mask.nii.gz", BALL.astype(np.uint8))
    result = run("measure", tmp_path / "image.nii.gz", mask, "--out", tmp_path / "lesions.csv")
    assert result.exit_code == 2
    assert "rectangular grid" in result.stderr
    assert result.stderr.count("\n") == 1
