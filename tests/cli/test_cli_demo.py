"""``napari-lesion demo``: how it starts the viewer (what the viewer then does is tested in tests/gui)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli_inputs import Run

from napari_lesion.cli import demo
from napari_lesion.workflow import display


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    made: list[list[str]] = []

    def call(arguments: list[str]) -> int:
        made.append(arguments)
        return 0

    monkeypatch.setattr(demo.subprocess, "call", call)
    monkeypatch.setattr(demo.platform, "system", lambda: "Linux")
    monkeypatch.setattr(display.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return made


VIEWER = [sys.executable, "-m", "napari_lesion.demo"]
VIRTUAL = ["xvfb-run", "-a", "-s", "-screen 0 1920x1080x24"]


def test_opens_a_window_on_a_display(run: Run, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    assert run("demo").exit_code == 0
    assert calls == [VIEWER]


def test_runs_on_a_virtual_display_where_there_is_none(
    run: Run, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    run("demo", "--out", tmp_path, "--sample", "lidc_0314_part")
    assert calls == [[*VIRTUAL, *VIEWER, "--headless", "--out", str(tmp_path), "--sample", "lidc_0314_part"]]


def test_headless_opens_no_window_on_a_display(
    run: Run, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    run("demo", "--headless")
    assert calls == [[*VIRTUAL, *VIEWER, "--headless"]]


def test_says_what_to_type_without_xvfb(run: Run, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr(display.shutil, "which", lambda _name: None)
    result = run("demo")
    assert (result.exit_code, calls) == (2, [])
    assert "apt-get install -y xvfb xauth" in result.stderr


def test_says_what_to_type_without_napari(run: Run, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda _name: None)
    result = run("demo")
    assert (result.exit_code, calls) == (2, [])
    assert 'pip install "napari-lesion[gui]"' in result.stderr


def test_the_exit_code_of_the_viewer_is_passed_on(
    run: Run, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(demo.subprocess, "call", lambda _arguments: 3)
    assert run("demo").exit_code == 3
