"""The command line as a whole: help, version, and what it does not import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_inputs import Run

import napari_lesion

COMMANDS = ("detect", "measure", "compare", "models", "info", "doctor", "demo")
HEAVY = (
    "torch",
    "monai",
    "SimpleITK",
    "openvino",
    "sklearn",
    "skimage",
    "pydicom",
    "nibabel",
    "pandas",
    "napari",
    "qtpy",
)


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"napari-lesion {napari_lesion.__version__}\n")


def test_help_names_every_command_and_the_use(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "Research use only" in result.stdout
    assert all(name in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


@pytest.mark.parametrize("command", [[], ["detect"], ["measure"], ["compare"], ["doctor"], ["info"]])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    program = (
        "import json, sys\n"
        "from napari_lesion.cli.main import main\n"
        f"sys.argv = ['napari-lesion', *{command!r}, '--help']\n"
        "try:\n    main()\n"
        f"finally:\n    print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False)
    assert json.loads(done.stdout.splitlines()[-1]) == [], done.stderr


def test_an_unknown_command_is_one_sentence(run: Run) -> None:
    result = run("detekt")
    assert result.exit_code == 2
    assert "No such command 'detekt'" in result.stderr


def test_a_terminal_without_the_signs_is_no_fault(tmp_path: Path) -> None:
    program = "from napari_lesion.cli.main import main; main()"
    arguments = [sys.executable, "-c", program, "info", str(tmp_path / "größe³.nii.gz")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(arguments, capture_output=True, encoding="utf-8", env=environment, check=False)
    assert result.returncode == 2
    assert "gr??e?.nii.gz" in result.stderr
    assert "Traceback" not in result.stderr
