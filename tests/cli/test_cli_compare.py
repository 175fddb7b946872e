"""``napari-lesion compare``: tables of ``measure`` in, one row a lesion out, and one sentence for what is wrong."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from cli_inputs import Run, write_image

HEADER = (
    "label,review,lesion_id,lesion_uid,series_date,slice_spacing_mm,volume_mm3,volume_low_mm3,volume_high_mm3,"
    "mean_diameter_mm,long_axis_mm,short_axis_mm,mass_mg,flags"
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def write_rows(path: Path, *rows: dict[str, Any], header: str = HEADER) -> Path:
    """A table with rows of 1000 mm³ ± 10 % on the first of January, but for what each row says."""
    names = header.split(",")
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, names, extrasaction="ignore", restval="")
        writer.writeheader()
        for number, row in enumerate(rows, start=1):
            volume = row.get("volume_mm3", 1000.0)
            plain = {
                "label": number,
                "lesion_id": str(number),
                "lesion_uid": f"2.25.{row.get('lesion_id', number)}",
                "series_date": "2024-01-01",
                "slice_spacing_mm": 1.0,
                "volume_mm3": volume,
                "volume_low_mm3": 0.9 * volume if isinstance(volume, float) else "",
                "volume_high_mm3": 1.1 * volume if isinstance(volume, float) else "",
                "mean_diameter_mm": 12.0,
                "long_axis_mm": 14.0,
                "short_axis_mm": 10.0,
                "mass_mg": volume,
            }
            writer.writerow({**plain, **row})
    return path


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """Two visits 100 days apart: a lesion that doubled, one that stayed, one that went, one that came."""
    earlier = write_rows(tmp_path / "earlier.csv", {}, {}, {"lesion_id": "gone"})
    later = write_rows(
        tmp_path / "later.csv",
        *(
            {"series_date": "2024-04-10", **row}
            for row in (
                {"lesion_id": "2", "volume_mm3": 1010.0},
                {"lesion_id": "came"},
                {"lesion_id": "1", "volume_mm3": 2000.0, "mean_diameter_mm": 15.0, "long_axis_mm": 17.5},
            )
        ),
    )
    return earlier, later


def test_a_doubling_in_a_hundred_days(run: Run, tables: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "made" / "change.csv"
    result = run("compare", *tables, "--out", out)
    assert result.exit_code == 0, result.stderr
    doubled, stayed, gone, came = rows_of(out)
    assert [row["lesion_id"] for row in (doubled, stayed, gone, came)] == ["1", "2", "gone", "came"]
    assert (doubled["days"], doubled["vdt_days"], doubled["mdt_days"]) == ("100", "100", "100")
    assert (doubled["volume_change_percent"], doubled["mass_change_percent"]) == ("100", "100")
    half = 1.959964 * math.hypot(0.05, 0.05)
    assert float(doubled["volume_change_low_percent"]) == pytest.approx(100 * (2 * math.exp(-half) - 1), rel=1e-5)
    assert float(doubled["vdt_low_days"]) == pytest.approx(100 * math.log(2) / (math.log(2) + half), rel=1e-5)
    assert float(doubled["vdt_high_days"]) == pytest.approx(100 * math.log(2) / (math.log(2) - half), rel=1e-5)
    assert (doubled["diameter_change_mm"], doubled["diameter_change_percent"]) == ("3", "25")
    assert (doubled["long_axis_change_mm"], doubled["long_axis_change_percent"]) == ("3.5", "25")
    assert (doubled["verdict"], doubled["growth_category"], doubled["flags"]) == ("changed", "growing", "")
    assert (doubled["label_earlier"], doubled["label_later"]) == ("1", "3")
    assert (doubled["date_earlier"], doubled["date_later"]) == ("2024-01-01", "2024-04-10")
    assert (stayed["verdict"], stayed["growth_category"]) == ("within noise", "stable")
    assert (stayed["vdt_days"], stayed["vdt_low_days"], stayed["flags"]) == ("", "", "change_below_5_percent")
    assert (gone["growth_category"], gone["verdict"], gone["volume_mm3_later"]) == ("resolved", "", "")
    assert (came["growth_category"], came["volume_mm3_earlier"], came["volume_mm3_later"]) == ("new", "", "1000")
    assert result.stdout.endswith(f"4 lesions in {out}: 1 growing, 1 stable, 1 resolved, 1 new\n")
    assert "new, if confirmed: came" in result.stderr
    record = json.loads((tmp_path / "made" / "change.run.json").read_text(encoding="utf-8"))
    assert [table["date"] for table in record["tables"]] == ["2024-01-01", "2024-04-10"]
    assert [column["name"] for column in record["columns"]] == list(doubled)
    assert all(column["definition"] for column in record["columns"])
    assert str(tmp_path) not in json.dumps(record)


def test_real_masks_measured_and_compared(run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path) -> None:
    """The mask of a real nodule against itself, eroded and dilated, through the files of ``measure``."""
    mask = sitk.ReadImage(str(nodule_mask), sitk.sitkUInt8) > 0
    sizes = {"less": sitk.BinaryErode(mask, [1, 1, 1]), "same": mask, "more": sitk.BinaryDilate(mask, [2, 2, 2])}
    for name, image in sizes.items():
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
        options = ["--modality", "CT", "--patient", "a", "--out", tmp_path / f"{name}.csv"]
        assert run("measure", nodule, tmp_path / f"{name}.nii.gz", *options).exit_code == 0
    found = {}
    for name in ("less", "more"):
        out = tmp_path / f"to_{name}.csv"
        assert (
            run("compare", tmp_path / "same.csv", tmp_path / f"{name}.csv", "--days", 90, "--out", out).exit_code == 0
        )
        (found[name],) = rows_of(out)
    counts = {name: int(sitk.GetArrayViewFromImage(image).sum()) for name, image in sizes.items()}
    for name, row in found.items():
        ratio = counts[name] / counts["same"]
        assert float(row["volume_change_percent"]) == pytest.approx(100 * (ratio - 1), rel=1e-4)
        assert float(row["vdt_days"]) == pytest.approx(90 * math.log(2) / math.log(ratio), rel=1e-4)
        assert (row["verdict"], row["flags"]) == ("changed", "")
    assert (found["less"]["growth_category"], found["more"]["growth_category"]) == ("shrinking", "growing")
    assert run("compare", tmp_path / "same.csv", tmp_path / "more.csv", "--out", out).exit_code == 0
    (row,) = rows_of(out)
    assert (row["days"], row["vdt_days"], row["flags"]) == ("", "", "days_unknown")
    assert row["volume_change_percent"] == found["more"]["volume_change_percent"]


def dicom_visit(folder: Path, day: str, patient: str) -> Path:
    """A CT series of 30 slices of 1 mm on a day, as a scanner would name it."""
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(30):
        image = sitk.GetImageFromArray(np.full((40, 40), -800, dtype=np.int16))
        stated = {
            "0008|0008": "ORIGINAL\\PRIMARY\\AXIAL",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"1.2.3.{day}.{k + 1}",
            "0008|0021": day,
            "0008|0060": "CT",
            "0010|0010": "Doe^Jane",
            "0010|0020": patient,
            "0020|000d": f"1.2.3.{day}",
            "0020|000e": f"1.2.3.{day}.0",
            "0020|0013": str(k + 1),
            "0020|0032": f"0\\0\\{k}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0028|0030": "1\\1",
            "0028|1052": "0",
            "0028|1053": "1",
        }
        for key, value in stated.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{k:03d}.dcm"))
        writer.Execute(image)
    return folder


def test_two_dicom_visits_know_patient_and_days(run: Run, tmp_path: Path) -> None:
    """Date, series, image and patient come from the headers, and nothing of the patient but a hash is written."""
    z, y, x = np.indices((30, 40, 40))
    distance = np.sqrt((z - 15) ** 2 + (y - 20) ** 2 + (x - 20) ** 2)
    for name, day, radius in (("may", "20240501", 6), ("june", "20240610", 9)):
        image = dicom_visit(tmp_path / name, day, "MRN0815")
        mask = write_image(tmp_path / f"{name}.nii.gz", (distance <= radius).astype(np.uint8))
        result = run("measure", image, mask, "--out", tmp_path / f"{name}.csv")
        assert result.exit_code == 0, result.stderr
        (row,) = rows_of(tmp_path / f"{name}.csv")
        assert (row["series_uid"], row["case"]) == (f"1.2.3.{day}.0", name)
        assert row["sop_instance_uid"] == f"1.2.3.{day}.{int(row['long_axis_slice']) + 1}"
        for path in (tmp_path / f"{name}.csv", tmp_path / f"{name}.run.json"):
            assert not {"MRN", "Doe", "Jane"} & set(path.read_text(encoding="utf-8").replace("^", " ").split())
            assert "MRN0815" not in path.read_text(encoding="utf-8")
    result = run("compare", tmp_path / "may.csv", tmp_path / "june.csv", "--out", tmp_path / "c.csv")
    assert result.exit_code == 0, result.stderr
    (row,) = rows_of(tmp_path / "c.csv")
    assert (row["days"], row["date_earlier"], row["date_later"]) == ("40", "2024-05-01", "2024-06-10")
    assert (row["growth_category"], row["flags"]) == ("growing", "")
    image = dicom_visit(tmp_path / "other", "20240701", "MRN4711")
    run("measure", image, tmp_path / "june.nii.gz", "--out", tmp_path / "other.csv")
    run("compare", tmp_path / "june.csv", tmp_path / "other.csv", "--out", tmp_path / "c.csv")
    assert "patient_unconfirmed" in rows_of(tmp_path / "c.csv")[0]["flags"].split(";")


def test_other_slices_leave_growth_uncertain(run: Run, tmp_path: Path) -> None:
    earlier = write_rows(tmp_path / "a.csv", {}, {}, {"slice_spacing_mm": ""})
    later = write_rows(
        tmp_path / "b.csv",
        {"volume_mm3": 1400.0, "slice_spacing_mm": 2.5},
        {"volume_mm3": 1600.0, "slice_spacing_mm": 2.5},
        {"lesion_uid": "2.25.9"},
    )
    result = run("compare", earlier, later, "--days", 50, "--out", tmp_path / "c.csv")
    some, more, unknown = rows_of(tmp_path / "c.csv")
    assert (some["growth_category"], some["flags"]) == ("uncertain", "protocol_mismatch")
    assert (more["growth_category"], more["flags"]) == ("growing", "protocol_mismatch")
    assert unknown["flags"] == "change_below_5_percent;patient_unconfirmed;protocol_unknown"
    assert "slice spacings differ" in result.stderr
    assert "both tables have the date 2024-01-01; the 50 days given were used" in result.stderr


def test_rejected_lesions_are_left_out(run: Run, tmp_path: Path) -> None:
    earlier = write_rows(tmp_path / "a.csv", {}, {"review": "accepted"}, {})
    later = write_rows(tmp_path / "b.csv", {"review": "rejected"}, {}, {})
    result = run("compare", earlier, later, "--out", tmp_path / "c.csv")
    assert [row["lesion_id"] for row in rows_of(tmp_path / "c.csv")] == ["2", "3"]
    assert "left out, because a reader rejected them: 1" in result.stderr


def test_values_that_are_missing_stay_empty(run: Run, tmp_path: Path) -> None:
    without_mass = HEADER.replace(",mass_mg", "")
    earlier = write_rows(tmp_path / "a.csv", {}, {}, header=without_mass)
    later = write_rows(tmp_path / "b.csv", {"volume_mm3": ""}, {"long_axis_mm": ""}, header=without_mass)
    assert run("compare", earlier, later, "--out", tmp_path / "c.csv").exit_code == 0
    unknown, no_axis = rows_of(tmp_path / "c.csv")
    assert (unknown["verdict"], unknown["growth_category"], unknown["mass_mg_earlier"]) == ("", "", "")
    assert unknown["flags"] == "days_below_1;volume_unknown"
    assert (no_axis["long_axis_change_mm"], no_axis["verdict"]) == ("", "within noise")


def test_empty_tables_are_no_error(run: Run, tmp_path: Path) -> None:
    empty, full = write_rows(tmp_path / "a.csv"), write_rows(tmp_path / "b.csv", {})
    result = run("compare", empty, full, "--out", tmp_path / "c.csv")
    assert result.stdout.endswith("c.csv: 1 new\n")
    result = run("compare", empty, write_rows(tmp_path / "d.csv"), "--out", tmp_path / "c.csv")
    assert (result.exit_code, rows_of(tmp_path / "c.csv")) == (0, [])


def visits(tmp_path: Path) -> list[Path]:
    """Baseline and three visits of two lesions and a node."""
    sizes = (("50", "30", "20"), ("30", "20", "12"), ("36", "24", "18"), ("", "", "9"))
    paths = []
    for number, (first, second, node) in enumerate(sizes, start=1):
        rows = [
            {"lesion_id": name, axis: size, "series_date": f"2024-0{number}-01"}
            for name, axis, size in (
                ("A", "long_axis_mm", first),
                ("B", "long_axis_mm", second),
                ("N", "short_axis_mm", node),
            )
            if size
        ]
        paths.append(write_rows(tmp_path / f"visit{number}.csv", *rows))
    return paths


def test_targets_over_all_visits(run: Run, tmp_path: Path) -> None:
    paths, out = visits(tmp_path), tmp_path / "c.csv"
    expected = [("62", "-38", "-38", "PR"), ("78", "-22", "25.8065", "PD"), ("9", "-91", "-85.4839", "CR")]
    for last, (total, baseline, nadir, response) in zip((2, 3, 4), expected, strict=True):
        result = run("compare", *paths[:last], "--targets", "A, B", "--nodes", "N", "--out", out)
        assert result.exit_code == 0, result.stderr
        rows = rows_of(out)
        assert {row["lesion_id"]: row["target"] for row in rows} == {"A": "target", "B": "target", "N": "node"}
        for row in rows:
            assert (row["sld_mm"], row["sld_change_baseline_percent"]) == (total, baseline)
            assert (row["sld_change_nadir_percent"], row["recist_target_response"]) == (nadir, response)
    assert "counted as gone, with 0 mm, because visit4.csv has no such row: A, B" in result.stderr
    assert "Sum of target diameters at baseline: 100.0 mm" in result.stdout
    assert len(json.loads((tmp_path / "c.run.json").read_text(encoding="utf-8"))["sums"]) == 4


def test_the_caliper_of_the_reader_counts_for_targets(run: Run, tmp_path: Path) -> None:
    header = f"{HEADER},manual_long_axis_mm"
    earlier = write_rows(tmp_path / "a.csv", {"long_axis_mm": 30.0}, header=header)
    later = write_rows(tmp_path / "b.csv", {"long_axis_mm": 30.0, "manual_long_axis_mm": 20.0}, header=header)
    run("compare", earlier, later, "--targets", "1", "--out", tmp_path / "c.csv")
    (row,) = rows_of(tmp_path / "c.csv")
    assert (row["sld_mm"], row["recist_target_response"], row["long_axis_change_mm"]) == ("20", "PR", "0")


BAD_TABLES = {
    "no lesion_id column": ("label,volume_mm3\n1,2\n", "no column lesion_id"),
    "no sizes": ("label,lesion_id,volume_mm3\n1,1,2\n", "lacks volume_low_mm3, volume_high_mm3, mean_diameter_mm"),
    "no header": ("", "no column lesion_id"),
    "semicolons": (HEADER.replace(",", ";") + "\n", "no column lesion_id"),
    "same name twice": (
        f"{HEADER}\n1,,a,,,1,9,8,10,3,4,2,,\n2,,a,,,1,9,8,10,3,4,2,,\n",
        "lesion_id a stands in 2 rows",
    ),
    "empty name": (f"{HEADER}\n1,,,,,1,9,8,10,3,4,2,,\n", "no lesion_id"),
    "a word for a number": (f"{HEADER}\n1,,1,,,1,big,8,10,3,4,2,,\n", "'big' in volume_mm3"),
    "infinite": (f"{HEADER}\n1,,1,,,1,inf,8,10,3,4,2,,\n", "'inf' in volume_mm3"),
    "two dates": (f"{HEADER}\n1,,1,,2024-01-01,1,9,8,10,3,4,2,,\n2,,2,,2024-01-02,1,9,8,10,3,4,2,,\n", "2024-01-02"),
    "no date": (f"{HEADER}\n1,,1,,spring,1,9,8,10,3,4,2,,\n", "date 'spring' is not like"),
    "decimal commas": (f"{HEADER}\n1,,1,,,1,9,5,8,10,3,4,2,,,\n", "more cells than there are columns"),
    "no common lesion": (f"{HEADER}\n1,,x,,,1,9,8,10,3,4,2,,\n", "no lesion_id in common"),
    "an image": ("\x00\x89PNG\x00", "cannot be"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_table_that_will_not_do_is_one_sentence(
    run: Run, tables: tuple[Path, Path], tmp_path: Path, case: str
) -> None:
    text, why = BAD_TABLES[case]
    bad = tmp_path / "bad.csv"
    bad.write_text(text, encoding="utf-8")
    result = run("compare", bad, tables[1], "--out", tmp_path / "c.csv")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert why in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "c.csv").exists()


def test_a_table_without_common_lesions_goes_on_when_asked(
    run: Run, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    other = write_rows(tmp_path / "other.csv", {"lesion_id": "x"})
    result = run("compare", other, tables[0], "--unpaired", "--out", tmp_path / "c.csv")
    assert result.exit_code == 0
    assert {row["growth_category"] for row in rows_of(tmp_path / "c.csv")} == {"resolved", "new"}


BAD_OPTIONS = {
    "days against the dates": (["--days", "30"], "2024-01-01 to 2024-04-10 it is 100 days"),
    "negative days": (["--days", "-3"], "--days -3 makes no sense"),
    "days that are none": (["--days", "nan"], "makes no sense"),
    "unknown target": (["--targets", "9"], "earlier.csv has no such lesion_id"),
    "small node": (["--nodes", "1"], "15 mm"),
    "too many targets": (["--targets", "1,2,gone,a,b,c"], "no such lesion_id"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_options_that_make_no_sense(run: Run, tables: tuple[Path, Path], tmp_path: Path, case: str) -> None:
    options, why = BAD_OPTIONS[case]
    result = run("compare", *tables, *options, "--out", tmp_path / "c.csv")
    assert result.exit_code == 2
    assert why in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "c.csv").exists()


def test_days_that_agree_with_the_dates_are_taken(run: Run, tables: tuple[Path, Path], tmp_path: Path) -> None:
    assert run("compare", *tables, "--days", 100, "--out", tmp_path / "c.csv").exit_code == 0


def test_tables_in_the_wrong_order_or_number(run: Run, tables: tuple[Path, Path], tmp_path: Path) -> None:
    earlier, later = tables
    out = ("--out", tmp_path / "c.csv")
    for arguments, why in (
        ((later, earlier, *out), "not in the order of time"),
        ((later, earlier, later, *out), "given twice"),
        ((earlier, *out), "single table"),
        ((earlier, tmp_path / "none.csv", *out), "none.csv cannot be read"),
        ((earlier, tmp_path, *out), "cannot be read as a table"),
        ((earlier, later, "--out", earlier), "one of the tables"),
        ((earlier, later, "--out", tmp_path / "c.txt"), "ends in .csv"),
    ):
        result = run("compare", *arguments)
        assert result.exit_code == 2
        assert why in result.stderr
        assert result.stderr.count("\n") == 1
    assert earlier.read_text(encoding="utf-8").startswith(HEADER)


def test_names_keep_their_zeros(run: Run, tmp_path: Path) -> None:
    array = np.zeros((12, 12, 12), dtype=np.uint8)
    array[3:8, 3:8, 3:8] = 7
    mask = write_image(tmp_path / "mask.nii.gz", array)
    image = write_image(tmp_path / "image.nii.gz", array.astype(np.int16))
    run("measure", image, mask, "--modality", "MR", "--out", tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    (tmp_path / "b.csv").write_text(text.replace("7,manual,,,7,", "7,manual,,,007,"))
    result = run("compare", tmp_path / "a.csv", tmp_path / "b.csv", "--out", tmp_path / "c.csv")
    assert "has 7, the other 007" in result.stderr
