"""Which bundles are offered for a detection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from napari_lesion.models.catalogue import MODELS_VARIABLE, list_bundles
from napari_lesion.workflow.models import default_model, list_models


def test_a_second_stage_and_a_classifier_are_not_offered(
    write_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    write_bundle(tmp_path / "a_refiner", {"task": "refinement"})
    write_bundle(tmp_path / "b_classifier", {"task": "classification"})
    write_bundle(tmp_path / "c_detector")
    assert {"a_refiner", "c_detector"} <= {bundle.name for bundle in list_bundles()}
    offered = [bundle.name for bundle in list_models()]
    assert "c_detector" in offered
    assert not {"a_refiner", "b_classifier"} & set(offered)
    assert default_model().task == "segmentation"
