"""The fit check warns in plain words and refuses nothing that can be computed."""

from __future__ import annotations

import numpy as np
import pytest

from napari_lesion.core.findings import Level
from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.workflow import fit
from napari_lesion.workflow.detect import DetectParameters
from napari_lesion.workflow.fit import check_fit
from napari_lesion.workflow.models import find_model

STATED = Source(modality_stated=True)


def volume(
    shape: tuple[int, int, int] = (150, 200, 200),
    spacing: tuple[float, float, float] = (0.8, 0.8, 1.0),
    modality: Modality = Modality.CT,
    source: Source = STATED,
) -> Volume:
    return Volume(np.zeros(shape, dtype=np.int16), Grid(shape[::-1], spacing), modality, source)


@pytest.mark.parametrize(
    ("study", "code"),
    [
        (volume(), "suits"),
        (volume(modality=Modality.MR), "modality_other"),
        (volume(modality=Modality.UNKNOWN, source=Source()), "modality_unknown"),
        (volume(source=Source()), "modality_guessed"),
        (volume((40, 200, 200), (0.8, 0.8, 5.0)), "thick_slices"),
        (volume((150, 100, 100), (2.0, 2.0, 1.0)), "coarse_pixels"),
        (volume((51, 51, 51), (1.0, 1.0, 1.0)), "part_of_organ"),
        (volume((3, 200, 200)), "thin_volume"),
    ],
)
def test_each_mismatch_is_told(study: Volume, code: str) -> None:
    found = check_fit(study, find_model(None), DetectParameters(device="cpu"))
    assert code in found.check.codes
    assert found.check.level == (Level.GREEN if code == "suits" else Level.YELLOW)
    assert found.sentence
    assert found.cost.memory_mib > 0
    assert found.cost.windows >= 1


def test_too_little_memory_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "available_memory_mib", lambda: 10.0)
    found = check_fit(volume(), find_model(None), DetectParameters(device="cpu"))
    assert "little_memory" in found.check.codes
