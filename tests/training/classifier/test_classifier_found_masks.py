"""Ratings on the masks of the detector: the slice that is rated, what is left out, and what changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from classifier_tiny import collection, nodule

from napari_lesion.core.errors import InputError
from napari_lesion.training.cases import Case
from napari_lesion.training.classifier.found_masks import find_slices, found_slice, losses
from napari_lesion.training.classifier.judged import Judged, Truths

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def cube() -> tuple[np.ndarray, np.ndarray]:
    """A volume (x, y, z) as its file holds it, axes to left, posterior and superior, and a mask largest at z = 6."""
    hu = np.arange(8 * 9 * 10, dtype=np.int16).reshape(8, 9, 10)
    mask = np.zeros(hu.shape, bool)
    mask[2:4, 5:7, 3:7] = True
    mask[1:4, 4:8, 6] = True
    return hu, mask


@dataclass
class Model:
    """A detector that finds one mask, or nothing."""

    mask: np.ndarray
    asked: float = 0.0

    def look(self, _case: Case) -> Any:
        def on_the_nodule(threshold: float) -> str:
            self.asked = threshold
            return "marks"

        return SimpleNamespace(
            on_the_nodule=on_the_nodule, mask=lambda marks: self.mask if marks == "marks" else None
        )


def case(folder: Path, name: str, hu: np.ndarray) -> Case:
    path = folder / f"{name}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(hu, LPS), path)
    return Case(name, "p", "cube", path, None)


def test_the_slice_is_that_of_the_largest_area_of_the_found_mask_turned_as_in_training() -> None:
    hu, mask = cube()
    # The detector sees axes to right and anterior: both are turned back.
    made = found_slice(nodule(0, 0), hu[::-1, ::-1], mask[::-1, ::-1])
    np.testing.assert_array_equal(made.image, hu[:, :, 6].T)
    np.testing.assert_array_equal(made.consensus, mask[:, :, 6].T)


def test_size_and_ratings_stay_those_of_the_readers() -> None:
    hu, mask = cube()
    readers = nodule(0, 0, radius=7, malignancy=5)
    made = found_slice(readers, hu, mask)
    assert (made.diameter_mm, made.ratings, made.agreed) == (readers.diameter_mm, readers.ratings, readers.agreed)


def test_missed_nodules_are_left_out_of_both_sides(tmp_path: Path) -> None:
    hu, mask = cube()
    seen, missed = nodule(0, 1), nodule(1, 2)
    cases = {one.name: case(tmp_path, one.name, hu) for one in (seen, missed)}
    models = {1: Model(mask[::-1, ::-1]), 2: Model(np.zeros_like(mask))}
    readers, found = find_slices(models, cases, [seen, missed], 0.2)  # type: ignore[arg-type]
    assert readers == [seen]
    np.testing.assert_array_equal(found[0].image, hu[:, :, 6].T)
    assert [model.asked for model in models.values()] == [0.2, 0.2]


def test_an_image_on_another_grid_is_refused(tmp_path: Path) -> None:
    hu, mask = cube()
    one = nodule(0, 1)
    with pytest.raises(InputError, match="cannot be rated"):
        find_slices({1: Model(mask[:-1])}, {one.name: case(tmp_path, one.name, hu)}, [one], 0.2)  # type: ignore[dict-item]


def test_the_change_is_that_of_the_same_nodules() -> None:
    """The readers' masks order everything rightly; on the detector's the order is turned round."""
    nodules = [one for one in collection(60) if one.mean("malignancy") != 3]
    truths = Truths.of(nodules)
    sure = np.where(truths.suspicious == 1, 0.9, 0.1) + np.linspace(0, 0.01, len(nodules))
    texture = np.eye(3)[truths.texture]
    readers = Judged(sure, texture, sure, ())
    same = losses(readers, readers, truths)
    assert same["auc"]["all sizes"] == {"value": 0, "low": 0, "high": 0}
    assert same["texture_balanced_accuracy"] == {"value": 0, "low": 0, "high": 0}
    turned = losses(readers, replace(readers, suspicious=1 - sure, texture=np.roll(texture, 1, axis=1)), truths)
    assert turned["auc"]["all sizes"]["value"] == pytest.approx(-1)
    assert turned["texture_balanced_accuracy"]["value"] == pytest.approx(-1)
