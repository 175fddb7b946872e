"""Which series a folder holds, and in which order they and their slices come."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from io_dicom_files import Series, enhanced, other_object, write_series
from pydicom.uid import BasicTextSRStorage, SegmentationStorage

from napari_lesion.core.errors import InputError
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext
from napari_lesion.io.read import read_volume
from napari_lesion.io.series import case_name, list_series


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1), (-1, 0, 0, 0, -1, 0)]
)
def test_slices_come_in_the_order_of_gdcm(tmp_path: Path, orientation: tuple[int, ...], backwards: bool) -> None:
    write_series(tmp_path, Series(orientation=orientation, backwards=backwards))
    (info,) = list_series(tmp_path)
    assert [str(f) for f in info.files] == list(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path)))
    assert (info.n_slices, info.rows, info.columns) == (10, 10, 12)
    assert info.spacing == pytest.approx((0.6, 0.7, 2.0))
    assert (info.modality, info.description, info.series_date) == ("CT", "Chest 1.0", "20200304")


def test_the_largest_ct_or_mr_comes_first(tmp_path: Path) -> None:
    write_series(tmp_path, Series(prefix="pt", positions=range(40), modality="PT"))
    write_series(tmp_path, Series(prefix="small", positions=range(5), modality="MR"))
    write_series(tmp_path, Series(prefix="large", positions=range(9), modality="CT"))
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    write_series(tmp_path, Series(prefix="scout", positions=range(30), changes=scout))
    found = list_series(tmp_path)
    assert [(i.modality, i.n_slices) for i in found] == [("CT", 9), ("MR", 5), ("PT", 40), ("CT", 30)]
    assert found[-1].localizer


def test_files_without_extension_and_one_level_below_are_found(tmp_path: Path) -> None:
    write_series(tmp_path / "DICOM", Series(extension=""))
    (tmp_path / "README").write_text("no image\n" * 100)
    (tmp_path / "DICOM" / "notes.txt").write_text("no image")
    (tmp_path / "DICOM" / "picture.dcm").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "DICOM" / ".hidden").write_bytes(b"")
    (info,) = list_series(tmp_path)
    assert info.n_slices == 10


def test_the_folders_of_a_patients_cd_are_searched(tmp_path: Path) -> None:
    (tmp_path / "AUTORUN.INF").write_text("viewer")
    write_series(tmp_path / "DICOM" / "PAT0" / "ST0" / "SE0", Series(extension=""))
    (info,) = list_series(tmp_path)
    assert info.n_slices == 10
    assert read_volume(tmp_path).source.case == tmp_path.name


def test_files_without_the_dicm_mark_are_found(tmp_path: Path) -> None:
    for path in write_series(tmp_path, Series()):
        path.write_bytes(path.read_bytes()[132:])
    assert list_series(tmp_path)[0].n_slices == 10


def test_values_that_break_the_standard_in_spelling_raise_no_warning(tmp_path: Path) -> None:
    paths = write_series(tmp_path, Series(changes={"SeriesDescription": "x" * 60}))
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(content.replace(b"20200304", b"2020.3.4").replace(b"CT", b"ct"))
    assert list_series(tmp_path)[0].n_slices == 10


def test_objects_without_images_are_passed_over(tmp_path: Path) -> None:
    write_series(tmp_path, Series())
    other_object(tmp_path / "report.dcm", BasicTextSRStorage, "SR")
    write_series(tmp_path, Series(prefix="mask", modality="SEG", positions=range(20)))
    assert [i.modality for i in list_series(tmp_path)] == ["CT"]


def test_a_folder_with_reports_alone_is_refused(tmp_path: Path) -> None:
    other_object(tmp_path / "report.dcm", BasicTextSRStorage, "SR")
    other_object(tmp_path / "mask.dcm", SegmentationStorage, "SEG")
    with pytest.raises(InputError, match="hold no pixels"):
        list_series(tmp_path)


def test_one_file_stands_for_its_series(tmp_path: Path) -> None:
    paths = write_series(tmp_path, Series(prefix="a"))
    write_series(tmp_path, Series(prefix="b", positions=range(30)))
    info = list_series(paths[3])[0]
    assert info.n_slices == 10
    assert set(info.files) == set(paths)
    assert read_volume(paths[3]).array.shape == (10, 10, 12)


def test_a_scout_in_the_same_series_is_a_volume_of_its_own(tmp_path: Path) -> None:
    series = Series()
    write_series(tmp_path, series)
    write_series(tmp_path, Series(prefix="scout", uid=series.uid, positions=[0], orientation=(0, 1, 0, 0, 0, -1)))
    large, scout = list_series(tmp_path)
    assert (large.n_slices, large.left_out, large.selector) == (10, 1, series.uid)
    assert (scout.n_slices, scout.left_out, scout.selector) == (1, 10, f"{series.uid}#2")
    assert read_volume(tmp_path, series_uid=scout.selector).grid.size == (12, 10, 1)


def test_directions_that_jitter_by_rounding_are_one_volume(tmp_path: Path) -> None:
    series = Series(positions=range(4))
    write_series(tmp_path, series)
    for number, sine in enumerate((0.00049, 0.00051), start=10):
        jitter = Series(uid=series.uid, prefix=f"j{number}", positions=[number], orientation=(1, sine, 0, 0, 1, 0))
        write_series(tmp_path, jitter)
    assert [i.n_slices for i in list_series(tmp_path)] == [6]


def test_colour_captures_come_last(tmp_path: Path) -> None:
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
    write_series(tmp_path, Series(prefix="report", positions=range(30), changes=colour))
    write_series(tmp_path, Series(positions=range(3)))
    assert [i.n_slices for i in list_series(tmp_path)] == [3, 30]


def test_two_acquisitions_of_one_series_are_two_volumes(tmp_path: Path) -> None:
    first = Series(prefix="a", changes={"AcquisitionNumber": 1})
    write_series(tmp_path, first)
    write_series(tmp_path, Series(prefix="b", uid=first.uid, changes={"AcquisitionNumber": 2}))
    assert [(i.n_slices, i.part) for i in list_series(tmp_path)] == [(10, 1), (10, 2)]


def test_copies_of_a_file_count_once(tmp_path: Path) -> None:
    paths = write_series(tmp_path, Series())
    shutil.copy(paths[4], tmp_path / "copy.dcm")
    (info,) = list_series(tmp_path)
    assert (info.n_slices, info.copies, info.left_out) == (10, 1, 0)


def test_a_multi_frame_object_is_one_volume(tmp_path: Path) -> None:
    (info,) = list_series(enhanced(tmp_path / "e.dcm", [0, 1, 2, 3]))
    assert info.n_slices == 4


def test_an_image_file_gives_one_entry(tmp_path: Path) -> None:
    image = SimpleITK.Image(5, 6, 7, SimpleITK.sitkInt16)
    image.SetSpacing((1, 2, 3))
    SimpleITK.WriteImage(image, str(tmp_path / "scan.nii.gz"))
    (info,) = list_series(tmp_path / "scan.nii.gz")
    assert (info.columns, info.rows, info.n_slices, info.spacing) == (5, 6, 7, (1, 2, 3))
    assert info.title == "unknown modality, scan, 7 slices 5x6, 1.00x2.00x3.00 mm"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d / "none", "does not exist"),
        (lambda d: d, "is empty"),
        (lambda d: _with(d, "a.txt"), "None of its files"),
        (lambda d: _with(d, "scan.nii"), "scan.nii"),
        (lambda d: _with(d, "photo.jpg") / "photo.jpg", r"Its extension is \.jpg"),
        (lambda d: _with(d, "text.dcm") / "text.dcm", "not a DICOM image"),
        (lambda d: _with(d, "README") / "README", "not a DICOM image"),
    ],
)
def test_what_is_no_study_is_refused_in_plain_words(tmp_path: Path, make: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list_series(make(tmp_path))  # type: ignore[operator]


def _with(folder: Path, name: str) -> Path:
    (folder / name).write_text("some text\n" * 50)
    return folder


@pytest.mark.parametrize(
    ("name", "case"),
    [("scan.nii.gz", "scan"), ("a.b.NRRD", "a.b"), ("im001.dcm", "im001"), ("plain", "plain"), (".nii", ".nii")],
)
def test_case_name_of_a_file(tmp_path: Path, name: str, case: str) -> None:
    assert case_name(tmp_path / name) == case


def test_case_name_of_a_folder_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "LIDC.nii.gz").mkdir()
    assert case_name(tmp_path / "LIDC.nii.gz") == "LIDC.nii.gz"
    assert case_name(tmp_path / "x" / "..") == tmp_path.name


def test_reading_headers_can_be_cancelled(tmp_path: Path) -> None:
    write_series(tmp_path, Series())
    token = CancelToken()
    ctx = JobContext(token, report=lambda p: token.cancel() if p.done == 3 else None)
    with pytest.raises(JobCancelled):
        list_series(tmp_path, ctx)


@pytest.mark.real
def test_the_real_series_come_in_the_order_of_gdcm(shared_data: Path) -> None:
    for folder in ("chest_ct/LIDC-IDRI-0314/dicom", "other/pet_suv_dicom_STS_001/dicom"):
        path = shared_data / "data" / folder
        (info,) = list_series(path)
        assert [str(f) for f in info.files] == list(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(path)))
    assert np.isclose(info.spacing[2], 3.27, atol=0.01)
