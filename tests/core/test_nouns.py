"""Errors, checks, tables and volumes say what they mean."""

from __future__ import annotations

import numpy as np
import pytest

from napari_lesion.core.errors import GeometryError, LesionError
from napari_lesion.core.findings import Check, Finding, Level
from napari_lesion.core.grid import Grid
from napari_lesion.core.table import Column, LesionTable
from napari_lesion.core.volume import LabelMap, Modality, Volume

GRID = Grid((4, 3, 2), (1.0, 1.0, 2.0))


def test_an_error_says_what_why_and_what_to_do() -> None:
    error = LesionError("the file cannot be read.", "it ends too early", "copy it again")
    assert error.message == "The file cannot be read. It ends too early. Copy it again."
    assert str(error) == error.message
    assert LesionError("scan.nii is empty").message == "scan.nii is empty."


def test_a_check_is_as_serious_as_its_worst_finding() -> None:
    check = Check(
        (Finding(Level.GREEN, "a", "Fine"), Finding(Level.YELLOW, "b", "Hm"), Finding(Level.YELLOW, "c", "Oh"))
    )
    assert check.level == Level.YELLOW
    assert check.headline == "Hm"
    assert check.as_dict()["level"] == "yellow"
    assert Check().level == Level.GREEN


def test_a_volume_must_fit_its_grid() -> None:
    with pytest.raises(GeometryError, match="does not fit"):
        Volume(np.zeros((4, 3, 2)), GRID)
    with pytest.raises(GeometryError, match="whole numbers"):
        LabelMap(np.zeros(GRID.shape, dtype=np.float32), GRID)


def test_a_stated_modality_is_no_guess() -> None:
    volume = Volume(np.zeros(GRID.shape, dtype=np.int16), GRID)
    assert not volume.source.modality_stated
    stated = volume.with_modality(Modality.MR)
    assert stated.modality == Modality.MR
    assert stated.source.modality_stated
    assert stated.array is volume.array


def test_tables_are_updated_row_by_row() -> None:
    columns = (Column("label"), Column("volume_mm3", "Volume", "mm³"))
    table = LesionTable(columns, {1: {"label": 1}, 2: {"label": 2}})
    updated = table.updated(LesionTable(columns, {2: {"label": 2, "volume_mm3": 8.0}}), removed=[1])
    assert updated.labels == [2]
    assert updated.rows[2]["volume_mm3"] == 8.0
    assert table.labels == [1, 2]
    assert table.ordered([2, 7, 1]).labels == [2, 1]
    assert table.column("volume_mm3").header == "Volume (mm³)"
    with pytest.raises(KeyError):
        table.column("nothing")
