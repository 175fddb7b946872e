"""A small study with a detection that needs no network."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.probability import ProbabilityMap, to_bytes
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.workflow.detect import Detection, DetectParameters, install_detection
from napari_lesion.workflow.measure import StudyMeasureRequest, measure_study
from napari_lesion.workflow.study import Study
from napari_lesion.workflow.threshold import mark_lesions

SHAPE = (24, 40, 60)


def two_balls() -> np.ndarray:
    """Probability 0.9 in a ball of radius 6 voxels and 0.7 in one of radius 4."""
    z, y, x = np.indices(SHAPE)
    values = np.zeros(SHAPE)
    values[(z - 12) ** 2 + (y - 20) ** 2 + (x - 15) ** 2 <= 36] = 0.9
    values[(z - 12) ** 2 + (y - 20) ** 2 + (x - 45) ** 2 <= 16] = 0.7
    return values


def detected_study(grid: Grid, source: Source | None = None) -> Study:
    """A CT study on ``grid`` (shape `SHAPE`) in which two balls were detected."""
    values = two_balls()
    array = np.where(values > 0, 40, -850).astype(np.int16)
    volume = Volume(array, grid, Modality.CT, source or Source(case="balls", series_uid="1.2.840.99"))
    probability = ProbabilityMap.from_dense(to_bytes(values), grid)
    marks = mark_lesions(probability, 0.5, 10.0)
    detection = Detection(
        model=SimpleNamespace(name="fake", version="1", weights_sha256="0" * 64, title="Fake"),  # type: ignore[arg-type]
        parameters=DetectParameters(),
        probability=probability,
        marks=marks,
        table=measure_study(StudyMeasureRequest(volume, marks.on(grid), marks.lesions)).table,
        device="cpu",
        backend="torch",
        windows=1,
        seconds={"windows": 0.25},
        organ="searched everywhere",
        notes=("One voxel was not finite",),
    )
    study = Study.of(volume, Check())
    install_detection(study, detection)
    return study


@pytest.fixture
def grid() -> Grid:
    return Grid(SHAPE[::-1], (0.7, 0.7, 1.25), (-10.0, 20.0, 30.5))


@pytest.fixture
def detected(grid: Grid) -> Study:
    return detected_study(grid)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results"
