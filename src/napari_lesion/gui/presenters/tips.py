"""Tool tips as rich text, which Qt wraps: paragraphs, and what there is to know of a column."""

from __future__ import annotations

from html import escape

from napari_lesion.core.table import Column

EXPERIMENTAL = "Experimental: it did not follow the readers in validation, or was not compared with them."


def tip(*paragraphs: str) -> str:
    """Paragraphs of plain text as rich text; empty ones are left out."""
    return "".join(f"<p>{escape(text, quote=False)}</p>" for text in paragraphs if text)


def column_tip(column: Column) -> str:
    """Title, unit, definition, reference and code of a column."""
    words = [
        f"<b>{escape(column.header)}</b>",
        escape(column.definition, quote=False),
        f"<b>{escape(EXPERIMENTAL)}</b>" if column.experimental else "",
        f"<i>Reference:</i> {escape(column.reference)}" if column.reference else "",
        f"<i>DICOM code:</i> {escape(column.code)}" if column.code else "",
        f"<i>Error bar:</i> 95 % half width, column <code>{escape(column.error)}</code>" if column.error else "",
        f"<i>In lesions.csv:</i> <code>{escape(column.name)}</code>",
    ]
    return f"<p>{'<br>'.join(line for line in words if line)}</p>"
