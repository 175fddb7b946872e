"""The page on follow-up names every column and flag of a comparison, with its definition."""

from __future__ import annotations

import re
from pathlib import Path

from napari_lesion.workflow.change_table import CHANGES, FLAG_MEANINGS
from napari_lesion.workflow.compare import TARGET_COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "follow-up.md").read_text(encoding="utf-8")


def test_the_page_defines_every_column() -> None:
    columns = (*(spec.column for spec in CHANGES), *TARGET_COLUMNS)
    names = [column.name for column in columns]
    assert len(names) == len(set(names))
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    own = [column for column in columns if not re.search(r"_(earlier|later)$", column.name)]
    assert [column.name for column in own if f"| `{column.name}` | {column.definition} |" not in PAGE] == []
    assert all(column.ucum or not column.unit for column in columns)


def test_the_page_defines_every_flag() -> None:
    assert [name for name, meaning in FLAG_MEANINGS.items() if f"| `{name}` | {meaning} |" not in PAGE] == []
    assert list(FLAG_MEANINGS) == sorted(FLAG_MEANINGS)
