"""Pages that are made from the code when the site is built: the command line, the measures, the changelog."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated pages; nothing is written into the source tree."""
    pages = {"cli.md": command_line(), "measures.md": measures(), "changelog.md": (ROOT / "CHANGELOG.md").read_text()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def command_line() -> str:
    """Reference of every command, by typer's own documentation tool."""
    tool = [sys.executable, "-m", "typer", "napari_lesion.cli.main", "utils", "docs", "--name", "napari-lesion"]
    text = subprocess.run(tool, check=True, capture_output=True, text=True).stdout
    return text.replace("# `napari-lesion`", "# Command line", 1)


def measures() -> str:
    """One section a family, one row a measure, from the registry that also makes table, CSV and JSON."""
    from napari_lesion.measure.registry import FEATURES

    families: dict[str, list[str]] = {}
    for spec in FEATURES:
        cells = (f"`{spec.name}`", spec.unit, spec.definition, spec.reference)
        row = "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
        families.setdefault(spec.family, []).append(row)
    parts = ["# Measures", "The columns of lesions.csv, in the words of run.json.", ""]
    for family, rows in families.items():
        parts += [f"## {family.capitalize()}", "", "| column | unit | definition | reference |", "|---|---|---|---|"]
        parts += [*rows, ""]
    return "\n".join(parts)
