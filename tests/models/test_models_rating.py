"""A bundle that rates lesions is no model to detect with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from napari_lesion.models.catalogue import MODELS_VARIABLE, rates, scan_bundles


def test_a_bundle_that_rates_is_never_offered_for_detection(
    tmp_path: Path, write_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    detecting = write_bundle(tmp_path / "detecting")
    rating = write_bundle(tmp_path / "a_rating", own={"task": "classification"})
    found = scan_bundles()
    names = [info.name for info in found.bundles]
    assert "detecting" in names
    assert "a_rating" not in names
    assert rating not in [path for path, _ in found.problems]
    assert (rates(rating), rates(detecting), rates(tmp_path)) == (True, False, False)


def test_a_damaged_bundle_is_still_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    (tmp_path / "damaged" / "configs").mkdir(parents=True)
    (tmp_path / "damaged" / "configs" / "metadata.json").write_text("{")
    assert tmp_path / "damaged" in [path for path, _ in scan_bundles().problems]
