"""Figures of several folds together, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_lesion.core.errors import InputError
from napari_lesion.training.refiner.pool import main, pool


def _case(patient: str, dice: float, n_readers: int = 4, kind: str = "cube", **more: Any) -> dict[str, Any]:
    base = {"threshold": 0.5, "patient_id": patient, "dice": dice, "found": dice > 0, "other_marks": 0}
    return {**base, "n_readers": n_readers, "kind": kind, "readers_dice": 0.8, **more}


FOLDS: list[dict[str, Any]] = [
    {"fold": 0, "cases": [_case("a", 0.9), _case("b", 0.0, other_marks=2), _case("c", 0.1, n_readers=2)]},
    {"fold": 1, "cases": [_case("d", 0.6), _case("e", 1.0, kind="scan"), _case("f", 0.2, threshold=0.3)]},
]


def test_misses_count_and_other_cases_do_not() -> None:
    pooled = pool(FOLDS, 0.5)
    assert (pooled["nodules"], pooled["patients"]) == (3, 3)
    assert pooled["dice"]["value"] == pytest.approx(0.5)
    assert pooled["sensitivity"]["value"] == pytest.approx(2 / 3)
    assert pooled["marks_per_cube"]["value"] == pytest.approx(2 / 4)
    assert pooled["dice_by_fold"] == pytest.approx({0: 0.45, 1: 0.6})
    assert pooled["dice_sd_of_folds"] == pytest.approx(0.075)
    assert pooled["dice"]["low"] <= 0.5 <= pooled["dice"]["high"]


def test_a_fold_comes_once() -> None:
    with pytest.raises(InputError, match="comes twice"):
        pool([FOLDS[0], FOLDS[0]], 0.5)


def test_a_threshold_that_was_not_measured_is_refused() -> None:
    with pytest.raises(InputError, match=r"[Nn]o nodule was measured at the threshold 0\.7"):
        pool(FOLDS, 0.7)


def test_the_command_reads_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"{fold['fold']}.json" for fold in FOLDS]
    for path, fold in zip(paths, FOLDS, strict=True):
        path.write_text(json.dumps(fold))
    main(paths, tmp_path / "pooled.json")
    assert json.loads((tmp_path / "pooled.json").read_text(encoding="utf-8"))["nodules"] == 3
