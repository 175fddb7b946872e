"""``napari-lesion measure``: two files in, one table and its record out."""

from __future__ import annotations

import csv
import json
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
    (header,) = (tmp_path / "lesions.csv").read_text(encoding="utf-8").splitlines()
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


def cube(*places: tuple[slice, slice, slice], value: int = 1) -> np.ndarray:
    array = np.zeros((20, 20, 20), np.uint8)
    for number, place in enumerate(places):
        array[place] = value + number
    return array


def box(start: int, stop: int) -> tuple[slice, slice, slice]:
    return (slice(start, stop),) * 3


def test_several_masks_have_numbers_of_their_own(run: Run, tmp_path: Path) -> None:
    """Each lesion is measured on all its voxels, those that another mask claims included."""
    image = write_image(tmp_path / "image.nii.gz", np.zeros((20, 20, 20), np.int16))
    first = write_image(tmp_path / "first.nii.gz", cube(box(1, 4), box(6, 10)))
    second = write_image(tmp_path / "second.nii.gz", cube(box(8, 12), box(14, 19), value=3))
    third = write_image(tmp_path / "third.nii.gz", cube(box(11, 13)))
    out = tmp_path / "lesions.csv"
    result = run("measure", image, first, second, third, "--modality", "CT", "--out", out)
    assert result.stdout == f"5 lesions in {out}\n"
    rows = rows_of(out)
    rating = ["malignancy_suspicious_probability", "texture_class", "calcified_probability"]
    assert list(rows[0])[:9] == ["label", "status", "probability", *rating, "review", "mask", "mask_label"]
    assert [(row["label"], row["lesion_id"], row["mask"], row["mask_label"]) for row in rows] == [
        ("1", "1", "first.nii.gz", "1"),
        ("2", "2", "first.nii.gz", "2"),
        ("5", "5", "second.nii.gz", "3"),
        ("6", "6", "second.nii.gz", "4"),
        ("7", "7", "third.nii.gz", "1"),
    ]
    assert [int(row["n_voxels"]) for row in rows] == [27, 64, 64, 125, 8]
    assert ["overlaps" in row["flags"].split(";") for row in rows] == [False, True, True, False, True]
    alone = tmp_path / "alone.csv"
    run("measure", image, second, "--modality", "CT", "--out", alone)
    shared = {"label", "lesion_id", "lesion_uid", "mask", "mask_label", "flags"}
    for apart, together in zip(rows_of(alone), rows[2:4], strict=True):
        assert {
            name: value for name, value in together.items() if name not in shared and "ring" not in name
        }.items() >= {
            name: value
            for name, value in apart.items()
            if name not in shared
            and name in ("n_voxels", "volume_mm3", "centroid_l_mm", "long_axis_mm", "sphericity")
        }.items()
    assert "mask" not in rows_of(alone)[0]


def test_a_mask_that_is_given_twice_is_refused(run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path) -> None:
    result = run("measure", nodule, nodule_mask, nodule_mask, "--out", tmp_path / "lesions.csv")
    assert (result.exit_code, "given twice" in result.stderr) == (2, True)


def test_the_bin_width_reaches_entropy_and_histogram(
    run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path
) -> None:
    values = {}
    for width in (25, 50):
        out = tmp_path / f"{width}.csv"
        run("measure", nodule, nodule_mask, "--out", out, "--features", "density,histogram", "--bin-width", width)
        (values[width],) = rows_of(out)
        assert (
            json.loads(out.with_name(f"{width}.run.json").read_text(encoding="utf-8"))["settings"]["bin_width"]
            == width
        )
    run("measure", nodule, nodule_mask, "--out", tmp_path / "plain.csv", "--features", "density,histogram")
    (plain,) = rows_of(tmp_path / "plain.csv")
    assert plain["density_entropy_bits"] == values[25]["density_entropy_bits"]
    assert float(values[50]["density_entropy_bits"]) < float(values[25]["density_entropy_bits"])
    assert float(values[50]["hist_range"]) < float(values[25]["hist_range"])


def test_a_bin_width_without_hu_is_told(run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path) -> None:
    image = sitk.ReadImage(str(nodule))
    path = tmp_path / "mr.nii.gz"
    sitk.WriteImage(image, str(path))
    out = tmp_path / "lesions.csv"
    result = run("measure", path, nodule_mask, "--modality", "MR", "--bin-width", 5, "--out", out)
    assert result.exit_code == 0
    assert "The bin width was not used" in result.stderr


@pytest.mark.parametrize("width", ["0", "-1", "nan", "wide"])
def test_a_bin_width_that_is_none_is_refused(
    run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path, width: str
) -> None:
    result = run("measure", nodule, nodule_mask, "--bin-width", width, "--out", tmp_path / "lesions.csv")
    assert result.exit_code == 2
    assert not (tmp_path / "lesions.csv").exists()


def test_features_select_families_names_and_all(run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path) -> None:
    headers = {}
    for features in ("core", "size,shape", "all", "histogram", "hist_mean,sphericity"):
        run("measure", nodule, nodule_mask, "--features", features, "--out", tmp_path / "a.csv")
        (row,) = rows_of(tmp_path / "a.csv")
        headers[features] = set(row)
        assert {"label", "lesion_id", "flags"} <= set(row)
    assert headers["core"] < headers["all"]
    assert {"hist_mean", "obb_1_mm", "probability_mean"} <= headers["all"] - headers["core"]
    assert "density_mean_hu" not in headers["size,shape"]
    assert {"long_axis_mm", "sphericity"} <= headers["size,shape"]
    assert headers["hist_mean,sphericity"] >= {"hist_mean", "sphericity"}
    assert len(headers["hist_mean,sphericity"]) == 8


def test_the_record_says_how_the_table_was_made(run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path) -> None:
    out = tmp_path / "lesions.csv"
    run("measure", nodule, nodule_mask, "--out", out, "--features", "size", "--components")
    record = json.loads((tmp_path / "lesions.run.json").read_text(encoding="utf-8"))
    assert record["masks"] == [str(nodule_mask)]
    assert record["parameters"]["components"] is True
    assert record["parameters"]["features"] == "size"
    assert record["version"]
    assert record["settings"]["solid_threshold_hu"] == -300.0
    assert [column["name"] for column in record["columns"]] == list(rows_of(out)[0])
    assert record["files"] == ["lesions.csv", "lesions.run.json"]


def test_nothing_identifying_is_left_when_asked(run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Doe^Jane"
    folder.mkdir()
    image, mask = folder / "Doe_Jane_1970.nii.gz", folder / "Doe_mask.nii.gz"
    image.write_bytes(nodule.read_bytes())
    mask.write_bytes(nodule_mask.read_bytes())
    other = folder / "Doe_other.nii.gz"
    sitk.WriteImage(sitk.BinaryDilate(sitk.ReadImage(str(mask), sitk.sitkUInt8), [1, 1, 1]), str(other))
    out = tmp_path / "out" / "lesions.csv"
    options = ("--patient", "Doe, Jane", "--pseudonymise", "--out", out)
    assert run("measure", image, mask, other, *options).exit_code == 0
    for path in (tmp_path / "out").iterdir():
        assert b"doe" not in path.read_bytes().lower(), path
        assert b"jane" not in path.read_bytes().lower(), path
    first, second = rows_of(out)
    assert (first["mask"], second["mask"]) == ("mask 1", "mask 2")
    assert first["case"] == second["case"] != ""
    assert first["lesion_uid"].startswith("2.25.")


def test_the_word_for_the_patient_makes_the_uid_last(
    run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path
) -> None:
    uids = []
    for name, word in (("a", "P1"), ("b", "P1"), ("c", "P2")):
        image = tmp_path / f"{name}.nii.gz"
        image.write_bytes(nodule.read_bytes())
        run("measure", image, nodule_mask, "--patient", word, "--features", "lesion_uid", "--out", tmp_path / "t.csv")
        uids.append(rows_of(tmp_path / "t.csv")[0]["lesion_uid"])
    assert uids[0] == uids[1] != uids[2]


def test_a_table_is_written_to_a_csv_only(run: Run, nodule: Path, nodule_mask: Path) -> None:
    before = nodule_mask.read_bytes()
    result = run("measure", nodule, nodule_mask, "--out", nodule_mask)
    assert result.exit_code == 2
    assert "ends in .csv" in result.stderr
    assert nodule_mask.read_bytes() == before
