"""Compare the tables of two or more visits: change of each lesion, and response of target lesions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from napari_lesion.core.errors import InputError, LesionError, OutputError
from napari_lesion.core.table import Column, LesionTable, Row
from napari_lesion.io.records import write_json
from napari_lesion.io.tables import write_table
from napari_lesion.measure.change import GrowthCategory
from napari_lesion.measure.recist import Target, VisitSum, check_targets, follow_targets
from napari_lesion.workflow.change_table import CHANGES, FLAG_MEANINGS, Pair
from napari_lesion.workflow.export import make_folder
from napari_lesion.workflow.record import column_record, product_record
from napari_lesion.workflow.visits import Visit, days_between, read_visit

RECIST = "Eisenhauer 2009, Eur J Cancer 45:228 (RECIST 1.1)"
TARGET_COLUMNS = (
    Column("target", "Target", definition="target, node, or empty for a lesion that is no target.", reference=RECIST),
    Column(
        "sld_mm",
        "Sum of diameters",
        "mm",
        "mm",
        "Of the patient, the same in every row: sum of the long axes of the targets (short axes of nodes) at the "
        "last visit; 0 for a target that is gone. The reader's caliper counts where one was set.",
        RECIST,
        "(DCM 126081) RECIST 1.1",
    ),
    Column("sld_change_baseline_percent", "Sum against baseline", "%", "%", "Change since the first visit.", RECIST),
    Column(
        "sld_change_nadir_percent",
        "Sum against nadir",
        "%",
        "%",
        "Change against the smallest sum of all visits before, the baseline among them.",
        RECIST,
    ),
    Column(
        "recist_target_response",
        "Target response",
        definition="Of the target lesions alone: CR all gone and nodes below 10 mm; PD sum at least +20 % and +5 mm "
        "over the nadir; PR sum at least -30 % of the baseline; else SD. New lesions are not in it. Confirm it.",
        reference=RECIST,
    ),
)


@dataclass(frozen=True)
class CompareRequest:
    """What to compare.

    Parameters
    ----------
    tables
        Tables of one patient in order of time. The last two are compared row by row; the first is the baseline of the
        targets, and all count for their nadir.
    out
        The table to write; its record goes beside it, as ``<stem>.run.json``.
    days
        Days between the last two visits, where the tables hold no dates; None when the dates say.
    targets, nodes
        Names of target lesions; those among ``nodes`` are lymph nodes, measured by their short axis.
    unpaired
        Whether two tables without a common lesion are compared all the same.
    """

    tables: tuple[Path, ...]
    out: Path
    days: float | None = None
    targets: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    unpaired: bool = False


@dataclass(frozen=True)
class Comparison:
    """What became of the lesions.

    Parameters
    ----------
    pairs
        Lesions of the last two visits, in the order of the earlier table, then the new ones.
    sums
        Sum of diameters at every visit; empty without targets.
    table
        What was written.
    warnings
        What the user should know.
    """

    pairs: tuple[Pair, ...]
    sums: tuple[VisitSum, ...] = ()
    table: LesionTable = field(default_factory=LesionTable)
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of lesions of each growth category."""
        return dict(Counter(str(pair.category or "unknown") for pair in self.pairs))


def compare_tables(request: CompareRequest) -> Comparison:
    """Read the tables, pair their lesions by ``lesion_id``, and write one row a lesion.

    Raises
    ------
    InputError
        When a table cannot be read or compared, or the tables are not in order of time.
    LesionError
        When a choice makes no sense, or RECIST 1.1 does not allow a target.
    OutputError
        When the table cannot be written there.
    """
    _check(request)
    visits = [read_visit(path) for path in request.tables]
    for earlier, later in pairwise(visits[:-1]):
        days_between(earlier, later)
    earlier, later = visits[-2:]
    pairs = _pairs(earlier, later, days_between(earlier, later, request.days))
    if not request.unpaired:
        _require_common(earlier, later)
    targets = _targets(request, visits)
    sums = follow_targets(targets) if targets else ()
    table = _table(pairs, targets, sums)
    warnings = tuple(_warnings(request, visits, pairs, targets))
    make_folder(request.out.parent)
    write_table(request.out, table)
    write_json(request.out.with_name(f"{request.out.stem}.run.json"), _record(request, visits, table, sums, warnings))
    return Comparison(pairs, sums, table, warnings)


def _check(request: CompareRequest) -> None:
    """Refuse what can be seen without reading a table."""
    if len(request.tables) < 2:
        raise LesionError("There is nothing to compare", "a single table was given", "Give two tables or more")
    paths = [path.resolve() for path in request.tables]
    if len(set(paths)) < len(paths):
        raise LesionError("There is nothing to compare", "a table is given twice", "Give each visit once")
    if request.out.suffix.lower() != ".csv":
        raise OutputError(f"{request.out.name} was not written", "a table ends in .csv", "Choose a name with .csv")
    if request.out.resolve() in paths:
        raise OutputError(
            f"{request.out.name} was not written", "it is one of the tables to compare", "Choose another"
        )
    if request.days is not None and not (math.isfinite(request.days) and request.days >= 0):
        raise LesionError(
            f"--days {request.days:g} makes no sense",
            "the later scan is not before the earlier one",
            "Give 0 or more",
        )


def _pairs(earlier: Visit, later: Visit, days: float) -> tuple[Pair, ...]:
    """All lesions that no reader rejected, neither then nor now."""
    rejected = earlier.rejected | later.rejected
    names = dict.fromkeys((*earlier.lesions, *later.lesions))
    return tuple(
        Pair(earlier.lesions.get(name), later.lesions.get(name), days) for name in names if name not in rejected
    )


def _require_common(earlier: Visit, later: Visit) -> None:
    if earlier.lesions and later.lesions and not set(earlier.lesions) & set(later.lesions):
        raise InputError(
            f"{earlier.path.name} and {later.path.name} have no lesion_id in common",
            f"one has {_few(earlier.lesions)}, the other {_few(later.lesions)}",
            "Name the lesions alike at both visits, or give --unpaired if all of them are resolved and new",
        )


def _few(names: Sequence[str] | Any) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")


def _targets(request: CompareRequest, visits: Sequence[Visit]) -> tuple[Target, ...]:
    """Target lesions with their size at every visit."""
    names = dict.fromkeys((*request.targets, *request.nodes))
    targets = tuple(_target(name, visits, node=name in request.nodes) for name in names)
    if targets:
        check_targets(targets)
    return targets


def _target(name: str, visits: Sequence[Visit], *, node: bool) -> Target:
    for visit in visits:
        if name in visit.rejected:
            raise LesionError(
                f"Lesion {name} cannot be a target", f"it was rejected in {visit.path.name}", "Choose other targets"
            )
    baseline = visits[0].lesions.get(name)
    if baseline is None:
        raise LesionError(
            f"Lesion {name} cannot be a target", f"{visits[0].path.name} has no such lesion_id", "Check the name"
        )
    axis = "short" if node else "long"
    rows = [visit.lesions.get(name) for visit in visits]
    sizes = tuple(0.0 if row is None else row.axis(axis) for row in rows)
    return Target(name, sizes, node, _organ(baseline.text("organ")), baseline.number("slice_spacing_mm"))


def _organ(text: str) -> str:
    """The organ of a table; what lies in several counts as unknown."""
    return "" if text == "mixed" else text


def _table(pairs: Sequence[Pair], targets: Sequence[Target], sums: Sequence[VisitSum]) -> LesionTable:
    rows: dict[int, Row] = {}
    for number, pair in enumerate(pairs, start=1):
        rows[number] = {spec.column.name: spec.function(pair) for spec in CHANGES}
    columns = tuple(spec.column for spec in CHANGES)
    if not sums:
        return LesionTable(columns, rows)
    kinds = {target.name: "node" if target.node else "target" for target in targets}
    last = sums[-1]
    for number, pair in enumerate(pairs, start=1):
        rows[number] |= {
            "target": kinds.get(pair.name, ""),
            "sld_mm": last.sld_mm,
            "sld_change_baseline_percent": last.change_baseline_percent,
            "sld_change_nadir_percent": last.change_nadir_percent,
            "recist_target_response": last.response,
        }
    return LesionTable((*columns, *TARGET_COLUMNS), rows)


def _warnings(
    request: CompareRequest, visits: Sequence[Visit], pairs: Sequence[Pair], targets: Sequence[Target]
) -> Iterator[str]:
    earlier, later = visits[-2:]
    if request.days and earlier.day is not None and earlier.day == later.day:
        yield f"both tables have the date {later.day}; the {request.days:g} days given were used"
    rejected = sorted(earlier.rejected | later.rejected)
    if rejected:
        yield f"left out, because a reader rejected them: {', '.join(rejected)}"
    if any(pair.mismatch for pair in pairs):
        yield "the slice spacings differ by more than 25 %: only changes above 50 % count"
    if any("days_unknown" in pair.flags for pair in pairs):
        yield "no doubling times: the tables hold no dates, and --days was not given"
    gone = [target.name for target in targets if target.sizes[-1] == 0]
    if gone:
        yield f"counted as gone, with 0 mm, because {later.path.name} has no such row: {', '.join(gone)}"
    new = [pair.name for pair in pairs if pair.category is GrowthCategory.NEW]
    if new:
        yield f"new, if confirmed: {', '.join(new)}" + ("; that is progression in RECIST 1.1" if targets else "")


def _record(
    request: CompareRequest,
    visits: Sequence[Visit],
    table: LesionTable,
    sums: Sequence[VisitSum],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """How the comparison was made, without folders, which may name a patient."""
    return {
        **product_record(),
        "command": "compare",
        "tables": [{"name": visit.path.name, "date": visit.day} for visit in visits],
        "days": request.days,
        "targets": list(request.targets),
        "nodes": list(request.nodes),
        "sums": [asdict(found) for found in sums],
        "notes": list(warnings),
        "flags": FLAG_MEANINGS,
        "columns": [column_record(column) for column in table.columns],
    }
