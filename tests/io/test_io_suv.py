"""PET values become SUV by body weight where the header carries what that needs, and stay as they are elsewhere."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from io_dicom_files import Series, write_series
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from napari_lesion.core.findings import Level
from napari_lesion.core.volume import Modality
from napari_lesion.io.check import check_input
from napari_lesion.io.pet import read_pet_header
from napari_lesion.io.read import read_volume
from napari_lesion.io.suv import PetHeader, series_suv, suv_bw_factor

SCAN = datetime(2020, 3, 4, 11, 0, 0)
HOUR = timedelta(hours=1)
HALF_LIFE = 6586.2
GOOD = PetHeader(
    units="BQML",
    corrections=("ATTN", "DECY", "SCAT"),
    decay_correction="START",
    dose_bq=370e6,
    half_life_s=HALF_LIFE,
    injected_time=datetime(1900, 1, 1, 10, 0, 0),
    series=SCAN,
    acquired=SCAN,
    weight_kg=70.0,
)
AT_ONE_HOUR = 70e3 / (370e6 * 2 ** (-3600 / HALF_LIFE))


def test_the_factor_is_weight_over_the_dose_that_is_left() -> None:
    found = suv_bw_factor(GOOD)
    assert found.factor == pytest.approx(AT_ONE_HOUR, rel=1e-12)
    assert "SUV (body weight): 70 kg, 370 MBq injected, 60 min before the scan" in found.statement


def test_a_dose_over_the_body_gives_one() -> None:
    # activity that is spread evenly over the patient, 1 g a ml, has SUV 1 by definition
    left = GOOD.dose_bq * 2 ** (-3600 / HALF_LIFE)
    assert suv_bw_factor(GOOD).factor * left / 70e3 == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "factor"),
    [
        ({"units": "GML"}, 1.0),
        ({"units": "GML", "suv_type": "BW"}, 1.0),
        ({"units": "CNTS", "philips_suv": 3e-4}, 3e-4),
        ({"units": "CNTS", "philips_activity": 2.0}, 2.0 * AT_ONE_HOUR),
        ({"decay_correction": "ADMIN"}, 70e3 / 370e6),
        ({"decay_correction": "ADMIN", "half_life_s": math.nan, "injected_time": None}, 70e3 / 370e6),
        ({"injected": datetime(2020, 3, 4, 10, 0, 0), "injected_time": datetime(1900, 1, 1, 3)}, AT_ONE_HOUR),
        # the series was stored a day later: the private time of GE, else that of the acquisition
        ({"series": SCAN + 24 * HOUR, "ge_scan": SCAN}, AT_ONE_HOUR),
        ({"series": SCAN + 24 * HOUR}, AT_ONE_HOUR),
        ({"series": None}, AT_ONE_HOUR),
    ],
)
def test_every_way_to_a_factor(change: dict[str, Any], factor: float) -> None:
    found = suv_bw_factor(replace(GOOD, **change))
    assert found.factor == pytest.approx(factor, rel=1e-12)
    assert "SUV (body weight)" in found.statement


def test_an_injection_before_midnight_is_of_the_day_before() -> None:
    scan = datetime(2020, 3, 4, 0, 30, 0)
    late = replace(GOOD, series=scan, acquired=scan, injected_time=datetime(1900, 1, 1, 23, 30, 0))
    assert suv_bw_factor(late).factor == pytest.approx(AT_ONE_HOUR, rel=1e-12)


def test_a_later_frame_leads_back_to_the_start_of_the_scan() -> None:
    # a second bed that starts 4 min after the scan; the mean rate of a frame comes just before its middle
    decay, frame = math.log(2) / HALF_LIFE, 240.0
    mean_rate = math.log(decay * frame / (1 - math.exp(-decay * frame))) / decay
    assert 119.0 < mean_rate < 120.0
    later = replace(
        GOOD,
        series=SCAN + 24 * HOUR,
        acquired=SCAN + timedelta(seconds=frame),
        frame_reference_s=frame + mean_rate,
        frame_duration_s=frame,
    )
    assert suv_bw_factor(later).factor == pytest.approx(AT_ONE_HOUR, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"units": ""}, "unit is not stated"),
        ({"units": "PROPCPS"}, "unit is PROPCPS"),
        ({"units": "GML", "suv_type": "LBM"}, "type LBM"),
        ({"units": "CNTS"}, "no factor to activity"),
        ({"corrections": ("ATTN",)}, "not corrected for decay"),
        ({"corrections": ("DECY",)}, "not corrected for attenuation"),
        ({"decay_correction": "NONE"}, "decay correction is NONE"),
        ({"decay_correction": ""}, "decay correction is not stated"),
        ({"weight_kg": math.nan}, "weight of the patient is missing"),
        ({"weight_kg": 0.0}, "weight of the patient cannot be 0 kg"),
        ({"weight_kg": 70000.0}, "weight of the patient cannot be 70000 kg"),
        ({"dose_bq": math.nan}, "injected dose is missing"),
        ({"dose_bq": 370.0}, "injected dose cannot be 370 Bq"),
        ({"half_life_s": math.nan}, "half life is missing"),
        ({"half_life_s": 0.0}, "half life cannot be 0 s"),
        ({"injected_time": None}, "time of the injection is missing"),
        ({"series": None, "acquired": None}, "time of the scan is missing"),
        ({"injected": SCAN + HOUR}, "cannot be -1.0 h before the scan"),
        ({"injected": SCAN - 48 * HOUR}, "cannot be 48.0 h before the scan"),
        # ten minutes after the scan by the clock, or nearly a day before it: neither can be
        ({"injected_time": datetime(1900, 1, 1, 11, 10)}, "cannot be 23.8 h before the scan"),
        ({"half_life_s": 45723.6}, "date of the injection is missing"),
    ],
)
def test_no_suv_without_everything_it_needs(change: dict[str, Any], reason: str) -> None:
    found = suv_bw_factor(replace(GOOD, **change))
    assert not found.known
    assert found.statement.startswith("The values are not SUV: ")
    assert reason in found.statement


def test_the_images_of_a_series_must_agree() -> None:
    assert series_suv([GOOD, replace(GOOD, acquired=SCAN + HOUR)]).known
    assert "differ" in series_suv([GOOD, replace(GOOD, weight_kg=71.0)]).statement
    # the earliest acquisition shows that the series was stored later
    later = replace(GOOD, series=SCAN + HOUR, acquired=SCAN + 2 * HOUR)
    first = replace(later, acquired=SCAN)
    assert series_suv([later, first]).factor == pytest.approx(AT_ONE_HOUR, rel=1e-12)


def pet_series(folder: Path, **changes: Any) -> Path:
    """A PET series of four slices whose slopes differ."""
    given = Dataset()
    given.RadiopharmaceuticalStartTime = "100000.00"
    given.RadionuclideTotalDose, given.RadionuclideHalfLife = "3.7E8", str(HALF_LIFE)
    stated = {
        "Units": "BQML",
        "CorrectedImage": ["ATTN", "DECY"],
        "DecayCorrection": "START",
        "SeriesDate": "20200304",
        "SeriesTime": "110000",
        "AcquisitionDate": "20200304",
        "AcquisitionTime": "110000.000000",
        "PatientWeight": "70",
        "RadiopharmaceuticalInformationSequence": DicomSequence([given]),
        "RescaleIntercept": 0,
    }
    paths = write_series(folder, Series(modality="PT", positions=[0, 2, 4, 6], changes={**stated, **changes}))
    for k, path in enumerate(sorted(paths)):
        dataset = pydicom.dcmread(path)
        dataset.RescaleSlope = [0.5, 1, 0.25, 2][k]
        dataset.save_as(path)
    return folder


def test_each_slice_is_scaled_by_its_own_slope(tmp_path: Path) -> None:
    volume = read_volume(pet_series(tmp_path))
    assert volume.source.headers["units"] == "SUVbw"
    assert volume.array.dtype == np.float32
    for k, path in enumerate(volume.source.files):
        dataset = pydicom.dcmread(path)
        activity = dataset.pixel_array * float(dataset.RescaleSlope)
        np.testing.assert_allclose(volume.array[k], activity * AT_ONE_HOUR, rtol=1e-6)
    finding = check_input(volume).findings[-1]
    assert (finding.level, finding.code) == (Level.GREEN, "suv")


def test_a_series_without_a_weight_stays_in_becquerel_and_says_why(tmp_path: Path) -> None:
    volume = read_volume(pet_series(tmp_path, PatientWeight=None))
    assert volume.source.headers["units"] == "BQML"
    finding = check_input(volume).findings[-1]
    assert (finding.level, finding.code) == (Level.YELLOW, "no_suv")
    assert finding.message == "The values are not SUV: the weight of the patient is missing; they stay in Bq/ml"


def test_a_pet_image_file_says_nothing_about_suv(tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.Image(8, 8, 8, SimpleITK.sitkFloat32), str(tmp_path / "pet.nii.gz"))
    assert "no_suv" in check_input(read_volume(tmp_path / "pet.nii.gz", modality=Modality.PT)).codes


@pytest.mark.parametrize(
    ("stated", "zone", "injected"),
    [
        ("20200304100000.00", None, datetime(2020, 3, 4, 10)),
        ("20200304090000+0000", "+0100", datetime(2020, 3, 4, 10)),
        ("20200304090000+0000", None, datetime(2020, 3, 4, 9)),
        ("20200304", None, None),
        ("20201399100000", None, None),
        ("nonsense", None, None),
    ],
)
def test_the_time_of_the_injection_as_it_is_written(
    tmp_path: Path, stated: str, zone: str | None, injected: datetime | None
) -> None:
    given = Dataset()
    with pydicom.config.disable_value_validation():
        given.RadiopharmaceuticalStartDateTime = stated
        path = next(
            pet_series(
                tmp_path,
                RadiopharmaceuticalInformationSequence=DicomSequence([given]),
                TimezoneOffsetFromUTC=zone,
            ).iterdir()
        )
    assert read_pet_header(path).injected == injected


def test_private_factors_are_found_in_their_blocks(tmp_path: Path) -> None:
    path = write_series(tmp_path, Series(modality="PT", positions=[0]))[0]
    dataset = pydicom.dcmread(path)
    dataset.private_block(0x7053, "Somebody else", create=True).add_new(0x00, "DS", "9")
    philips = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
    philips.add_new(0x00, "DS", "0.000312")
    philips.add_new(0x09, "DS", "1.5")
    dataset.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20200304110000.00")
    dataset.save_as(path)
    header = read_pet_header(path)
    assert (header.philips_suv, header.philips_activity, header.ge_scan) == (0.000312, 1.5, SCAN)


@pytest.mark.real
def test_the_real_series_gives_the_suv_of_ibsi(shared_data: Path) -> None:
    other = shared_data / "data" / "other"
    volume = read_volume(other / "pet_suv_dicom_STS_001" / "dicom")
    expected = json.loads((other / "pet_suv_dicom_STS_001" / "expected_suv.json").read_text(encoding="utf-8"))
    assert volume.source.headers["suv_factor"] == pytest.approx(expected["suvbw_factor"], rel=1e-9)
    assert float(volume.array.max()) == pytest.approx(expected["suvbw_max_in_slices"], rel=1e-6)
    # the SUV image was cut from the whole series: compare the planes that both hold. It lies up to one stored step
    # below the files and never above them: it was cut to whole steps on its way
    image = SimpleITK.ReadImage(str(other / "sts_STS_001" / "pet_suv.nii.gz"))
    reference = SimpleITK.GetArrayFromImage(image)
    compared = 0
    for k, plane in enumerate(reference):
        at = volume.grid.to_index(image.TransformIndexToPhysicalPoint((0, 0, k)))
        z, y, x = (round(float(i)) for i in at)
        if not (0 <= z < volume.array.shape[0] and np.abs(at - (z, y, x)).max() < 0.1):
            continue
        ours = volume.array[z, y : y + plane.shape[0], x : x + plane.shape[1]]
        slope = float(pydicom.dcmread(volume.source.files[z], stop_before_pixels=True).RescaleSlope)
        np.testing.assert_allclose(ours, plane, rtol=1e-5, atol=1.01 * slope * volume.source.headers["suv_factor"])
        compared += 1
    assert compared >= 20
