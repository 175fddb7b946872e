"""What is exported can be read by others, says where it came from, and is never half written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from napari_lesion.core.errors import OutputError
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
    record = json.loads((out / "run.json").read_text())
    header = (out / "lesions.csv").read_text().splitlines()[0].split(",")
    assert [column["name"] for column in record["columns"]] == header
    assert all(column["definition"] for column in record["columns"])
    assert record["detection"]["model"]["name"] == "fake"
    assert record["detection"]["threshold"] == 0.5
    assert record["detection"]["notes"] == ["One voxel was not finite"]
    assert record["input"]["series_uid"] == "1.2.840.99"
    assert "Research use only" in record["disclaimer"]
    assert record["versions"]["numpy"] == np.__version__


def test_pseudonymised_records_hold_no_uid_path_or_name(detected: Study, out: Path) -> None:
    export_study(ExportRequest(detected, out, ExportParameters(pseudonymise=True)))
    text = (out / "run.json").read_text()
    assert "1.2.840.99" not in text
    assert "balls" not in text
    assert json.loads(text)["input"]["series_uid"].startswith("2.25.")


def test_the_probability_can_be_exported(detected: Study, out: Path) -> None:
    export_study(ExportRequest(detected, out, ExportParameters(save_probability=True)))
    stored = np.asarray(nibabel.load(out / "probability.nii.gz").dataobj).T
    assert detected.detection is not None
    assert np.array_equal(stored, detected.detection.probability.dense())


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
    assert len((out / "lesions.csv").read_text().splitlines()) == 1
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
