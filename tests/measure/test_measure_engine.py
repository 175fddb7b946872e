"""The engine: which rows and columns there are, degenerate lesions, flags, progress, and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from lesion_bodies import ball, measure, measure_all, study_of
from scipy import ndimage

from napari_lesion.core.errors import GeometryError, LesionError
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext
from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.volume import LabelMap, Modality, Source, Volume
from napari_lesion.measure.boxes import find_boxes
from napari_lesion.measure.components import split_components
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.registry import FEATURES, select
from napari_lesion.measure.size import half_up
from napari_lesion.measure.spec import Scale


def flags(row: dict) -> set[str]:
    return set(row["flags"].split(";"))


def test_first_columns_and_identity() -> None:
    volume, labels = study_of(ball(6.0, (1.0, 1.0, 1.0)))
    lesion = Lesion(1, Status.EDITED, 0.75, Review.ACCEPTED)
    table = measure_lesions(volume, labels, MeasureRequest({1: lesion}))
    rating = ["malignancy_suspicious_probability", "texture_class", "calcified_probability"]
    assert table.names[:7] == ["label", "status", "probability", *rating, "review"]
    first = ["label", "status", "probability", "review"]
    assert [table.rows[1][name] for name in first] == [1, "edited", 0.75, "accepted"]
    assert list(table.rows[1]) == table.names
    unknown = measure_lesions(volume, labels).rows[1]
    assert unknown["status"] == "manual"
    assert math.isnan(unknown["probability"])


def test_names_are_unique_and_described() -> None:
    for scale in Scale:
        names = [spec.column_name(scale) for spec in FEATURES if spec.applies_to(scale)]
        assert len(names) == len(set(names))
    for spec in FEATURES:
        assert spec.title
        assert spec.definition.endswith(".")
        assert not spec.unit or spec.ucum


def test_columns_follow_the_modality() -> None:
    mask = ball(6.0, (1.0, 1.0, 1.0))
    ct = measure_all(*study_of(mask))
    mr = measure_all(*study_of(mask, modality=Modality.MR))
    assert {"density_mean_hu", "mass_mg", "nodule_type"} <= set(ct.names)
    assert "density_mean_au" in mr.names
    assert not [name for name in mr.names if name.endswith("_hu") or name == "mass_mg"]
    assert "not_hu" in flags(mr.rows[1])
    assert mr.column("density_mean_au").unit == "a.u."
    raw = study_of(mask, modality=Modality.PT)[0]
    assert "density_mean_au" in measure_all(raw, study_of(mask)[1]).names
    suv = Volume(raw.array, raw.grid, Modality.PT, Source(modality_stated=True, headers={"units": "SUVbw"}))
    assert "density_mean_suv" in measure_all(suv, study_of(mask)[1]).names


def test_a_ct_without_rescaling_is_not_in_hu() -> None:
    volume, labels = study_of(ball(6.0, (1.0, 1.0, 1.0)))
    source = Source(modality_stated=True, headers={"rescale_stated": False})
    stored = Volume(volume.array - volume.array.min(), volume.grid, Modality.CT, source)
    assert "density_mean_au" in measure_lesions(stored, labels).names
    below_zero = Volume(volume.array, volume.grid, Modality.CT, source)
    assert "density_mean_hu" in measure_lesions(below_zero, labels).names


def test_selection() -> None:
    assert {spec.family.value for spec in select("size")} == {"size", "identity", "uncertainty"}
    assert [spec.name for spec in select("volume_mm3")] == [
        "label", "status", "probability", "review", "lesion_id", "volume_mm3", "flags",
    ]  # fmt: skip
    assert "density_mean_{s}" in [spec.name for spec in select(("density_mean_hu",))]
    assert not [spec for spec in select("core") if spec.optional]
    assert select("all") == tuple(spec for spec in FEATURES if spec.family.value != "texture")
    with pytest.raises(LesionError, match="Did you mean sphericity"):
        select("spherecity")


def test_labels_with_gaps_and_empty_ones() -> None:
    mask = np.zeros((6, 6, 20), dtype=np.int32)
    mask[2:4, 2:4, 2:5] = 70_000
    mask[2:4, 2:4, 10:14] = 3
    volume, labels = study_of(mask)
    assert measure_lesions(volume, labels).labels == [3, 70_000]
    request = MeasureRequest(only=frozenset({3, 5}), boxes={5: (slice(0, 2), slice(0, 2), slice(0, 2))})
    assert measure_lesions(volume, labels, request).labels == [3]
    assert measure_lesions(volume, LabelMap.empty(volume.grid)).rows == {}


def test_a_known_box_is_all_that_is_looked_at() -> None:
    """Voxels of the label outside the given box are not found: nothing beyond the box is read."""
    mask = np.zeros((12, 20, 20), dtype=np.uint16)
    mask[2:8, 3:9, 3:9] = 3
    volume, labels = study_of(mask)
    box = (slice(1, 9), slice(0, 10), slice(2, 10))
    request = MeasureRequest(only=frozenset({3}), boxes={3: box})
    expected = measure_lesions(volume, labels, request).rows[3]
    labels.array[10:, 15:, 15:] = 3
    volume.array[10:, 15:, 15:] = 3000
    assert repr(measure_lesions(volume, labels, request).rows[3]) == repr(expected)


@pytest.mark.parametrize("filled", [0.1, 0.9])
def test_boxes_are_those_of_scipy(filled: float) -> None:
    """Few occupied rows are searched alone, many all together; both ways find the same boxes."""
    random = np.random.default_rng(12)
    mask = random.integers(1, 9, (9, 10, 11)) * (random.random((9, 10, 11)) < filled / 5)
    boxes = find_boxes(mask.astype(np.uint16))
    expected = ndimage.find_objects(mask)
    assert boxes == {label: box for label, box in enumerate(expected, start=1) if box is not None}


def test_boxes_of_huge_labels() -> None:
    mask = np.zeros((4, 5, 6), dtype=np.int64)
    mask[1, 2, 3] = 2**40
    mask[2, 2:4, 3:] = 7
    boxes = find_boxes(mask)
    assert boxes == {
        7: (slice(2, 3), slice(2, 4), slice(3, 6)),
        2**40: (slice(1, 2), slice(2, 3), slice(3, 4)),
    }


def test_another_grid_is_refused() -> None:
    volume, _ = study_of(ball(6.0, (1.0, 1.0, 1.0)))
    shifted = Grid(volume.grid.size, volume.grid.spacing, (3.0, 0.0, 0.0))
    with pytest.raises(GeometryError, match="another grid"):
        measure_lesions(volume, LabelMap.empty(shifted))


def test_progress_and_cancel() -> None:
    mask = np.zeros((4, 4, 12), dtype=np.uint8)
    for k in range(4):
        mask[1:3, 1:3, 3 * k : 3 * k + 2] = k + 1
    study = study_of(mask)
    seen = []
    measure_lesions(*study, ctx=JobContext(report=seen.append))
    assert [(p.done, p.total) for p in seen] == [(k, 4) for k in range(5)]
    token = CancelToken()
    token.cancel()
    with pytest.raises(JobCancelled):
        measure_lesions(*study, ctx=JobContext(token))


def test_inputs_are_only_read() -> None:
    volume, labels = study_of(ball(6.0, (1.0, 1.0, 1.0)))
    for array in (volume.array, labels.array):
        array.flags.writeable = False
    assert measure_all(volume, labels).labels == [1]


# degenerate lesions


def test_one_voxel() -> None:
    mask = np.zeros((5, 5, 5), dtype=bool)
    mask[2, 2, 2] = True
    row = measure(mask, (2.0, 0.7, 0.9))
    assert row["volume_mm3"] == pytest.approx(2.0 * 0.7 * 0.9)
    assert row["mesh_volume_mm3"] == pytest.approx(row["volume_mm3"] / 6)
    assert (row["long_axis_mm"], row["short_axis_mm"]) == pytest.approx((0.9, 0.7))
    assert row["max_3d_diameter_mm"] == pytest.approx(2.0)
    for name in ("pca_major_mm", "elongation", "flatness", "solidity", "sphericity", "area_density_hull", "obb_1_mm"):
        assert math.isnan(row[name]), name
    assert row["surface_area_mm2"] > 0
    zeros = ("density_sd_hu", "density_skewness", "density_kurtosis", "density_entropy_bits")
    assert [row[name] for name in zeros] == [0, 0, 0, 0]
    assert {"few_voxels", "tiny", "thin"} <= flags(row)


def test_line_of_voxels() -> None:
    mask = np.zeros((3, 3, 14), dtype=bool)
    mask[1, 1, 1:13] = True
    row = measure(mask, (1.0, 0.8, 0.7))
    assert (row["long_axis_mm"], row["short_axis_mm"]) == pytest.approx((12 * 0.7, 0.8))
    assert (row["elongation"], row["flatness"], row["pca_minor_mm"], row["pca_least_mm"]) == (0, 0, 0, 0)


def test_one_slice() -> None:
    mask = np.zeros((3, 12, 12), dtype=bool)
    mask[1, 2:10, 2:10] = True
    row = measure(mask)
    assert row["volume_mm3"] == 64
    assert row["flatness"] == 0
    assert {"thin", "thick_slices"} <= flags(row)
    assert math.isnan(row["volume_density_aee"])


def test_flat_intensity() -> None:
    mask = ball(6.0, (1.0, 1.0, 1.0))
    row = measure(mask, image=np.full(mask.shape, -50, dtype=np.int16))
    zeros = ("sd_hu", "skewness", "kurtosis", "entropy_bits", "iqr_hu", "range_hu")
    assert [row[f"density_{name}"] for name in zeros] == [0] * 6
    assert row["density_uniformity"] == 1
    assert math.isnan(row["moran_i"])


def test_no_finite_voxel() -> None:
    mask = ball(6.0, (1.0, 1.0, 1.0))
    row = measure(mask, image=np.full(mask.shape, np.nan, dtype=np.float32))
    assert row["nonfinite_voxels"] == row["n_voxels"]
    assert "nonfinite" in flags(row)
    assert row["nodule_type"] == ""
    families = ("density", "histogram")
    measured = [spec for spec in FEATURES if spec.applies_to(Scale.HU) and spec.family.value in families]
    density = [spec.column_name(Scale.HU) for spec in measured]
    left = [name for name in density if name not in ("nodule_type", "solid_threshold_hu")]
    assert [name for name in left if not math.isnan(row[name])] == []
    assert row["long_axis_mm"] > 0


def test_some_voxels_are_not_finite() -> None:
    mask = ball(8.0, (1.0, 1.0, 1.0))
    image = np.random.default_rng(2).normal(40, 5, mask.shape).astype(np.float32)
    inside = np.argwhere(mask)
    image[tuple(inside[5])], image[tuple(inside[9])] = np.nan, np.inf
    row = measure(mask, image=image)
    values = image[mask]
    values = values[np.isfinite(values)].astype(np.float64)
    assert row["nonfinite_voxels"] == 2
    assert row["n_voxels"] == mask.sum()
    assert row["density_mean_hu"] == pytest.approx(values.mean(), rel=1e-12)
    assert row["density_p10_hu"] == pytest.approx(np.percentile(values, 10), rel=1e-12)
    assert math.isfinite(row["centre_of_mass_shift_mm"])
    assert math.isfinite(row["density_peak_hu"])
    assert math.isfinite(row["moran_i"])


def test_border_components_and_the_whole_image() -> None:
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[0:4, 3:7, 3:7] = mask[6:9, 3:7, 3:7] = True
    row = measure(mask)
    assert {"touches_border", "multi_component"} <= flags(row)
    assert row["n_components"] == 2
    assert row["max_3d_diameter_mm"] > 8
    assert row["long_axis_mm"] < 5
    whole = measure(np.ones((4, 4, 4), dtype=bool))
    assert whole["volume_mm3"] == 64
    assert "touches_border" in flags(whole)


def test_cavities_and_tunnels() -> None:
    rows, columns, slices = np.mgrid[-9:10, -9:10, -9:10]
    shell = (np.sqrt(rows**2 + columns**2 + slices**2) <= 8) & (np.sqrt(rows**2 + columns**2 + slices**2) > 4)
    row = measure(shell)
    assert (row["n_cavities"], row["n_tunnels"], row["euler_number"]) == (1, 0, 2)
    assert row["cavity_volume_mm3"] == (~shell & ndimage.binary_fill_holes(shell)).sum()
    assert "cavity" in flags(row)
    torus = (np.hypot(rows, columns) - 6) ** 2 + slices**2 <= 6
    row = measure(torus)
    assert (row["n_cavities"], row["n_tunnels"], row["euler_number"]) == (0, 1, 0)


# flags


def test_flags_of_the_grid() -> None:
    mask = ball(20.0, (5.0, 1.0, 1.0))
    assert {"thick_slices", "anisotropic"} <= flags(measure(mask, (5.0, 1.0, 1.0)))
    assert (
        measure(ball(12.0, (1.0, 1.0, 1.0)), image=np.zeros((15, 15, 15), np.float32) - 20)["flags"] == "hu_clipped"
    )


def test_a_plain_lesion_has_no_flag() -> None:
    mask = np.pad(ball(12.0, (1.0, 1.0, 1.0)), 2)
    image = np.random.default_rng(7).normal(-20, 30, mask.shape).astype(np.float32)
    assert measure(mask, image=image)["flags"] == ""


def test_clipping_compares_with_the_whole_image() -> None:
    mask = np.pad(ball(12.0, (1.0, 1.0, 1.0)), 3)
    image = np.random.default_rng(8).integers(-300, 100, mask.shape).astype(np.int16)
    image[mask] = np.minimum(image[mask], 60)
    assert "hu_clipped" not in flags(measure(mask, image=image))  # the image goes on to 99 HU outside
    image[~mask] = np.minimum(image[~mask], 60)
    assert "hu_clipped" in flags(measure(mask, image=image))


def test_a_guessed_modality_is_flagged() -> None:
    volume, labels = study_of(ball(6.0, (1.0, 1.0, 1.0)))
    guessed = Volume(volume.array, volume.grid, Modality.CT, Source())
    assert "modality_guessed" in flags(measure_lesions(guessed, labels).rows[1])
    assert "modality_guessed" not in flags(measure_lesions(volume, labels).rows[1])


# tissue


def test_tissue_shares_on_known_layers() -> None:
    mask = np.zeros((10, 12, 12), dtype=bool)
    mask[1:9, 2:10, 2:10] = True
    image = np.full(mask.shape, -850, dtype=np.int16)
    image[1:5, 2:10, 2:10] = -650  # ground glass
    image[5:9, 2:10, 2:10] = 40  # solid
    image[8, 2:10, 2:10] = 180  # calcified
    row = measure(mask, (1.0, 0.5, 0.5), image=image)
    assert row["solid_fraction"] == 0.5
    assert row["nodule_type"] == "part-solid"
    assert row["solid_volume_mm3"] == pytest.approx(row["volume_mm3"] / 2)
    assert row["solid_long_axis_mm"] == pytest.approx(row["long_axis_mm"])
    assert (row["frac_below_m300"], row["frac_below_m600"]) == (0.5, 0.5)
    assert (row["calcified_fraction"], row["calcified_fraction_200"]) == (0.125, 0.0)
    assert row["mass_mg"] == pytest.approx(row["volume_mm3"] * (row["density_mean_hu"] + 1000) / 1000)
    assert row["fat_fraction"] == 0
    assert "contrast_unknown" in flags(row)


@pytest.mark.parametrize(("value", "kind"), [(-700, "ground-glass"), (30, "solid")])
def test_nodule_type(value: int, kind: str) -> None:
    mask = ball(8.0, (1.0, 1.0, 1.0))
    row = measure(mask, image=np.full(mask.shape, value, dtype=np.int16))
    assert row["nodule_type"] == kind
    assert math.isnan(row["fat_fraction"]) == (kind == "ground-glass")


def test_solid_part_is_the_largest_one() -> None:
    mask = np.zeros((8, 20, 30), dtype=bool)
    mask[2:6, 2:18, 2:28] = True
    image = np.full(mask.shape, -600, dtype=np.int16)
    image[3:5, 5:9, 5:9] = 50
    image[3:5, 5:15, 15:21] = 50
    row = measure(mask, image=image)
    assert row["solid_long_axis_mm"] == pytest.approx(math.hypot(9.5, 5.5))
    assert row["solid_ratio"] == pytest.approx(row["solid_long_axis_mm"] / row["long_axis_mm"])


@pytest.mark.parametrize(("value", "whole"), [(2.5, 3), (3.5, 4), (7.499, 7), (0.5, 1)])
def test_halves_are_rounded_up(value: float, whole: int) -> None:
    assert half_up(value) == whole


def test_halves_of_a_tenth_are_rounded_up() -> None:
    assert half_up(0.25, 0.1) == pytest.approx(0.3)
    assert half_up(8.35, 0.1) == pytest.approx(8.4)


# components


def test_components_are_ordered_by_volume() -> None:
    mask = np.zeros((8, 8, 30), dtype=np.uint8)
    mask[1:3, 1:3, 1:3] = 5
    mask[3, 3, 3] = 9  # touches by a corner: the same lesion
    mask[1:6, 1:6, 10:15] = 1
    mask[1:3, 1:3, 20:23] = 1
    labels = split_components(LabelMap(mask, Grid((30, 8, 8), (1.0, 1.0, 1.0))))
    assert labels.array.dtype == np.uint16
    assert np.bincount(labels.array.ravel())[1:].tolist() == [125, 12, 9]
    assert labels.array[3, 3, 3] == labels.array[1, 1, 1] == 3


def test_components_of_a_thin_volume() -> None:
    labels = split_components(LabelMap(np.array([[[1, 0, 1, 0, 1]]]), Grid((5, 1, 1), (1.0, 1.0, 1.0))))
    assert labels.array.tolist() == [[[1, 0, 2, 0, 3]]]
