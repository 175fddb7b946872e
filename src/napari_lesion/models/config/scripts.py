"""The code that comes with a bundle, looked at and never run: what it imports, and how much of it there is."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 2**20
FOLDERS: Final = ("scripts", "src")


def script_files(root: Path) -> list[Path]:
    """Python files that a trusted configuration could import, in the order of their names."""
    inside = (path for folder in FOLDERS for path in (root / folder).rglob("*.py") if path.is_file())
    return sorted([*root.glob("*.py"), *inside])


def imported_by_scripts(root: Path) -> set[str]:
    """Modules of the highest level that the code imports as it is loaded, Python's own and its own left out.

    An import inside a function or a ``try`` may never be needed, and is left out too.
    """
    files = script_files(root)
    own = {path.name.removesuffix(".py") for path in root.iterdir()} if files else set()
    found = {name for path in files for name in _imports(path)}
    return found - own - sys.stdlib_module_names


def _imports(path: Path) -> Iterator[str]:
    try:
        if path.stat().st_size > MAX_BYTES:
            return
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in body:
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
