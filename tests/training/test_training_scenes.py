from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_tiny import ball, chest, write_nifti

from napari_lesion.training.cases import Case, Sphere, list_cases
from napari_lesion.training.config import Intensity
from napari_lesion.training.folds import load_folds
from napari_lesion.training.scenes import (
    BACKGROUND,
    IGNORE,
    LESION,
    label_voxels,
    load_scene,
    load_scenes,
    lung_region,
)

RAS = np.eye(4)


def test_axes_run_to_right_anterior_superior(tmp_path: Path) -> None:
    image = np.full((20, 30, 40), -1000, dtype=np.int16)
    image[2, 3, 4] = 400  # the file's axes run to left, posterior, superior
    write_nifti(tmp_path / "image.nii.gz", image)
    scene = load_scene(Case("case", "LIDC-IDRI-0002", "cube", tmp_path / "image.nii.gz"), Intensity())
    assert np.argwhere(scene.image > 0.5).tolist() == [[17, 26, 4]]


def test_the_window_maps_hu_to_0_and_1(tmp_path: Path) -> None:
    image = np.full((8, 8, 8), -1200, dtype=np.int16)
    image[0], image[1], image[2] = -1000, -300, 900
    write_nifti(tmp_path / "image.nii.gz", image)
    scene = load_scene(Case("case", "LIDC-IDRI-0002", "cube", tmp_path / "image.nii.gz"), Intensity())
    np.testing.assert_allclose(scene.image[::-1, 0, 0][:4], [0, 0.5, 1, 0], atol=1e-3)


def test_lesion_is_where_half_of_the_readers_agree() -> None:
    readers = np.arange(5, dtype=np.float32).reshape(5, 1, 1)
    case = Case("case", "LIDC-IDRI-0002", "cube", Path("image"), lesion_from=2, n_readers=4)
    label = label_voxels(case, readers, RAS)
    assert label.ravel().tolist() == [BACKGROUND, BACKGROUND, LESION, LESION, LESION]


def test_margin_and_doubtful_places_are_ignored() -> None:
    readers = np.zeros((40, 40, 40), dtype=np.float32)
    readers[10, 10, 10] = 4
    sphere = Sphere((-30.0, -20.0, 5.0), 4.0)  # LPS: at RAS (30, 20, 5)
    case = Case("case", "LIDC-IDRI-0002", "scan", Path("image"), lesion_from=2, margin_mm=3.0, doubtful=(sphere,))
    label = label_voxels(case, readers, RAS)
    expected = np.where(ball((40, 40, 40), (10, 10, 10), 3), IGNORE, BACKGROUND)
    expected[ball((40, 40, 40), (30, 20, 5), 4)] = IGNORE
    expected[10, 10, 10] = LESION
    np.testing.assert_array_equal(label, expected)


def test_a_neighbour_of_the_same_scan_is_ignored_at_its_place(tiny_data: Path) -> None:
    case = next(case for case in list_cases(tiny_data) if case.n_readers == 4)
    scene = load_scene(case, Intensity())
    # The neighbour lies 9 mm to the right of the nodule's centre; its radius with the margin is 6 mm.
    ignored = np.argwhere(scene.label == IGNORE)
    assert ignored[:, 0].max() == 25 + 9 + 6
    assert np.all(ignored[:, 0] > 25)
    np.testing.assert_array_equal(np.round(ignored[:, 1:].mean(0)), [25, 25])


def test_a_nodule_of_one_reader_is_ignored(tiny_data: Path) -> None:
    case = next(case for case in list_cases(tiny_data) if case.n_readers == 1)
    label = load_scene(replace(case, doubtful=()), Intensity()).label
    assert not (label == LESION).any()
    assert label[25, 25, 25] == IGNORE
    assert label[25, 25, 25 + 8 + 3] == IGNORE
    assert label[25, 25, 25 + 8 + 4] == BACKGROUND


def test_lungs_are_found_without_the_air_outside() -> None:
    image = chest(np.random.default_rng(0)).astype(np.float32)
    image[ball(image.shape, (35, 72, 40), 4)] = 0  # a nodule at the back of one lung
    window = Intensity()
    lung = lung_region((image - window.a_min) / (window.a_max - window.a_min), window)
    assert lung[35, 45, 40]
    assert lung[95, 45, 40]
    assert lung[35, 72, 40]
    assert not lung[0, 0, 40]
    assert not lung[65, 45, 40]


def test_prepared_cases_are_kept(tiny_data: Path, tmp_path: Path) -> None:
    cases = list_cases(tiny_data)[:1]
    first = load_scenes(cases, Intensity(), tmp_path)[0]
    again = load_scenes(cases, Intensity(), tmp_path)[0]
    assert len(list(tmp_path.iterdir())) == 1
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.background_points, again.background_points)
    load_scenes(cases, Intensity(a_max=500.0), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.real
def test_the_real_consensus_has_the_tables_volume(shared_data: Path) -> None:
    import csv

    data = shared_data / "data"
    with (data / "lidc_nodules" / "nodules.csv").open(newline="", encoding="utf-8") as stream:
        volumes = {row["case"]: int(row["volume_mm3"]) for row in csv.DictReader(stream)}
    folds = load_folds()
    cases = [case for case in list_cases(data) if case.kind == "cube" and case.n_readers >= 2]
    held_out = [case for case in cases if folds.held_out(case.patient_id, 0)]
    for case in held_out[:6]:
        scene = load_scene(case, Intensity())
        assert scene.image.shape == (51, 51, 51)
        assert (scene.label == LESION).sum() == pytest.approx(volumes[case.name], rel=0.001)
