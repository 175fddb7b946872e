"""Nodules of cubes and slices: what of a reader's mark becomes consensus and share, and who is held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.training.cases import list_cases
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.nodules import cube_nodules, reader_dice, slice_nodules, split
from napari_lesion.training.folds import load_folds
from napari_lesion.training.scenes import IGNORE, LESION, load_scenes


def test_slices_without_an_agreement_are_left_out(slices: Path) -> None:
    found = list(slice_nodules(slices, Intensity()))
    assert [nodule.n_readers for nodule in found] == [4, 3, 4]


def test_slices_lie_at_one_millimetre(slices: Path) -> None:
    first, second, _ = slice_nodules(slices, Intensity())
    assert first.image.shape == first.label.shape == first.share.shape == (36, 36)
    # A disk of 5 mm radius, and the share of one reader of three around it.
    assert np.count_nonzero(first.label == LESION) == pytest.approx(np.pi * 5**2, rel=0.08)
    assert np.count_nonzero(second.label == LESION) == pytest.approx(np.pi * 5**2, rel=0.08)
    assert float(second.share.sum()) == pytest.approx(np.pi * (5**2 * 2 + 7**2) / 3, rel=0.08)


def test_a_slice_is_windowed(slices: Path) -> None:
    first, *_ = slice_nodules(slices, Intensity())
    assert float(first.image.max()) == pytest.approx(1000 / 1400, abs=1e-3)
    assert float(first.image.min()) == pytest.approx(200 / 1400, abs=1e-3)


def test_cubes_of_one_reader_are_left_out(tiny_data: Path) -> None:
    scenes = load_scenes(list_cases(tiny_data), Intensity())
    found = cube_nodules(scenes)
    assert sorted(nodule.n_readers for nodule in found) == [3, 3, 4, 4]
    for nodule in found:
        np.testing.assert_array_equal(nodule.share[nodule.label == LESION], 1)
        assert not (nodule.share[nodule.label != LESION] * (nodule.label[nodule.label != LESION] != IGNORE)).any()


def test_share_counts_readers_in_the_frame_of_the_image(tiny_data: Path) -> None:
    scene = next(scene for scene in load_scenes(list_cases(tiny_data), Intensity()) if scene.case.n_readers == 4)
    (nodule,) = cube_nodules([scene])
    np.testing.assert_array_equal(nodule.share == 1, scene.label == LESION)
    np.testing.assert_allclose(nodule.center, np.argwhere(scene.label == LESION).mean(0), atol=1)


def test_no_patient_is_on_both_sides(slices: Path) -> None:
    found = list(slice_nodules(slices, Intensity()))
    train, held = split(found, 0)
    folds = load_folds()
    assert {folds.fold_of[nodule.patient_id] for nodule in held} == {0}
    assert 0 not in {folds.fold_of[nodule.patient_id] for nodule in train}
    assert split(found, None) == (found, [])


def test_readers_against_each_other_by_hand(slices: Path) -> None:
    nodule = next(slice_nodules(slices, Intensity()))
    share = np.zeros((4, 4), np.float16)
    # Three readers: A marks 4 voxels, B 2 of them, C another 2 of them: |AB| = 2, |AC| = 2, |BC| = 0; sizes 4, 2, 2.
    share[0] = [2 / 3, 2 / 3, 2 / 3, 2 / 3]
    assert reader_dice(replace(nodule, n_readers=3, share=share)) == pytest.approx(2 * 4 / (2 * 8))
