"""Pages that are made from the code when the site is built: the command line, the measures, the changelog."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]

MEASURES = """# Measures

The columns of lesions.csv, in the words that run.json repeats for each export. An undefined value is an empty cell,
never 0. Columns that end in `_hu` on CT end in `_au` (arbitrary units) on MR."""


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
    from napari_lesion.measure.spec import Scale

    families: dict[str, list[str]] = {}
    for spec in FEATURES:
        scale = next(scale for scale in Scale if spec.applies_to(scale))
        column = spec.column(scale)
        name = f"`{column.name}`" + (" (on request)" if spec.optional else "")
        cells = (name, column.unit, column.definition, column.reference)
        row = "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
        families.setdefault(spec.family.value, []).append(row)
    parts = [MEASURES, ""]
    for family, rows in families.items():
        parts += [f"## {family.capitalize()}", "", "| column | unit | definition | reference |", "|---|---|---|---|"]
        parts += [*rows, ""]
    return "\n".join(parts)
