from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_tiny import ball

from napari_lesion.training.cases import list_cases
from napari_lesion.training.config import Intensity
from napari_lesion.training.mine import (
    MinedMark,
    Search,
    hard_points,
    left_in_doubt,
    mine_marks,
    with_doubt,
)
from napari_lesion.training.scenes import IGNORE, Scene, load_scenes

NODULE_LIKE = MinedMark((35, 45, 40), 120, 0.9, 1.3, 0.95)


@pytest.fixture(scope="module")
def scan(tiny_data: Path) -> Scene:
    return load_scenes([case for case in list_cases(tiny_data) if case.kind == "scan"], Intensity())[0]


class BrightVoxels(torch.nn.Module):
    """Marks what is denser than -300 HU."""

    def __init__(self) -> None:
        super().__init__()
        self.anything = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.where(image > 0.5, 5.0, -5.0)


def test_a_ball_in_the_lung_is_mined_and_left_in_doubt(scan: Scene, tmp_path: Path) -> None:
    image = scan.image.copy()
    inside = ball(image.shape, (35, 45, 40), 4)
    image[inside] = 0.75
    bright = replace(scan, image=image, lung=scan.lung & (scan.image < 0.3))
    record = tmp_path / "mined.json"
    mined = mine_marks(Search(BrightVoxels(), Intensity(), 48), [bright], record)
    (mark,) = mined[scan.case.name]
    assert mark.center == (35, 45, 40)
    assert mark.voxels == inside.sum()
    assert mark.axis_ratio == pytest.approx(1, abs=0.05)
    assert mark.doubtful
    assert mine_marks(Search(BrightVoxels(), Intensity(), 48), [], record) == mined


@pytest.mark.parametrize(
    "change", [{"mean_probability": 0.5}, {"axis_ratio": 3.0}, {"lung_around": 0.4}], ids=lambda change: str(*change)
)
def test_marks_that_do_not_look_like_nodules_are_trained_against(scan: Scene, change: dict[str, float]) -> None:
    mined = {scan.case.name: [replace(NODULE_LIKE, **change)]}
    assert left_in_doubt([scan], mined) == []
    np.testing.assert_array_equal(hard_points([scan], mined)[scan.case.name], [[35, 45, 40]])
    np.testing.assert_array_equal(with_doubt([scan], mined)[0].label, scan.label)


def test_doubt_is_ignored_and_the_scene_given_is_left_alone(scan: Scene) -> None:
    before = scan.label.copy()
    mined = {scan.case.name: [NODULE_LIKE]}
    assert hard_points([scan], mined) == {}
    label = with_doubt([scan], mined)[0].label
    assert label[35, 45, 40] == IGNORE
    assert (label != before).sum() == ball(before.shape, (35, 45, 40), (3 * 120 / (4 * np.pi)) ** (1 / 3) + 3).sum()
    np.testing.assert_array_equal(scan.label, before)


def test_in_a_cube_nothing_is_left_in_doubt(tiny_data: Path) -> None:
    cube = load_scenes(list_cases(tiny_data)[:1], Intensity())[0]
    assert left_in_doubt([cube], {cube.case.name: [NODULE_LIKE]}) == []
