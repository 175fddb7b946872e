"""README and documentation name only files, make targets, commands and options that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
COMMAND = re.compile(r"^(?:\$ )?napari-lesion (models (?:check|add|card)|\w+)(.*)$", re.MULTILINE)


def fenced(text: str) -> str:
    """Text of the fenced code blocks, with continued lines joined."""
    return "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")


@pytest.fixture(scope="module")
def help_of() -> dict[str, str]:
    program = "from napari_lesion.cli.main import main; main()"
    commands = (
        "detect",
        "measure",
        "compare",
        "models",
        "models check",
        "models add",
        "models card",
        "preprocess",
        "evaluate",
        "train",
        "adapt",
        "info",
        "doctor",
        "demo",
    )
    return {
        name: subprocess.run(
            [sys.executable, "-c", program, *name.split(), "--help"],
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
        for name in commands
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path, help_of: dict[str, str]) -> None:
    for name, rest in COMMAND.findall(fenced(page.read_text(encoding="utf-8"))):
        assert name in help_of
        for option in re.findall(r"(?<!\S)(--[a-z0-9-]+)", rest):
            assert option in help_of[name], f"napari-lesion {name} {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)", text)) | set(
        re.findall(r"^make ([a-z-]+)", fenced(text), re.MULTILINE)
    )
    assert named <= targets


def test_links_of_the_readme_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_readme_gives_the_pinned_torch() -> None:
    (pin,) = re.findall(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    (default,) = re.findall(r"^TORCH \?= (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert default == pin
    for page in (ROOT / "README.md", ROOT / "docs" / "index.md"):
        assert set(re.findall(r"torch==([\d.]+)", page.read_text(encoding="utf-8"))) == {pin}


def test_every_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^+]+", line) for line in lines), "no local builds, no ranges"
