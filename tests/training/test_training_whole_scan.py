from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_tiny import ball

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import LabelMap
from napari_lesion.models.metadata import read_bundle
from napari_lesion.training.whole_scan import score_marks, score_scan

SHAPE = (30, 40, 50)
GRID = Grid(size=(50, 40, 30), spacing=(1.0, 1.0, 2.0))
SHIPPED = Path(__file__).parents[2] / "resources" / "bundles" / "lung_nodule_ct"


def test_marks_on_and_off_the_lesion() -> None:
    lesion = ball(SHAPE, (15, 20, 10), 5)
    array = np.where(lesion, 3, 0)
    array[ball(SHAPE, (15, 20, 40), 2)] = 7
    score = score_marks(LabelMap(array, GRID), lesion, 0.5)
    assert (score.found, score.dice, score.other_marks) == (True, 1.0, 1)
    assert score.other_volumes_mm3 == (2 * int(ball(SHAPE, (15, 20, 40), 2).sum()),)


def test_nothing_marked_is_a_miss() -> None:
    score = score_marks(LabelMap.empty(GRID), ball(SHAPE, (15, 20, 10), 5), 0.5)
    assert (score.found, score.dice, score.other_marks) == (False, 0.0, 0)


def test_an_outline_of_another_grid_is_refused() -> None:
    with pytest.raises(GeometryError, match="does not fit"):
        score_marks(LabelMap.empty(GRID), np.zeros((3, 3, 3), dtype=bool), 0.5)


@pytest.mark.real
@pytest.mark.slow
def test_the_shipped_model_finds_the_test_nodule(shared_data: Path) -> None:
    """LIDC-IDRI-0314 was in no training, tuning or threshold data."""
    folder = shared_data / "data" / "chest_ct" / "LIDC-IDRI-0314"
    scores = score_scan(read_bundle(SHIPPED), folder / "dicom", folder / "mask_agreement.nii.gz", 2)
    assert scores[0].found
    assert scores[0].other_marks <= 5
