"""Synthetic scans: lesions lie in tissue, are brighter than it, and are what the label says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_lesion.training.brain.acquisition import stored
from napari_lesion.training.brain.anatomy import Anatomy, fit_tissues
from napari_lesion.training.brain.contrast import distract, from_t1, own_flair, with_head
from napari_lesion.training.brain.lesions import paint, place_lesions
from napari_lesion.training.brain.pool import fill_pool, read_pool, synthesise
from napari_lesion.training.brain.shapes import list_shapes, load_shape
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.config import CropConfig
from napari_lesion.training.scenes import LESION

RANGE = Intensity(-4.0, 6.0)


def test_shapes_are_of_strangers_only(brain_data: Path) -> None:
    names = {shape.path.name for shape in list_shapes(brain_data)}
    assert names == {"ljubljana_ms_p01.nii.gz", "soop_sub-1.nii.gz"}, "a patient's own, or a very large stroke"


def test_the_real_shapes_are_of_strangers_only(shared_data: Path) -> None:
    shapes = list_shapes(shared_data / "data")
    subjects = {shape.path.name for shape in shapes}
    assert len([shape for shape in shapes if shape.kind == "sclerosis"]) == 27
    assert not any(name.startswith(("ljubljana_ms_p07", "ljubljana_ms_p19", "mslesseg")) for name in subjects)


def test_a_shape_keeps_its_place_in_the_brain(brain_data: Path, whole_box: Anatomy) -> None:
    shape = next(shape for shape in list_shapes(brain_data) if shape.kind == "sclerosis")
    same = load_shape(shape, whole_box.box, whole_box.origin, whole_box.brain.shape)
    wide = whole_box.box * np.array([1.3, 1.0, 1.0])
    stretched = load_shape(shape, wide, whole_box.origin, whole_box.brain.shape)
    assert same.any()
    assert stretched.sum() == pytest.approx(1.3 * same.sum(), rel=0.15)
    assert (same & whole_box.white.astype(bool)).sum() > 0.9 * same.sum()


def test_tissues_are_told_apart(template: Anatomy) -> None:
    assert template.t1 is not None
    tissues = fit_tissues(template.t1, template.brain)
    assert (np.diff(tissues.means) > 0).all()
    ventricle = template.fluid > 0.5
    assert tissues.white[ventricle].mean() < 0.1
    assert template.white[ventricle].mean() < 0.1


@pytest.mark.parametrize("seed", range(6))
def test_lesions_are_placed_in_tissue(brain_data: Path, whole_box: Anatomy, seed: int) -> None:
    placed = place_lesions(whole_box, list_shapes(brain_data), np.random.default_rng(seed))
    mask = placed.mask(whole_box.brain.shape)
    assert mask.sum() == len(np.unique(np.concatenate([np.empty((0, 3), int), *placed.points]), axis=0))
    assert not (mask & ~whole_box.brain).any()
    assert not (mask & (whole_box.fluid >= 0.5)).any()
    plaques = [points for points in placed.points if len(placed.sources) == 1]
    assert all(whole_box.white[tuple(points.T)].mean() >= 0.3 for points in plaques)


def test_a_painted_lesion_is_brighter_and_nothing_else_changes(whole_box: Anatomy) -> None:
    rng = np.random.default_rng(2)
    image = from_t1(whole_box, rng)
    points = whole_box.white_points[::40][:30]
    blob = np.argwhere(np.linalg.norm(np.indices(image.shape).T - points[10][::-1], axis=-1).T < 3)
    painted = paint(image, [blob], 0.4, 0.5, rng)
    inside = np.zeros(image.shape, dtype=bool)
    inside[tuple(blob.T)] = True
    assert (painted[inside] > image[inside]).all()
    assert painted[inside].mean() - image[inside].mean() > 0.15
    far = np.abs(np.indices(image.shape).T - blob.mean(0)).max(-1).T > 8
    np.testing.assert_array_equal(painted[far], image[far])


def test_fluid_is_dark_and_plaques_are_white_matter_before_they_are_painted(anatomies: list[Anatomy]) -> None:
    brain = anatomies[0]
    image = from_t1(brain, np.random.default_rng(0))
    white = image[(brain.white > 0.9) & ~brain.lesion].mean()
    assert image[brain.fluid > 0.9].mean() < 0.75 * white
    assert image[brain.lesion].mean() == pytest.approx(white, rel=0.1)
    own = own_flair(brain, np.random.default_rng(0))
    assert own[brain.lesion].mean() > 1.3


def test_distractions_do_not_darken_and_heads_leave_the_brain(whole_box: Anatomy) -> None:
    image = from_t1(whole_box, np.random.default_rng(1))
    none = np.zeros(image.shape, dtype=bool)
    for seed in range(4):
        assert (distract(image, whole_box, none, np.random.default_rng(seed)) >= image - 1e-6).all()
    head = with_head(image, whole_box, np.random.default_rng(3))
    np.testing.assert_array_equal(head[whole_box.brain], image[whole_box.brain])
    assert head[~whole_box.brain].max() > 0.1


def test_a_scan_is_a_function_of_its_seed(brain_data: Path, anatomies: list[Anatomy], whole_box: Anatomy) -> None:
    assert whole_box.patient == ""
    shapes = list_shapes(brain_data)
    first, again, other = (synthesise(anatomies[0], shapes, (7, n), RANGE)[0] for n in (1, 1, 2))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.lesion, again.lesion)
    assert (first.image != other.image).any()


@pytest.mark.parametrize("seed", range(4))
def test_labelled_voxels_of_a_scan_are_bright(brain_data: Path, anatomies: list[Anatomy], seed: int) -> None:
    scan, _ = synthesise(anatomies[0], list_shapes(brain_data), (seed,), RANGE)
    assert not (scan.lesion & ~scan.brain).mean() > 0.001
    rest = scan.image[scan.brain & ~scan.lesion].astype(float)
    assert np.median(scan.image[scan.lesion]) > np.median(rest)


def test_z_scores_do_not_depend_on_the_unit(anatomies: list[Anatomy]) -> None:
    flair = anatomies[0].flair
    assert flair is not None
    one, other = (stored(flair * factor, anatomies[0].brain, RANGE) for factor in (1.0, 37.0))
    assert np.abs(one.astype(int) - other).max() <= 1
    assert one[anatomies[0].brain].mean() == pytest.approx(255 * 0.4, abs=8)


def test_a_pool_goes_on_where_it_stopped(
    brain_data: Path,
    anatomies: list[Anatomy],
    whole_box: Anatomy,
    brain_pool: Path,
    brain_config: CropConfig,
    tmp_path: Path,
) -> None:
    shapes = list_shapes(brain_data)
    fill_pool(tmp_path, [whole_box], shapes, 1, brain_config)
    before = (tmp_path / "template_000.npy").stat().st_mtime_ns
    fill_pool(tmp_path, [whole_box, *anatomies], shapes, 2, brain_config)
    assert (tmp_path / "template_000.npy").stat().st_mtime_ns == before
    assert {i.name for i in read_pool(tmp_path)} == {i.name for i in read_pool(brain_pool)}
    for item in read_pool(tmp_path):
        one, other = (np.load(folder / f"{item.name}.npy") for folder in (tmp_path, brain_pool))
        np.testing.assert_array_equal(one, other)
    visits = [item.name for item in read_pool(tmp_path) if item.patient == "mslesseg_P14" and item.kind != "real"]
    assert sorted(visits) == ["mslesseg_P14_T1_000", "mslesseg_P14_T2_000"], "visits share the patient's scans"
    real = np.load(tmp_path / "mslesseg_P14_T1_real.npy")
    assert (real[1] == LESION).sum() == anatomies[1].lesion.sum()
