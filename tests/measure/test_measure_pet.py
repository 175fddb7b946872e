"""PET columns on bodies with known uptake, and the optional rows of density and shape with known answers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from lesion_bodies import ball, measure, measure_all, study_of

from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.volume import LabelMap, Modality, Source, Volume
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.fractal import box_counting_dimension
from napari_lesion.measure.spatial import PEAK_RADIUS_MM

SUV = Source(modality_stated=True, headers={"units": "SUVbw"})
COLUMNS = {"suv_max", "suv_mean", "suv_peak", "suv_peak_local", "mtv_ml", "tlg_g", "mtv_rule"}


def suv_study(mask: np.ndarray, image: np.ndarray, spacing: tuple[float, float, float]) -> tuple[Volume, LabelMap]:
    volume, labels = study_of(mask, spacing, image.astype(np.float32), Modality.PT)
    return Volume(volume.array, volume.grid, Modality.PT, SUV), labels


def test_a_hot_ball_of_known_uptake() -> None:
    spacing = (3.0, 2.0, 2.0)
    mask = np.pad(ball(30.0, spacing), 6)
    image = np.where(mask, 5.0, 1.0)
    hot = tuple(n // 2 for n in mask.shape)
    image[hot] = 9.0
    table = measure_lesions(*suv_study(mask, image, spacing))
    row = table.rows[1]
    volume_ml = mask.sum() * 12.0 / 1000
    assert row["suv_max"] == 9.0
    assert row["mtv_ml"] == pytest.approx(volume_ml)
    assert row["tlg_g"] == pytest.approx((mask.sum() * 5.0 + 4.0) * 12.0 / 1000)
    assert row["suv_mean"] == pytest.approx(float(row["tlg_g"]) / volume_ml)
    axes = [np.arange(-4, 5) * s for s in spacing]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    sphere = int((z**2 + y**2 + x**2 <= PEAK_RADIUS_MM**2).sum())
    assert row["suv_peak"] == pytest.approx(5.0 + 4.0 / sphere)
    assert row["suv_peak_local"] == pytest.approx(5.0 + 4.0 / sphere)
    assert table.column("suv_max").unit == "g/ml"
    assert row["mtv_rule"] == "mask as drawn or given"


def test_the_rule_of_the_volume_follows_the_mask() -> None:
    mask = ball(12.0, (2.0, 2.0, 2.0))
    volume, labels = suv_study(mask, np.where(mask, 4.0, 1.0), (2.0, 2.0, 2.0))
    for status, rule in [(Status.MODEL, "mask of the model"), (Status.EDITED, "mask of the model, edited")]:
        request = MeasureRequest({1: Lesion(1, status)}, ("mtv_rule",))
        assert measure_lesions(volume, labels, request).rows[1]["mtv_rule"] == rule


def test_only_suv_has_pet_columns() -> None:
    mask = ball(8.0, (2.0, 2.0, 2.0))
    image = np.where(mask, 4.0, 1.0)
    assert set(measure_lesions(*suv_study(mask, image, (2.0, 2.0, 2.0))).names) >= COLUMNS
    for modality in (Modality.CT, Modality.MR, Modality.PT):
        assert not COLUMNS & set(measure_all(*study_of(mask, image=image, modality=modality)).names)


@pytest.mark.real
def test_the_sarcoma_of_ibsi(shared_data: Path) -> None:
    folder = shared_data / "data" / "other" / "sts_STS_001"
    image, mask = (
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / name)))
        for name in ("pet_suv.nii.gz", "pet_gtv.nii.gz")
    )
    row = measure_lesions(*suv_study(mask > 0, image, (3.27, 4.6875, 4.6875))).rows[1]
    inside = image[mask > 0].astype(float)
    assert row["suv_max"] == pytest.approx(inside.max())
    assert row["suv_mean"] == pytest.approx(inside.mean())
    assert row["tlg_g"] == pytest.approx(inside.sum() * 3.27 * 4.6875**2 / 1000)
    assert inside.mean() < float(row["suv_peak_local"]) <= float(row["suv_peak"]) < inside.max()


def test_necrosis_is_what_the_lesion_encloses() -> None:
    mask = np.zeros((21, 21, 21), dtype=bool)
    mask[2:-2, 2:-2, 2:-2] = True
    image = np.full(mask.shape, 80, dtype=np.int16)
    assert measure(mask, image=image)["necrotic_fraction"] == 0.0
    image[8:12, 8:12, 8:12] = 10
    image[14, 14, 14] = 0  # a smaller part
    image[2, 5:15, 5:15] = -50  # a larger one, at the surface
    assert measure(mask, image=image)["necrotic_fraction"] == pytest.approx(64 / 17**3)


@pytest.mark.parametrize(
    ("shape", "dimension"), [((1, 1, 64), 1.0), ((1, 64, 64), 2.0), ((64, 64, 1), 2.0)], ids=["line", "flat", "side"]
)
def test_dimension_of_a_line_and_a_plane(shape: tuple[int, int, int], dimension: float) -> None:
    assert box_counting_dimension(np.ones(shape, dtype=bool), (1.0, 1.0, 1.0)) == pytest.approx(dimension)


def test_dimension_of_other_bodies() -> None:
    # the edge voxels of a plane are all of it, whatever the spacing across it
    assert box_counting_dimension(np.ones((16, 64, 1), dtype=bool), (4.0, 1.0, 1.0)) == pytest.approx(2.0)
    assert math.isnan(box_counting_dimension(np.ones((7, 7, 7), dtype=bool), (1.0, 1.0, 1.0)))
    small, large = (box_counting_dimension(ball(d, (1.0, 1.0, 1.0)), (1.0, 1.0, 1.0)) for d in (15.0, 60.0))
    dust = np.zeros((64, 64, 64), dtype=bool)
    dust[::2, ::2, ::2] = True
    assert 1.5 < small < large < 2.0 < box_counting_dimension(dust, (1.0, 1.0, 1.0))
