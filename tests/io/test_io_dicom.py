"""DICOM series: values and grid are those of SimpleITK's ImageSeriesReader; what it would get wrong is told."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from io_dicom_files import BIRTH_DATE, PATIENT, Series, enhanced, pixels, write_series
from scipy.spatial.transform import Rotation

from napari_lesion.core.errors import GeometryError, InputError
from napari_lesion.core.findings import Level
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext, Progress
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.io.check import check_input
from napari_lesion.io.read import read_volume
from napari_lesion.io.records import to_plain


def itk_series(folder: Path) -> SimpleITK.Image:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def assert_same(volume: Volume, image: SimpleITK.Image) -> None:
    assert volume.grid.size == image.GetSize()
    assert volume.grid.spacing == image.GetSpacing()
    assert volume.grid.origin == image.GetOrigin()
    assert volume.grid.direction == image.GetDirection()
    np.testing.assert_array_equal(volume.array, SimpleITK.GetArrayFromImage(image))


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1)]
)
def test_values_and_grid_are_those_of_the_series_reader(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    write_series(tmp_path, Series(orientation=orientation))
    volume = read_volume(tmp_path)
    assert_same(volume, itk_series(tmp_path))
    assert volume.array.dtype == np.int16
    assert not volume.array.flags.writeable
    np.testing.assert_array_equal(volume.array[3], pixels(3).astype(int) - 1024)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), step=st.floats(0.3, 6))
def test_oblique_series_too(tmp_path_factory: pytest.TempPathFactory, seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    axes = Rotation.random(random_state=seed).as_matrix()
    folder = tmp_path_factory.mktemp("oblique")
    positions = [round(step * k, 4) for k in range(4)]
    write_series(folder, Series(positions=positions, orientation=(*axes[0], *axes[1]), origin=rng.normal(0, 200, 3)))
    assert_same(read_volume(folder), itk_series(folder))


def test_source_says_where_the_volume_came_from(tmp_path: Path) -> None:
    folder = tmp_path / "case 7"
    series = Series()
    paths = write_series(folder, series)
    source = read_volume(folder).source
    assert (source.case, source.series_uid, source.study_uid) == ("case 7", series.uid, series.study)
    assert (source.frame_of_reference_uid, source.series_date, source.description) == (
        series.frame,
        "20200304",
        "Chest 1.0",
    )
    assert source.files == tuple(paths)
    assert len(set(source.sop_uids)) == 10
    assert source.modality_stated


@pytest.mark.parametrize("comment", ["contrast given by Dr Grey", "Jane moved: artefact in slice 4"])
def test_nothing_that_names_a_person_is_kept(tmp_path: Path, comment: str) -> None:
    write_series(tmp_path, Series(changes={"ImageComments": comment}))
    volume = read_volume(tmp_path)
    told = json.dumps([check_input(volume).as_dict(), volume.source.notes])
    kept = repr(volume.source)
    for secret in (*PATIENT.split("^"), BIRTH_DATE, "Grey"):
        assert secret not in told
        assert secret not in kept
    assert to_plain(volume.source.headers["header_grid"])


def test_slopes_that_differ_from_slice_to_slice_are_each_applied(tmp_path: Path) -> None:
    series = Series(positions=[0, 1], changes={"RescaleSlope": 2, "RescaleIntercept": 0})
    write_series(tmp_path, series)
    tail = Series(
        uid=series.uid, prefix="b", positions=[2, 3], changes={"RescaleSlope": "0.25", "RescaleIntercept": 0}
    )
    write_series(tmp_path, tail)
    array = read_volume(tmp_path).array
    assert array.dtype == np.float32
    np.testing.assert_allclose(array[1], 2.0 * pixels(1))
    np.testing.assert_allclose(array[3], 0.25 * pixels(1))


def test_missing_slices_are_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path, Series(positions=range(30)))
    for k in (10, 20, 21):
        paths[k].unlink()
    volume = read_volume(tmp_path)
    assert_same(volume, itk_series(tmp_path))
    check = check_input(volume)
    (finding,) = [f for f in check.findings if f.code == "missing_slices"]
    assert finding.level == Level.YELLOW
    assert "3 slices are missing" in finding.message
    assert "between -91.0 and -89.0 mm (instance 11)" in finding.message
    assert "between -81.0 and -78.0 mm (instances 21 to 22)" in finding.message
    assert "11.5% too large" in finding.message


def test_too_many_missing_slices_are_refused_or_resampled(tmp_path: Path) -> None:
    paths = write_series(tmp_path, Series(positions=range(12)))
    for path in paths[4:8]:
        path.unlink()
    with pytest.raises(GeometryError, match=r"4 of 12 slices are missing.*-97.0 and -92.0.*resampling"):
        read_volume(tmp_path)
    volume = read_volume(tmp_path, resample_sheared=True)
    assert volume.grid.size == (12, 10, 12)
    assert volume.grid.spacing == pytest.approx((0.6, 0.7, 1.0))
    np.testing.assert_array_equal(volume.array[[0, 3, 8, 11]], [pixels(k).astype(int) - 1024 for k in (0, 3, 8, 11)])
    np.testing.assert_array_equal(volume.array[5], pixels(5).astype(int) - 1024)  # linear between its neighbours
    assert {"missing_slices", "resampled"} <= set(check_input(volume).codes)
    assert volume.source.sop_uids == ()


def test_uneven_slices_are_told(tmp_path: Path) -> None:
    write_series(tmp_path, Series(positions=[0, 1, 2, 3, 4.4, 5, 6, 7, 8, 9, 10]))
    (finding,) = [f for f in check_input(read_volume(tmp_path)).findings if f.code == "uneven_spacing"]
    assert finding.level == Level.YELLOW
    assert "0.60 to 1.40 mm, most at slices 4 and 5" in finding.message


def test_positions_rounded_to_a_tenth_count_as_even(tmp_path: Path) -> None:
    write_series(tmp_path, Series(positions=[round(0.625 * k, 1) for k in range(20)]))
    check = check_input(read_volume(tmp_path))
    assert check.level == Level.GREEN
    assert check.headline.startswith("20 slices, even spacing 0.6")


def test_a_gantry_tilt_is_refused_or_straightened(tmp_path: Path) -> None:
    step = 2 * np.tan(np.radians(12))
    write_series(tmp_path, Series(tilt_step=(0, step, 0), changes={"GantryDetectorTilt": 12}))
    with pytest.raises(GeometryError, match=r"gantry tilt of 12.0 degrees.*resampling"):
        read_volume(tmp_path)
    volume = read_volume(tmp_path, resample_sheared=True)
    assert volume.grid.spacing == pytest.approx((0.6, 0.7, 2.0))
    assert "gantry_tilt" in check_input(volume).codes
    # A voxel of slice 4 lies at its true place: rows shift by 4 * step / 0.7 pixels.
    place = (-31.5 + 5 * 0.6, 20.25 + 3 * 0.7 + 4 * step, -100.0 + 8.0)
    z, y, x = volume.grid.to_index(place)
    below, share = int(y), y - int(y)
    value = (1 - share) * volume.array[round(z), below, round(x)] + share * volume.array[
        round(z), below + 1, round(x)
    ]
    assert value == pytest.approx(400 + 30 + 5 - 1024, abs=1)


def test_a_stated_tilt_without_shift_is_only_said(tmp_path: Path) -> None:
    write_series(tmp_path, Series(changes={"GantryDetectorTilt": -8.5}))
    check = check_input(read_volume(tmp_path))
    assert check.level == Level.GREEN
    assert "gantry_tilt" in check.codes


def test_images_without_places_cannot_be_measured(tmp_path: Path) -> None:
    write_series(tmp_path, Series(changes={"ImagePositionPatient": None}))
    check = check_input(read_volume(tmp_path))
    assert check.level == Level.RED
    assert "no_positions" in check.codes


def test_two_images_at_one_place(tmp_path: Path) -> None:
    series = Series()
    write_series(tmp_path, series)
    write_series(tmp_path, Series(prefix="b", uid=series.uid, positions=[4], first_number=50))
    volume = read_volume(tmp_path)
    assert volume.grid.size == (12, 10, 10)
    np.testing.assert_array_equal(volume.array[2], pixels(2).astype(int) - 1024)
    (finding,) = [f for f in check_input(volume).findings if f.code == "duplicate_images"]
    assert "-96.0" in finding.message
    assert len(volume.source.sop_uids) == len(volume.source.files) == 10


def test_mixed_sizes_in_one_series(tmp_path: Path) -> None:
    series = Series()
    write_series(tmp_path, series)
    write_series(tmp_path, Series(prefix="b", uid=series.uid, positions=[40, 42], shape=(20, 20)))
    check = check_input(read_volume(tmp_path))
    assert "mixed_images" in check.codes
    assert "2 of them are left out" in check.headline


def test_a_ct_without_rescale_is_told(tmp_path: Path) -> None:
    write_series(tmp_path, Series(changes={"RescaleSlope": None, "RescaleIntercept": None}))
    volume = read_volume(tmp_path)
    assert volume.source.headers["rescale_stated"] is False
    assert "missing_rescale" in check_input(volume).codes


def test_thick_oblique_lossy_and_commented_images_are_told(tmp_path: Path) -> None:
    comment = "rows 4 to 9 missing, padded"
    changes = {"LossyImageCompression": "01", "ImageComments": comment, "PatientPosition": "FFS"}
    turn = (np.cos(0.4), 0, np.sin(0.4), 0, 1, 0)
    write_series(tmp_path, Series(positions=range(0, 40, 5), orientation=turn, changes=changes))
    check = check_input(read_volume(tmp_path))
    assert {"thick_slices", "oblique", "lossy", "file_comment", "feet_first"} <= set(check.codes)
    assert any(comment in f.message for f in check.findings)
    assert any("23 degrees" in f.message for f in check.findings)


def test_stacks_stored_otherwise_are_said_in_green(tmp_path: Path) -> None:
    write_series(tmp_path / "sagittal", Series(orientation=(0, 1, 0, 0, 0, -1)))
    write_series(tmp_path / "turned", Series(orientation=(-1, 0, 0, 0, -1, 0)))
    assert "not_axial" in check_input(read_volume(tmp_path / "sagittal")).codes
    turned = check_input(read_volume(tmp_path / "turned"))
    assert "turned_images" in turned.codes
    assert turned.level == Level.GREEN


def test_contrast_and_units_go_to_the_measures(tmp_path: Path) -> None:
    write_series(tmp_path / "plain", Series())
    assert not {"contrast", "units"} & set(read_volume(tmp_path / "plain").source.headers)
    write_series(tmp_path / "ct", Series(changes={"ContrastBolusAgent": "Iohexol"}))
    assert read_volume(tmp_path / "ct").source.headers["contrast"] == "Iohexol"
    for units, kind, told in [
        ("GML", "BW", "SUVbw"),
        ("GML", "LBM", "GML"),
        ("GML", None, "SUVbw"),
        ("BQML", None, "BQML"),
    ]:
        folder = tmp_path / f"{units}{kind}"
        write_series(folder, Series(modality="PT", changes={"Units": units, "SUVType": kind}))
        assert read_volume(folder).source.headers["units"] == told


def test_a_single_slice_can_be_opened(tmp_path: Path) -> None:
    write_series(tmp_path, Series(positions=[0]))
    assert "single_slice" in check_input(read_volume(tmp_path)).codes


def test_the_header_goes_before_the_user(tmp_path: Path) -> None:
    write_series(tmp_path, Series(modality="MR"))
    volume = read_volume(tmp_path, modality=Modality.CT)
    assert volume.modality == Modality.MR
    assert "header says MR" in volume.source.notes[0]


def test_another_modality_takes_the_word_of_the_user(tmp_path: Path) -> None:
    write_series(tmp_path, Series(modality="NM"))
    assert read_volume(tmp_path).modality == Modality.UNKNOWN
    assert read_volume(tmp_path, modality=Modality.PT).modality == Modality.PT


def test_a_damaged_slice_is_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path, Series())
    for k in (0, 5, 9):
        whole = paths[k].read_bytes()
        paths[k].write_bytes(whole[: len(whole) - 150])
        with pytest.raises(InputError, match=f"{paths[k].name} cannot be decoded"):
            read_volume(tmp_path)
        paths[k].write_bytes(whole)


def test_colour_images_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, Series(changes={"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}))
    with pytest.raises(InputError, match="colour"):
        read_volume(tmp_path)


def test_a_wanted_series_that_is_not_there(tmp_path: Path) -> None:
    write_series(tmp_path, Series())
    with pytest.raises(InputError, match=r"holds no series 1\.2\.3"):
        read_volume(tmp_path, series_uid="1.2.3")


def test_reading_can_be_cancelled_and_reports_each_slice(tmp_path: Path) -> None:
    write_series(tmp_path, Series())
    seen: list[Progress] = []
    read_volume(tmp_path, ctx=JobContext(report=seen.append))
    reading = [p for p in seen if p.stage == "Reading"]
    assert (reading[-1].done, reading[-1].total) == (10, 10)
    token = CancelToken()
    stop_early = JobContext(token, lambda p: token.cancel() if p.stage == "Reading" and p.done == 2 else None)
    with pytest.raises(JobCancelled):
        read_volume(tmp_path, ctx=stop_early)
    assert not [t for t in threading.enumerate() if t.name.startswith("dicom")]


def test_a_multi_frame_object(tmp_path: Path) -> None:
    volume = read_volume(enhanced(tmp_path / "e.dcm", [5, 6.5, 8, 9.5]))
    image = SimpleITK.ReadImage(str(tmp_path / "e.dcm"))
    np.testing.assert_array_equal(volume.array, SimpleITK.GetArrayFromImage(image).squeeze())
    assert volume.grid.spacing == pytest.approx((0.6, 0.7, 1.5))
    assert volume.grid.origin == pytest.approx((-31.5, 20.25, 5))
    assert len(volume.source.sop_uids) == 4
    assert check_input(volume).level == Level.GREEN


def test_a_multi_frame_object_stored_downwards(tmp_path: Path) -> None:
    volume = read_volume(enhanced(tmp_path / "e.dcm", [9, 7, 5]))
    np.testing.assert_allclose(volume.grid.to_physical((2, 0, 0)), (-31.5, 20.25, 5))
    np.testing.assert_array_equal(volume.array[2], pixels(2).astype(int) - 1024)


@pytest.mark.parametrize(
    ("heights", "sideways", "error", "words"),
    [([0, 1, 0, 1], 0.0, InputError, "no single volume"), ([0, 1, 2, 3], 0.5, GeometryError, "tilt of 26.6")],
)
def test_frames_that_are_no_straight_stack(
    tmp_path: Path, heights: list[float], sideways: float, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read_volume(enhanced(tmp_path / "e.dcm", heights, sideways))


@pytest.mark.real
def test_the_real_chest_series_is_that_of_the_series_reader(chest_series: Volume, shared_data: Path) -> None:
    folder = shared_data / "data" / "chest_ct" / "LIDC-IDRI-0314" / "dicom"
    assert chest_series.grid.size == (512, 512, 275)
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    for k in (0, 100, 274):
        image = SimpleITK.ReadImage(names[k])
        np.testing.assert_array_equal(chest_series.array[k], SimpleITK.GetArrayFromImage(image)[0])
        np.testing.assert_allclose(chest_series.grid.to_physical((k, 0, 0)), image.GetOrigin(), atol=1e-6)
    check = check_input(chest_series)
    assert check.findings[0].message == "275 slices, even spacing 1.00 mm"
    assert "padded" in check.headline
    assert chest_series.modality == Modality.CT


@pytest.mark.real
def test_the_real_pet_series(shared_data: Path) -> None:
    folder = shared_data / "data" / "other" / "pet_suv_dicom_STS_001" / "dicom"
    volume, image = read_volume(folder), itk_series(folder)
    assert volume.array.dtype == np.float32
    assert volume.modality == Modality.PT
    assert volume.grid.spacing == image.GetSpacing()
    slopes = [SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(f)))[0] for f in volume.source.files]
    np.testing.assert_allclose(volume.array, np.stack(slopes) * volume.source.headers["suv_factor"], rtol=1e-6)
