"""The page of measures is what the registry says."""

from __future__ import annotations

from pathlib import Path

from napari_lesion.measure.docs import page
from napari_lesion.measure.registry import FEATURES
from napari_lesion.measure.spec import Scale
from napari_lesion.measure.uncertainty import FLAGS

PAGE = Path(__file__).parents[2] / "docs" / "measures.md"


def test_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m napari_lesion.measure.docs > docs/measures.md"


def test_page_names_every_column_and_flag() -> None:
    text = page()
    assert [spec.name for spec in FEATURES if f"`{spec.column_name(Scale.HU)}`" not in text] == []
    names = [flag.name for flag in FLAGS]
    assert names == sorted(names)
    assert [name for name in names if f"| `{name}` |" not in text] == []
