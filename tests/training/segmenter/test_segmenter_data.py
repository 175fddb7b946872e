"""Splits by patient, cases on the grid of the network, and windows that follow from the step alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from segmenter_tiny import EDGE, tiny_config, write_cases, write_datalist
from training_tiny import write_nifti

from napari_lesion.core.errors import GeometryError, InputError
from napari_lesion.core.jobs import JobContext
from napari_lesion.io.datalist import read_datalist
from napari_lesion.training.scenes import IGNORE, LESION
from napari_lesion.training.segmenter.prepare import data_sha256, prepare_cases, require_lesions
from napari_lesion.training.segmenter.split import fold_numbers, split_cases
from napari_lesion.training.segmenter.windows import WindowBatches, cut_window


def entries(folder: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(write_cases(folder).read_text(encoding="utf-8"))
    return found


def test_patients_are_dealt_into_folds(balls: Path) -> None:
    datalist = read_datalist(balls)
    config = tiny_config()
    held = [split_cases(datalist, replace(config, fold=fold)).held_out for fold in fold_numbers(datalist, config)]
    assert sorted(case.patient for part in held for case in part) == ["p0", "p1", "p2", "p3"]
    again = split_cases(datalist, config)
    assert again == split_cases(datalist, config)


def test_all_images_of_a_patient_stay_together(tmp_path: Path) -> None:
    listed = entries(tmp_path)
    for place, entry in enumerate(listed):
        entry["patient"] = "ab"[place % 2]
    split = split_cases(read_datalist(write_datalist(tmp_path, listed)), tiny_config())
    assert len({case.patient for case in split.held_out}) == 1
    assert {case.patient for case in split.train}.isdisjoint({case.patient for case in split.held_out})


def test_stated_folds_and_sections(tmp_path: Path) -> None:
    listed = entries(tmp_path)
    for place, entry in enumerate(listed):
        entry["fold"] = place % 2
    datalist = read_datalist(write_datalist(tmp_path, {"training": listed}))
    assert fold_numbers(datalist, tiny_config()) == [0, 1]
    assert [case.patient for case in split_cases(datalist, tiny_config(fold=1)).held_out] == ["p1", "p3"]
    sections = read_datalist(write_datalist(tmp_path, {"training": listed[:3], "validation": listed[3:]}))
    assert [case.patient for case in split_cases(sections, tiny_config()).held_out] == ["p3"]


def test_a_patient_on_both_sides_is_refused(tmp_path: Path) -> None:
    listed = entries(tmp_path)
    listed[3]["patient"] = "p0"
    datalist = read_datalist(write_datalist(tmp_path, {"training": listed[:3], "validation": listed[3:]}))
    with pytest.raises(InputError, match=r"(?i)the patient p0 is in training and in validation"):
        split_cases(datalist, tiny_config())


def test_what_is_prepared_is_what_the_network_sees(balls: Path, tmp_path: Path) -> None:
    case = read_datalist(balls).first("training")[0]
    (prepared,) = prepare_cases([case], tiny_config(), tmp_path, JobContext())
    assert prepared.image.shape == prepared.label.shape == (EDGE, EDGE, EDGE)
    # the files run to L, P and S; the network to R, A and S: both first axes are turned round
    import nibabel

    native = np.asarray(nibabel.load(case.image).dataobj).astype(np.float32)
    expected = np.clip((native[::-1, ::-1] + 1000) / 1400, 0, 1)
    np.testing.assert_allclose(prepared.image, expected, atol=1e-3)
    label = np.asarray(nibabel.load(case.label_file).dataobj)[::-1, ::-1]
    np.testing.assert_array_equal(prepared.label, label)
    np.testing.assert_array_equal(prepared.lesion_points, np.flatnonzero(label))


def test_prepared_cases_are_kept_and_made_anew_when_a_file_changes(tmp_path: Path) -> None:
    datalist = read_datalist(write_cases(tmp_path / "cases", 1))
    cases, cache = datalist.first("training"), tmp_path / "cache"
    first = prepare_cases(cases, tiny_config(), cache, JobContext())
    stamp = next(cache.glob("*/image.npy")).stat().st_mtime_ns
    again = prepare_cases(cases, tiny_config(), cache, JobContext())
    assert next(cache.glob("*/image.npy")).stat().st_mtime_ns == stamp
    assert data_sha256(first) == data_sha256(again)
    write_nifti(cases[0].image, np.zeros((EDGE,) * 3, np.int16))
    changed = prepare_cases(cases, tiny_config(), cache, JobContext())
    assert data_sha256(changed) != data_sha256(first)


def test_ignored_voxels_and_values_below_lesion_from(tmp_path: Path) -> None:
    listed = entries(tmp_path)
    ignore = np.zeros((EDGE,) * 3, np.uint8)
    ignore[:4] = 1
    write_nifti(tmp_path / "ignore.nii.gz", ignore)
    listed[0]["ignore"] = "ignore.nii.gz"
    cases = read_datalist(write_datalist(tmp_path, listed)).first("training")[:1]
    (prepared,) = prepare_cases(cases, tiny_config(), tmp_path / "a", JobContext())
    assert set(np.unique(prepared.label)) == {0, LESION, IGNORE}
    assert (np.asarray(prepared.label)[-4:] != 0).all()
    (none,) = prepare_cases(cases, tiny_config(lesion_from=2), tmp_path / "b", JobContext())
    assert not len(none.lesion_points)
    with pytest.raises(InputError, match=r"(?i)No case to train on holds a lesion"):
        require_lesions([none], [prepared])


def test_a_label_map_on_another_grid_is_refused(tmp_path: Path) -> None:
    datalist = read_datalist(write_cases(tmp_path, 1))
    write_nifti(tmp_path / "label0.nii.gz", np.ones((EDGE, EDGE, 5), np.uint8))
    with pytest.raises(GeometryError, match=r"(?i)label0\.nii\.gz lies on another grid"):
        prepare_cases(datalist.first("training"), tiny_config(), tmp_path / "cache", JobContext())


def test_windows_follow_from_seed_and_step(balls: Path, tmp_path: Path) -> None:
    cases = prepare_cases(read_datalist(balls).first("training"), tiny_config(), tmp_path, JobContext())
    config = tiny_config(batch=4)
    whole, again = WindowBatches(cases, config), WindowBatches(cases, config)
    _ = again[1], again[7]  # whatever was drawn before
    assert whole[5]["image"].equal(again[5]["image"])
    assert not whole[5]["image"].equal(whole[6]["image"])
    other = WindowBatches(cases, replace(config, seed=1))
    assert not whole[5]["image"].equal(other[5]["image"])


def test_processes_share_one_batch(balls: Path, tmp_path: Path) -> None:
    cases = prepare_cases(read_datalist(balls).first("training"), tiny_config(), tmp_path, JobContext())
    config = tiny_config(batch=4)
    whole = WindowBatches(cases, config)[3]["image"]
    for rank in (0, 1):
        assert WindowBatches(cases, config, rank, 2)[3]["image"].equal(whole[rank::2])
    with pytest.raises(InputError, match=r"(?i)cannot be shared by 3 processes"):
        WindowBatches(cases, config, 0, 3)


def test_lesion_windows_hold_a_lesion(balls: Path, tmp_path: Path) -> None:
    cases = prepare_cases(read_datalist(balls).first("training"), tiny_config(), tmp_path, JobContext())
    batches = WindowBatches(cases, tiny_config(lesion_share=1.0, augmentation=[]))
    assert all((batches[step]["label"] == LESION).flatten(1).any(1).all() for step in range(8))


def test_a_window_at_the_border_is_shifted_inside(balls: Path, tmp_path: Path) -> None:
    (case, *_) = prepare_cases(read_datalist(balls).first("training"), tiny_config(), tmp_path, JobContext())
    window = cut_window(case, np.array([0, 0, EDGE - 1]), (16, 16, 32))
    np.testing.assert_array_equal(window["image"][..., 4:28], case.image[:16, :16])
    assert not window["image"][..., :4].any()
