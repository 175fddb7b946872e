"""Lesions as text that somebody pastes: a sentence for a report, lines with tabs for a spreadsheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from napari_lesion.core.display import AnatomicalView
from napari_lesion.core.table import Column, LesionTable, Row, Value
from napari_lesion.workflow.study import Study

NOTICE = "Research use only, not a diagnosis."
MINUS = "−"
MIXED = "mixed"
MEANS = ("density_mean_hu", "density_mean_suv", "density_mean_au")
AXES = ("long_axis_mm", "short_axis_mm")


def report_text(study: Study, labels: Iterable[int]) -> str:
    """Lesions in words, one line each, the notice at the end; a lesion without measurements is passed over.

    Lengths have one decimal, the mean diameter is in whole millimetres (halves upwards), as Fleischner asks. The
    series of several lesions is named once.
    """
    known = [label for label in labels if study.table.rows.get(label)]
    if not known:
        return ""
    series = _series(study, study.table.rows[known[0]])
    if len(known) == 1:
        return f"{_sentence(study, known[0], series)} {NOTICE}"
    lines = [_sentence(study, label) for label in known]
    return "\n".join((*lines, f"{series[:1].upper()}{series[1:]}. {NOTICE}"))


def spreadsheet_text(table: LesionTable, labels: Iterable[int], names: Sequence[str]) -> str:
    """Lines with tabs: titles with units, then one line a lesion, each value followed by its 95 % half width.

    Numbers have the decimals of the dock, a plain minus and no thousands separators; what is undefined is empty.

    Parameters
    ----------
    table
        Measurements.
    labels
        Lesions, in the order of the lines.
    names
        Columns; those that the table lacks are passed over.
    """
    columns = [table.column(name) for name in _with_errors(table, names)]
    lines = ["\t".join(column.header for column in columns)]
    for label in labels:
        row = {"label": label, **table.rows.get(label, {})}
        lines.append("\t".join(_plain(row.get(column.name), column) for column in columns))
    return "\n".join(lines) + "\n"


def shown_slice(study: Study, row: Row) -> str:
    """Axial slice of the long axis as the viewer counts it, ``41 of 120``; empty when unknown."""
    index = _number(row, "long_axis_slice")
    if not math.isfinite(index):
        return ""
    view = AnatomicalView.of(study.volume.grid)
    native = [0.0, 0.0, 0.0]
    native[view.axes[0]] = index
    return f"{round(float(view.to_display(native)[0])) + 1} of {view.display_shape[0]}"


def _sentence(study: Study, label: int, series: str = "") -> str:
    row = study.table.rows[label]
    name = study.lesions[label].tracking_id
    title = f"Lesion {label}" if name == str(label) else f"Lesion {label} ({name})"
    texture = str(row.get("nodule_type") or "")
    facts = [_where(row), _size(row), _volume(study.table, row), texture, _mean(study.table, row)]
    said = ", ".join(fact for fact in facts if fact) or "not measured"
    where = shown_slice(study, row)
    place = ", ".join(part for part in (series, f"axial slice {where}" if where else "") if part)
    return f"{title}: {'; '.join(part for part in (said, place) if part)}."


def _where(row: Row) -> str:
    """Lobe, else side and organ, where masks tell them."""
    lobe, side, organ = (str(row.get(name) or "") for name in ("lobe", "side", "organ"))
    if lobe and lobe != MIXED:
        return lobe
    return " ".join(part for part in (side, organ) if part and part != MIXED) if side else ""


def _size(row: Row) -> str:
    computed = _lengths(row, AXES)
    by_hand = _lengths(row, [f"manual_{name}" if _known(row, f"manual_{name}") else name for name in AXES])
    if not computed:
        return ""
    if any(_known(row, f"manual_{name}") for name in AXES):
        return f"{by_hand} (mean {_whole(row, 'manual_mean_diameter_mm')}) by hand, computed {computed}"
    return f"{computed} (mean {_whole(row, 'mean_diameter_mm')})"


def _lengths(row: Row, names: Sequence[str]) -> str:
    if not all(_known(row, name) for name in names):
        return ""
    return " × ".join(f"{_number(row, name):.1f}" for name in names) + " mm"


def _whole(row: Row, name: str) -> str:
    """In whole millimetres, halves upwards; the same relative grant as the Fleischner diameter has."""
    return f"{math.floor(_number(row, name) * (1 + 1e-9) + 0.5)} mm"


def _volume(table: LesionTable, row: Row) -> str:
    if not _known(row, "volume_mm3"):
        return ""
    text = f"{_number(row, 'volume_mm3'):,.0f} mm³"
    error = table.column("volume_mm3").error
    return f"{text} ± {_number(row, error):,.0f}" if error and _known(row, error) else text


def _mean(table: LesionTable, row: Row) -> str:
    for name in MEANS:
        if _known(row, name):
            column = table.column(name)
            decimals = 0 if column.unit == "HU" else 1
            return f"mean {_number(row, name):,.{decimals}f} {column.unit}".replace("-", MINUS)
    return ""


def _series(study: Study, row: Row) -> str:
    source = study.volume.source
    name = f"{source.case} ({source.description})" if source.description else source.case
    return ", ".join(part for part in (f"series {name}", str(row.get("series_date") or "")) if part)


def _with_errors(table: LesionTable, names: Sequence[str]) -> list[str]:
    present = set(table.names)
    found: list[str] = []
    for name in names:
        for wanted in (name, table.column(name).error) if name in present else ():
            if wanted in present and wanted not in found:
                found.append(wanted)
    return found


def _plain(value: Value, column: Column) -> str:
    if isinstance(value, str):
        return value.replace("\t", " ")
    if isinstance(value, int):
        return str(value)
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:.{column.decimals}f}"


def _known(row: Row, name: str) -> bool:
    return math.isfinite(_number(row, name))


def _number(row: Row, name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, (int, float)) else math.nan
