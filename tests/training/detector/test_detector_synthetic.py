"""Synthetic chests as background: what is a nodule in them is known, and they are made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector import synthetic
from napari_lesion.training.detector.batches import scan_negatives
from napari_lesion.training.scenes import LESION


class _Chest:
    """A tiny study in place of one that takes seconds to synthesise: two lungs in a body, a nodule in one."""

    def __init__(self, spec: object) -> None:
        self.spec = spec
        grid = Grid((60, 50, 40), (2.0, 2.0, 2.0))
        z, y, x = np.ogrid[:40, :50, :60]
        body = ((x - 30) / 29) ** 2 + ((y - 25) / 24) ** 2 <= 1
        lungs = sum(((x - c) / 10) ** 2 + ((y - 25) / 18) ** 2 <= 1 for c in (17, 43)) > 0
        hu = np.where(lungs, -850, np.where(body, 40, -1000)) * np.ones((40, 1, 1), int)
        nodule = (x - 17) ** 2 + (y - 25) ** 2 + (z - 20) ** 2 <= 3**2
        hu[nodule] = 30
        self.volume = Volume(hu.astype(np.int16), grid, Modality.CT)
        self.truth = LabelMap(nodule.astype(np.uint16), grid)


def test_nodules_are_lesions_and_the_rest_of_the_lungs_is_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def make(spec: object) -> _Chest:
        made.append(spec)
        return _Chest(spec)

    monkeypatch.setattr(synthetic, "make_chest", make)
    (scene,) = synthetic.synthetic_scenes([7], Intensity(), tmp_path)
    assert made[0].seed == 7  # type: ignore[attr-defined]
    assert (scene.label == LESION).sum() == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.15)
    assert scene.image[scene.label == LESION].mean() > 0.6
    ((_, points),) = scan_negatives([scene], {})
    assert len(points) > 1000
    assert not (scene.label[tuple(points.T)] == LESION).any()
    again = synthetic.synthetic_scenes([7], Intensity(), tmp_path)
    assert len(made) == 1
    np.testing.assert_array_equal(again[0].image, scene.image)


def test_a_synthetic_chest_is_no_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "make_chest", _Chest)
    (scene,) = synthetic.synthetic_scenes([3], Intensity(), tmp_path)
    assert scene.case.patient_id == "synthetic-3"
    assert scene.case.kind == "scan"
