"""Lesions that are hardly lesions: each row of what must come out, over all columns, value or NaN with a flag."""

from __future__ import annotations

import math

import numpy as np
import pytest
from lesion_bodies import ball, measure, measure_all, study_of

from napari_lesion.core.grid import Grid
from napari_lesion.core.table import Row
from napari_lesion.core.volume import LabelMap
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.registry import FEATURES
from napari_lesion.measure.spec import Family, Scale
from napari_lesion.measure.uncertainty import FLAGS

FAMILIES = {
    spec.column_name(Scale.HU): spec.family
    for spec in FEATURES
    if spec.applies_to(Scale.HU) and spec.family is not Family.TEXTURE
}
NEEDS_INTENSITY = {
    name
    for name, family in FAMILIES.items()
    if family in (Family.DENSITY, Family.HISTOGRAM) and name != "solid_threshold_hu"
}


def flags(row: Row) -> set[str]:
    return set(str(row["flags"]).split(";"))


def empty(row: Row, names: set[str]) -> set[str]:
    """Those of the names that are NaN or an empty word."""
    return {name for name in names if row[name] == "" or (isinstance(row[name], float) and math.isnan(row[name]))}


def of(*families: Family) -> set[str]:
    return {name for name, family in FAMILIES.items() if family in families}


def test_absent_and_empty_labels_have_no_row() -> None:
    volume, labels = study_of(ball(6.0, (1.0, 1.0, 1.0)))
    assert measure_lesions(volume, labels, MeasureRequest(only=frozenset({7}))).rows == {}
    assert measure_lesions(volume, LabelMap.empty(volume.grid)).rows == {}


def test_one_voxel() -> None:
    mask = np.zeros((15, 15, 15), dtype=bool)
    mask[7, 7, 7] = True
    row = measure(mask, (2.0, 0.7, 0.9))
    v = 2.0 * 0.7 * 0.9
    assert row["volume_mm3"] == pytest.approx(v)
    assert row["mesh_volume_mm3"] == pytest.approx(v / 6)
    assert row["equivalent_sphere_diameter_mm"] == pytest.approx((6 * v / math.pi) ** (1 / 3))
    assert (row["long_axis_mm"], row["short_axis_mm"], row["max_3d_diameter_mm"]) == pytest.approx((0.9, 0.7, 2.0))
    assert [row[f"density_{k}"] for k in ("sd_hu", "skewness", "kurtosis", "entropy_bits")] == [0, 0, 0, 0]
    assert {"few_voxels", "tiny", "thin"} <= flags(row)
    nan = {"pca_major_mm", "pca_minor_mm", "pca_least_mm", "elongation", "flatness", "solidity", "area_density_hull"}
    assert empty(row, nan) == nan
    # what is left of section shape are areas and counts; of the boundary what the ring gives
    assert row["surface_area_mm2"] > 0
    for name in of(Family.BOUNDARY):
        kept = name.startswith(("ring", "contrast", "cnr"))
        assert kept or name in empty(row, {name}), name


@pytest.mark.parametrize("n", [7, 8, 12])
def test_line_of_voxels(n: int) -> None:
    mask = np.zeros((3, 3, n + 2), dtype=bool)
    mask[1, 1, 1:-1] = True
    row = measure(mask, (1.0, 0.8, 0.7))
    assert (row["long_axis_mm"], row["short_axis_mm"]) == pytest.approx((n * 0.7, 0.8))
    ratios = [row[name] for name in ("elongation", "flatness")]
    assert np.isnan(ratios).all() if n < 8 else ratios == [0, 0]
    assert (row["pca_minor_mm"], row["pca_least_mm"]) == (0, 0)
    assert row["pca_major_mm"] > 0


def test_one_slice() -> None:
    mask = np.zeros((3, 12, 12), dtype=bool)
    mask[1, 2:10, 2:10] = True
    row = measure(mask, (1.0, 0.5, 0.5))
    assert row["volume_mm3"] == pytest.approx(16.0)
    assert (row["flatness"], row["elongation"]) == pytest.approx((0, 1))
    assert row["long_axis_mm"] == pytest.approx(0.5 * math.hypot(7.5, 7.5))
    assert {"thin", "thick_slices"} <= flags(row)


def test_flat_intensity() -> None:
    mask = np.pad(ball(8.0, (1.0, 1.0, 1.0)), 9)
    noise = np.random.default_rng(3).normal(-800, 20, mask.shape).round().astype(np.int16)
    row = measure(mask, image=np.where(mask, 40, noise).astype(np.int16))
    zeros = ("sd_hu", "skewness", "kurtosis", "entropy_bits", "iqr_hu", "range_hu", "variance_hu2")
    assert [row[f"density_{name}"] for name in zeros] == [0] * len(zeros)
    assert row["density_uniformity"] == 1
    assert math.isfinite(row["cnr"])
    assert 0 <= row["edge_width_10_90_mm"] < 1  # from the profile, as usual: a step is sharper than a voxel
    even = measure(mask, image=np.where(mask, 40, -800).astype(np.int16))
    assert math.isnan(even["cnr"])
    assert even["contrast_hu"] == 840


def test_no_finite_voxel() -> None:
    """Nothing of density and boundary that needs an intensity of the lesion; geometry complete."""
    mask = np.pad(ball(8.0, (1.0, 1.0, 1.0)), 9)
    image = np.where(mask, np.nan, -800.0).astype(np.float32)
    row, known = measure(mask, image=image), measure(mask, image=np.zeros(mask.shape, np.float32))
    assert empty(row, NEEDS_INTENSITY) == NEEDS_INTENSITY
    for name in ("contrast_hu", "cnr", "contrast_z", "edge_width_10_90_mm"):
        assert math.isnan(row[name]), name
    for name in of(Family.SIZE) | (of(Family.SHAPE) - {"centre_of_mass_shift_mm", "centre_of_mass_shift_ibsi_mm"}):
        assert repr(row[name]) == repr(known[name]), name
    assert row["nonfinite_voxels"] == row["n_voxels"]
    assert "nonfinite" in flags(row)


def test_at_the_border() -> None:
    """The cut face counts as surface."""
    whole = np.pad(ball(9.0, (1.0, 1.0, 1.0)), 2)
    cut = whole[len(whole) // 2 :]
    row, inside = measure(cut), measure(np.pad(cut, ((1, 0), (0, 0), (0, 0))))
    assert "touches_border" in flags(row)
    assert "touches_border" not in flags(inside)
    for name in ("surface_area_mm2", "surface_area_crofton_mm2", "mesh_volume_mm3", "long_axis_mm"):
        assert row[name] == pytest.approx(inside[name]), name


def test_two_components() -> None:
    mask = np.zeros((6, 10, 30), dtype=bool)
    mask[1:5, 1:6, 1:8] = mask[1:5, 3:7, 20:26] = True
    table = measure_all(*study_of(mask))
    row = table.rows[1]
    assert len(table.rows) == 1
    assert row["n_components"] == 2
    assert "multi_component" in flags(row)
    assert row["volume_mm3"] == mask.sum()
    assert row["long_axis_mm"] < 9
    assert row["max_3d_diameter_mm"] > 24


def test_whole_image_is_one_label() -> None:
    row = measure(np.ones((10, 10, 10), dtype=bool))
    assert row["volume_mm3"] == 1000
    assert "touches_border" in flags(row)
    assert math.isnan(row["ring_mean_hu"])
    assert row["ring_voxels"] == 0
    assert "ring_small" in flags(row)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 5), (1, 4, 4), (2, 2, 2), (1, 1, 40), (6, 1, 6)])
def test_every_column_has_a_value_or_nan(shape: tuple[int, int, int]) -> None:
    """No column fails, is infinite or is missing, whatever the lesion, in the middle or filling the image."""
    for room in (0, 1, 8):
        row = measure(np.pad(np.ones(shape, dtype=bool), room), (5.0, 0.7, 0.7))
        assert set(row) == set(FAMILIES)
        for name, value in row.items():
            assert not (isinstance(value, float) and math.isinf(value)), (name, value)


def test_flags_are_named_once_and_in_order() -> None:
    names = [flag.name for flag in FLAGS]
    assert len(names) == len(set(names))
    assert {
        "touches_border", "few_voxels", "tiny", "thin", "thick_slices", "anisotropic", "oblique", "overlaps",
        "cavity", "multi_component", "nonfinite", "ring_small", "contrast_unknown", "hu_clipped", "not_hu",
        "modality_guessed",
    } <= set(names)  # fmt: skip
    row = measure(np.ones((1, 1, 2), dtype=bool), (5.0, 0.7, 0.7))
    assert str(row["flags"]).split(";") == sorted(flags(row))


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ((2.5, 1.0, 1.0), set()),
        ((2.6, 1.0, 1.0), {"thick_slices"}),
        ((3.1, 1.0, 1.0), {"thick_slices", "anisotropic"}),
    ],
)
def test_flags_of_the_spacing(spacing: tuple[float, float, float], expected: set[str]) -> None:
    row = measure(np.pad(ball(20.0, spacing), 1), spacing)
    assert flags(row) & {"thick_slices", "anisotropic"} == expected


@pytest.mark.parametrize(("degrees", "flagged"), [(10.0, False), (20.0, True)])
def test_flag_of_the_tilt(degrees: float, *, flagged: bool) -> None:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    row = measure(ball(8.0, (1.0, 1.0, 1.0)), direction=(1.0, 0.0, 0.0, 0.0, c, -s, 0.0, s, c))
    assert ("oblique" in flags(row)) == flagged


@pytest.mark.parametrize(("n", "expected"), [(7, {"few_voxels", "tiny"}), (8, {"few_voxels"}), (64, set())])
def test_flags_of_the_count(n: int, expected: set[str]) -> None:
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[2:6, 2:6, 2:6].flat[:] = True
    mask[2:6, 2:6, 2:6] = np.arange(64).reshape(4, 4, 4) < n
    assert flags(measure(mask)) & {"few_voxels", "tiny"} == expected


def test_sheared_grid_is_refused() -> None:
    from napari_lesion.core.errors import GeometryError

    with pytest.raises(GeometryError):
        Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.2, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
