"""Parts of the pages that are made from the code when the site is built; nothing is written into the source tree."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the changelog, which stands at the top level."""
    content = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "changelog.md", content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in ``{{ commands }}``, ``{{ keys }}``, ``{{ preferences }}`` and ``{{ steps }}``."""
    parts: dict[str, Callable[[], str]] = {
        "commands": commands,
        "keys": keys,
        "preferences": preferences,
        "steps": steps,
    }
    return re.sub(r"^\{\{ (\w+) \}\}$", lambda match: parts[match[1]](), markdown, flags=re.MULTILINE)


def commands() -> str:
    """Every command and option, by typer's own documentation tool."""
    tool = [sys.executable, "-m", "typer", "napari_lesion.cli.main", "utils", "docs", "--name", "napari-lesion"]
    text = subprocess.run(tool, check=True, capture_output=True, text=True).stdout
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    return "\n".join(f"### {section}" for section in sections)


def keys() -> str:
    """Every action of the dock with its key."""
    from napari_lesion.gui.actions import DOCK_ACTIONS
    from napari_lesion.gui.presenters.correct import CORRECT_ACTIONS

    actions = (*DOCK_ACTIONS, *CORRECT_ACTIONS)
    return table(("action", "key", "what it does"), [(a.title, f"<kbd>{a.key}</kbd>", a.tip) for a in actions])


def preferences() -> str:
    """Every preference that napari.yaml declares."""
    manifest = yaml.safe_load((ROOT / "napari.yaml").read_text(encoding="utf-8"))
    groups = manifest["contributions"]["configurations"].values()
    entries = [entry for group in groups for entry in group["properties"].values()]
    rows = [(entry["title"], entry["description"], str(entry["default"])) for entry in entries]
    return table(("preference", "what it does", "at first"), rows)


def steps() -> str:
    """Every step of pre-processing with its parameters."""
    from napari_lesion.core.parameters import parameter_fields
    from napari_lesion.preprocess.steps import STEPS

    sections = []
    for step in STEPS.values():
        only = f" {' and '.join(step.modalities)} only." if step.modalities else ""
        rows = [
            (
                f"`{item.name}`",
                f"`{item.default}`",
                item.param.help + (f" ({item.param.unit})" * bool(item.param.unit)),
            )
            for item in parameter_fields(step.parameters)
        ]
        head = f"### `{step.name}`\n\n{step.summary}.{only} Transform: `{step.target}`."
        sections.append(f"{head}\n\n{table(('parameter', 'default', 'what it does'), rows)}\n")
    return "\n".join(sections)


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [heads, ("---",) * len(heads), *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
