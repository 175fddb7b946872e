"""Crops: where they are cut, what their target is, and that a step decides its batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from napari_lesion.training.cases import list_cases
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.batches import CropBatches, scan_negatives
from napari_lesion.training.detector.config import Stretch
from napari_lesion.training.detector.crops import CONSENSUS, IGNORED, SHARE, cut
from napari_lesion.training.detector.nodules import cube_nodules, slice_nodules
from napari_lesion.training.scenes import LESION, load_scenes

FLAT = Stretch("slices", "slices", steps=3, batch=3, roi=24, jitter=2)


def test_a_crop_in_the_middle_is_the_image(slices: Path) -> None:
    nodule = next(slice_nodules(slices, Intensity()))
    crop = cut((nodule.image, nodule.label, nodule.share), np.array([18, 18]), 16)
    np.testing.assert_array_equal(crop["image"][0], nodule.image[10:26, 10:26].astype(np.float32))
    np.testing.assert_array_equal(crop["target"][SHARE], nodule.share[10:26, 10:26].astype(np.float32))
    np.testing.assert_array_equal(crop["target"][CONSENSUS], nodule.label[10:26, 10:26] == LESION)
    assert not crop["target"][IGNORED].any()


def test_beyond_the_image_it_is_mirrored_and_ignored(slices: Path) -> None:
    nodule = next(slice_nodules(slices, Intensity()))
    crop = cut((nodule.image, nodule.label, nodule.share), np.array([0, 18]), 16)
    np.testing.assert_array_equal(crop["target"][IGNORED][:8], 1)
    np.testing.assert_array_equal(crop["target"][IGNORED][8:], 0)
    np.testing.assert_array_equal(crop["image"][0, 7], crop["image"][0, 9])


def test_a_step_decides_its_batch(slices: Path) -> None:
    nodules = list(slice_nodules(slices, Intensity()))
    one, two = CropBatches(nodules, FLAT, 1), CropBatches(nodules, FLAT, 1)
    one[0]
    for key in ("image", "target"):
        assert torch.equal(one[2][key], two[2][key])
    assert not torch.equal(one[1]["image"], one[2]["image"])
    assert not torch.equal(CropBatches(nodules, FLAT, 2)[2]["image"], one[2]["image"])


def test_target_keeps_its_range_through_the_augmentation(slices: Path) -> None:
    batches = CropBatches(list(slice_nodules(slices, Intensity())), FLAT, 1)
    for step in range(12):
        target = batches[step]["target"]
        assert target.min() >= 0
        assert target.max() <= 1
        assert torch.isfinite(batches[step]["image"]).all()


def test_negatives_hold_no_nodule(tiny_data: Path) -> None:
    scenes = load_scenes(list_cases(tiny_data), Intensity())
    negatives = scan_negatives([scene for scene in scenes if scene.case.kind == "scan"], {})
    assert len(negatives) == 1
    stretch = Stretch("cubes", "cubes", steps=1, batch=3, roi=24, negatives=2, jitter=2)
    target = CropBatches(cube_nodules(scenes), stretch, 1, negatives)[0]["target"]
    assert target.shape == (3, 3, 24, 24, 24)
    assert target[0, CONSENSUS].any()
    assert not target[1:, CONSENSUS].any()


def test_mined_marks_come_before_chance(tiny_data: Path) -> None:
    scenes = load_scenes(list_cases(tiny_data), Intensity())
    scan = next(scene for scene in scenes if scene.case.kind == "scan")
    ((scene, points),) = scan_negatives(scenes, {scan.case.name: np.array([[40, 40, 40]])})
    assert scene is scan
    np.testing.assert_array_equal(points, [[40, 40, 40]])
