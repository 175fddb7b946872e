"""The patient of a series is known by a keyed hash, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from io_dicom_files import Series, write_series

from napari_lesion.io.patient import pseudonym_of_patient
from napari_lesion.io.read import read_volume


def series_of(folder: Path, patient: str | None, issuer: str | None = None) -> str:
    """Write a series of a patient; what the volume knows of them."""
    write_series(folder, Series(changes={"PatientID": patient, "IssuerOfPatientID": issuer}))
    source = read_volume(folder).source
    assert "MRN" not in repr(source)
    return str(source.headers["patient"])


def test_one_patient_has_one_pseudonym(tmp_path: Path) -> None:
    first = series_of(tmp_path / "a", "MRN0815")
    assert first.startswith("2.25.")
    assert series_of(tmp_path / "b", "MRN0815") == first
    others = [
        series_of(tmp_path / "c", "MRN0816"),
        series_of(tmp_path / "d", "MRN0815", "another hospital"),
    ]
    assert len({first, *others}) == 3
    assert series_of(tmp_path / "e", None) == ""


def test_another_key_gives_another_pseudonym(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pseudonym_of_patient("MRN0815")
    assert pseudonym_of_patient("MRN0815") == first
    monkeypatch.setenv("NAPARI_LESION_STATE_DIR", str(tmp_path / "elsewhere"))
    assert pseudonym_of_patient("MRN0815") not in ("", first)
    assert pseudonym_of_patient("Müller") != pseudonym_of_patient("Möller")
    assert pseudonym_of_patient("") == ""


def test_without_a_place_for_the_key_the_patient_stays_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NAPARI_LESION_STATE_DIR", str(tmp_path / "file" / "state"))
    assert pseudonym_of_patient("MRN0815") == ""
