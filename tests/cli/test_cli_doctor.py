"""``napari-lesion doctor``: what it says of machines that lack something."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli_inputs import Run

import napari_lesion
from napari_lesion.models.catalogue import Catalogue
from napari_lesion.workflow import display, doctor, ibsi


@pytest.fixture(autouse=True)
def _quick_qt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "start_qt", lambda: display.QtStart(True, "PySide6"))


def lines_of(result: Any, name: str) -> list[str]:
    return [line for line in result.stdout.splitlines() if line[7:].startswith(name)]


def line_of(result: Any, name: str) -> str:
    (line,) = lines_of(result, name)
    return line


def test_versions_device_and_models(run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.stdout
    assert result.stdout.split()[:3] == ["ok", "napari-lesion", napari_lesion.__version__]
    models = lines_of(result, "Model ")
    assert any("lung_nodule_ct" in line for line in models)
    assert all(line.startswith("ok") for line in models)
    for words in ("torch", "openvino", "Processors", "Display", "Detection runs on"):
        assert words in result.stdout


def test_a_missing_library_is_a_fault(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "REQUIRED", ("torch", "no_such_library"))
    result = run("doctor")
    assert result.exit_code == 1
    assert line_of(result, "no_such_library").split() == ["fault", "no_such_library", "missing"]


def test_no_model_is_a_fault(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "scan_bundles", lambda: Catalogue(()))
    result = run("doctor")
    assert result.exit_code == 1
    assert line_of(result, "Models").startswith("fault")


def test_a_damaged_model_of_the_user_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine" / "configs").mkdir(parents=True)
    (tmp_path / "mine" / "configs" / "metadata.json").write_text("{")
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path))
    result = run("doctor")
    assert result.exit_code == 0
    assert f"{tmp_path / 'mine'}: " in result.stdout


def test_a_folder_that_cannot_be_written_is_a_fault(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    result = run("doctor")
    assert result.exit_code == 1
    assert line_of(result, "Cache").endswith("cannot be written: Permission denied")


def test_qt_that_does_not_start_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def abort(*_arguments: object, **_options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], -6, "", "\nqt.qpa.plugin: Could not load the Qt platform plugin\n")

    monkeypatch.setattr(display.subprocess, "run", abort)
    started = display.start_qt()
    assert not started.works
    assert "Could not load the Qt platform plugin" in started.words


def test_qt_starts_here() -> None:
    started = display.start_qt()
    assert started.works, started.words


def test_the_ibsi_phantom_passes_row_by_row(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "ibsi.json"
    result = run("doctor", "--ibsi", "--json", out)
    assert result.exit_code == 0, result.stdout
    lines = result.stdout.splitlines()
    assert [line.split()[-1] for line in lines[1:-1]] == ["pass"] * 68
    assert lines[-1] == "68 of 68 values within the tolerance of IBSI"
    assert lines[1].split() == ["mesh_volume_mm3", "RNU0", "556.333", "556", "4", "pass"]
    record = json.loads(out.read_text(encoding="utf-8"))
    assert (record["passed"], record["failed"], len(record["rows"])) == (68, 0, 68)
    assert record["settings"]["bin_width"] == 1.0


def test_a_wrong_or_missing_value_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *others = ibsi.reference_values()
    wrong = ({**first, "value": "600"}, {**second, "column": "no_such_column"}, *others)
    monkeypatch.setattr(ibsi, "reference_values", lambda: wrong)
    result = run("doctor", "--ibsi")
    assert result.exit_code == 1
    assert [line.split()[-1] for line in result.stdout.splitlines()[1:3]] == ["FAIL", "FAIL"]
    assert result.stdout.splitlines()[-1] == "66 of 68 values within the tolerance of IBSI"
    assert "2 values lie outside" in result.stderr


def test_json_without_ibsi_is_refused(run: Run, tmp_path: Path) -> None:
    result = run("doctor", "--json", tmp_path / "x.json")
    assert result.exit_code == 2
    assert "--ibsi" in result.stderr
