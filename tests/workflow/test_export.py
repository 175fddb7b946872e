"""What is exported can be read by others, says where it came from, and is never half written."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from napari_lesion.core.errors import OutputError
from napari_lesion.core.findings import Check, Finding, Level
from napari_lesion.core.lesion import Review
from napari_lesion.io import masks
from napari_lesion.workflow.export import MASK_FORMATS, ExportParameters, ExportRequest, export_study, install_export
from napari_lesion.workflow.study import Study


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("mask_format", MASK_FORMATS)
def test_table_mask_and_record_agree(detected: Study, out: Path, mask_format: str) -> None:
    detected.review(1, Review.ACCEPTED)
    result = export_study(ExportRequest(detected, out, ExportParameters(mask_format=mask_format)))
    assert sorted(path.name for path in out.iterdir()) == sorted(["lesions.csv", f"mask{mask_format}", "run.json"])
    assert (result.lesions, result.checked) == (2, 2)
    image = sitk.ReadImage(str(out / f"mask{mask_format}"))
    labels = sitk.GetArrayFromImage(image)
    assert np.array_equal(labels, detected.labels.array)
    for row in rows_of(out / "lesions.csv"):
        voxels = (labels == int(row["label"])).sum()
        assert float(row["volume_mm3"]) == pytest.approx(voxels * np.prod(image.GetSpacing()), rel=1e-5)
        centroid = np.argwhere(labels == int(row["label"])).mean(axis=0)[::-1]
        place = image.TransformContinuousIndexToPhysicalPoint(centroid.tolist())
        said = [float(row[f"centroid_{axis}_mm"]) for axis in "lps"]
        assert said == pytest.approx(place, abs=1e-3)
    assert [row["review"] for row in rows_of(out / "lesions.csv")] == ["accepted", ""]
    assert detected.unsaved
    install_export(detected, result)
    assert not detected.unsaved


def test_the_record_names_model_threshold_versions_and_definitions(detected: Study, out: Path) -> None:
    export_study(ExportRequest(detected, out))
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    header = (out / "lesions.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert [column["name"] for column in record["columns"]] == header
    assert all(column["definition"] for column in record["columns"])
    assert record["detection"]["model"]["name"] == "fake"
    assert record["detection"]["threshold"] == 0.5
    assert record["detection"]["notes"] == ["One voxel was not finite"]
    assert record["input"]["series_uid"] == "1.2.840.99"
    assert "Research use only" in record["disclaimer"]
    assert record["versions"]["numpy"] == np.__version__


SECRETS = ("1.2.840.99", "Doe", "20240131", "2024-01-31", "balls")


@pytest.fixture
def identified(detected: Study, tmp_path: Path) -> Study:
    """The same study as a series of a patient, with all that names or dates it."""
    source = replace(
        detected.volume.source,
        path=tmp_path / "Doe^Jane" / "CT",
        case="Doe_Jane",
        series_uid="1.2.840.99.1",
        series_date="20240131",
        description="chest of Doe",
        sop_uids=tuple(f"1.2.840.99.1.{k}" for k in range(detected.volume.grid.shape[0])),
        headers={"patient": "2.25.7"},
    )
    detected.volume = replace(detected.volume, source=source)
    detected.check = Check((Finding(Level.YELLOW, "file_comment", "A comment says: Doe moved during the scan"),))
    return detected


def test_every_row_says_where_it_came_from(identified: Study, out: Path) -> None:
    export_study(ExportRequest(identified, out))
    first, second = rows_of(out / "lesions.csv")
    assert (first["case"], first["series_uid"], first["series_date"]) == ("Doe_Jane", "1.2.840.99.1", "2024-01-31")
    assert first["sop_instance_uid"] == f"1.2.840.99.1.{first['long_axis_slice']}"
    assert first["lesion_uid"].startswith("2.25.")
    assert first["lesion_uid"] != second["lesion_uid"]


@pytest.mark.parametrize("mask_format", MASK_FORMATS)
def test_pseudonymised_files_hold_no_uid_date_path_or_name(identified: Study, out: Path, mask_format: str) -> None:
    chosen = ExportParameters(mask_format=mask_format, pseudonymise=True, save_probability=True)
    export_study(ExportRequest(identified, out, chosen))
    for path in out.iterdir():
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("latin-1")
        assert [secret for secret in SECRETS if secret in text] == [], path
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    row, _ = rows_of(out / "lesions.csv")
    assert row["series_uid"] == record["input"]["series_uid"]
    assert row["case"] == record["input"]["case"]
    assert (row["series_date"], row["lesion_id"]) == ("", "1")
    for name in ("series_uid", "sop_instance_uid", "lesion_uid"):
        assert row[name].startswith("2.25.")


def test_a_pseudonym_is_the_same_at_the_next_export(identified: Study, out: Path, tmp_path: Path) -> None:
    for folder in (out, tmp_path / "again"):
        export_study(ExportRequest(identified, folder, ExportParameters(pseudonymise=True)))
    assert rows_of(out / "lesions.csv") == rows_of(tmp_path / "again" / "lesions.csv")


def test_the_probability_can_be_exported(detected: Study, out: Path) -> None:
    export_study(ExportRequest(detected, out, ExportParameters(save_probability=True)))
    stored = np.asarray(nibabel.load(out / "probability.nii.gz").dataobj).T
    assert detected.detection is not None
    assert np.array_equal(stored, detected.detection.probability.dense())


def test_optional_measures_are_exported_when_asked_for(detected: Study, out: Path) -> None:
    export_study(ExportRequest(detected, out, ExportParameters(features="core, probability_mean,hist_mean")))
    first, second = rows_of(out / "lesions.csv")
    assert (float(first["probability_mean"]), float(second["probability_mean"])) == pytest.approx(
        (0.9, 0.7), abs=0.003
    )
    assert first["hist_mean"] != ""
    assert "long_axis_mm" in first


def test_rows_that_were_overtaken_by_an_edit_are_not_installed(detected: Study, out: Path) -> None:
    result = export_study(ExportRequest(detected, out))
    before = detected.table
    detected.touched()
    install_export(detected, result)
    assert detected.table is before
    assert detected.unsaved


def test_a_study_without_lesions_gives_a_header_and_an_empty_mask(detected: Study, out: Path) -> None:
    detected.labels.array[...] = 0
    detected.lesions.clear()
    result = export_study(ExportRequest(detected, out))
    assert result.lesions == 0
    assert len((out / "lesions.csv").read_text(encoding="utf-8").splitlines()) == 1
    assert not np.asarray(nibabel.load(out / "mask.nii.gz").dataobj).any()


def test_a_mask_that_reads_back_elsewhere_is_an_error_and_not_kept(
    detected: Study, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = masks.read_labels

    def shifted(path: Path) -> object:
        labels = real(path)
        labels.array[...] = np.roll(labels.array, 2, axis=2)
        return labels

    monkeypatch.setattr(masks, "read_labels", shifted)
    with pytest.raises(OutputError, match=r"(?i)lesion"):
        export_study(ExportRequest(detected, out))
    assert not (out / "mask.nii.gz").exists()
    assert not (out / "lesions.csv").exists()


def test_a_folder_that_cannot_be_made_is_told(detected: Study, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="folder"):
        export_study(ExportRequest(detected, tmp_path / "file" / "results"))
