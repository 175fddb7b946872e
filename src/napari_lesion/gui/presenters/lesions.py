"""The lesion table: order, selection, decisions, columns, clipboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from napari_lesion.core.errors import LesionError
from napari_lesion.core.lesion import Review
from napari_lesion.core.table import Column, LesionTable
from napari_lesion.gui.presenters.jobs import ignore
from napari_lesion.gui.presenters.rows import LABEL, MAIN, LesionRow, ShownColumn, make_rows, shown_columns
from napari_lesion.gui.presenters.tips import column_tip
from napari_lesion.gui.session import Session
from napari_lesion.workflow.columns import by_family
from napari_lesion.workflow.naming import rename_lesion
from napari_lesion.workflow.report import report_text, spreadsheet_text
from napari_lesion.workflow.study import Study

READ_FIRST = "Read first"
NAMES = {
    "mean_diameter_mm": "Mean diameter (mm)",
    "density_mean": "Mean value",
    "flags": "Flags",
    "probability": "Probability",
    "malignancy_suspicious_probability": "Suspicious to readers",
}


class CopyForm(StrEnum):
    """What the clipboard is for."""

    REPORT = "report"
    SPREADSHEET = "spreadsheet"


@dataclass(frozen=True)
class ColumnChoice:
    """A column that can be shown: its name, its words, its tool tip (rich text)."""

    name: str
    title: str
    tip: str


class LesionsView(Protocol):
    """The lesion table as the presenter knows it."""

    def show_rows(self, columns: Sequence[ShownColumn], rows: Sequence[LesionRow], colours: dict[int, str]) -> None:
        """Show these rows, sorted as the user chose."""

    def show_counts(self, sentence: str) -> None:
        """Show how many lesions there are, and how many were reviewed."""

    def show_choices(self, groups: dict[str, list[ColumnChoice]], shown: Sequence[str]) -> None:
        """Fill the list of columns, in groups; ``shown`` are those in the table."""

    def show_selected(self, label: int, review: Review) -> None:
        """Highlight a row; 0 for none."""

    def shown_labels(self) -> list[int]:
        """Labels in the order of the rows on the screen."""
        ...

    def copy_text(self, text: str) -> None:
        """Put text on the clipboard."""

    def ask_name(self, label: int, present: str) -> str | None:
        """Ask for the name of a lesion; None when the user thinks better of it."""
        ...

    def show_error(self, error: LesionError) -> None:
        """Show what went wrong."""


class LesionsPresenter:
    """Shows the lesions of the session as rows, and walks through them.

    Parameters
    ----------
    session
        The open study.
    view
        The table.
    colours
        How lesions are coloured, see `lesion_colours`.
    columns
        Names of the columns to show; the main ones when empty.
    remember
        Called with the names when the user chose others; with none when they are the main ones.
    """

    def __init__(
        self,
        session: Session,
        view: LesionsView,
        colours: str = "distinct",
        columns: Sequence[str] = (),
        remember: Callable[[Sequence[str]], None] = ignore,
    ) -> None:
        self._session = session
        self._view = view
        self._colours = colours
        self._names = list(columns) or list(MAIN)
        self._remember = remember
        self._columns: list[ShownColumn] = []
        self._offered: tuple[tuple[Column, ...], list[str]] = ((), [])
        self._offered_names: set[str] = set()
        session.study_changed.connect(self._on_study)
        session.lesions_changed.connect(self.show)
        session.table_changed.connect(self.show)
        session.rows_changed.connect(self.show)
        session.selection_changed.connect(self._on_selection)

    def show(self) -> None:
        """Show the rows as they are now."""
        from napari_lesion.gui.palette import lesion_colours

        study = self._session.study
        if study is None:
            self._columns = []
            self._view.show_rows([], [], {})
            self._view.show_counts("")
            return
        self._columns = shown_columns(study.table, self._names)
        rows = make_rows(study.table, study.lesions.values(), self._columns, self._session.baseline)
        self._view.show_rows(self._columns, rows, lesion_colours(study.lesions, self._colours))
        self._view.show_counts(_counts(study))
        self._offer_columns(study.table)
        self._show_selected()

    def select(self, label: int) -> None:
        """Select the lesion of a row and go there."""
        self._session.select(label)

    def clicked_in_image(self, label: int) -> None:
        """Select the lesion under a click without moving the view; a click beside changes nothing."""
        if label:
            self._session.select(label, reveal=False)

    def step(self, direction: int) -> None:
        """Select the next (1) or previous (-1) lesion in the order on the screen, round the end."""
        labels = self._view.shown_labels()
        if not labels:
            return
        if self._session.selected in labels:
            index = (labels.index(self._session.selected) + direction) % len(labels)
        else:
            index = 0 if direction > 0 else len(labels) - 1
        self._session.select(labels[index])

    def accept(self) -> None:
        """Accept the selected lesion, or take that back."""
        self._session.review(self._session.selected, Review.ACCEPTED)

    def reject(self) -> None:
        """Reject the selected lesion, or take that back."""
        self._session.review(self._session.selected, Review.REJECTED)

    def copy(self, form: str = CopyForm.SPREADSHEET, whole: bool = True) -> None:
        """Copy all rows in the order on the screen, or the selected one alone, in one of the two forms."""
        study = self._session.study
        if study is None:
            return
        shown = self._view.shown_labels()
        labels = shown if whole else [label for label in shown if label == self._session.selected]
        if not labels:
            self._view.show_counts("Nothing was copied: no lesion is selected" if shown else "Nothing to copy")
            return
        if form == CopyForm.REPORT:
            text = report_text(study, labels)
        else:
            names = [name for column in self._columns for name in column.sources]
            text = spreadsheet_text(study.table, labels, names)
        self._view.copy_text(text)
        what = "All lesions" if whole else f"Lesion {labels[0]}"
        self._view.show_counts(f"{what} copied for a {form}")

    def rename(self) -> None:
        """Ask for another name of the selected lesion, one that stays the same across time points."""
        study, label = self._session.study, self._session.selected
        if study is None or label not in study.lesions:
            return
        name = self._view.ask_name(label, study.lesions[label].tracking_id)
        if name is None or self._session.study is not study:
            return
        try:
            rename_lesion(study, label, name)
        except LesionError as error:
            self._view.show_error(error)
            return
        self._session.lesions_changed.emit()

    def set_columns(self, names: Sequence[str]) -> None:
        """Show these columns from now on; none for the main ones.

        Columns that were chosen for another kind of image, which this study lacks, stay chosen.
        """
        elsewhere = [name for name in self._names if name not in self._offered_names]
        self._names = list(dict.fromkeys((LABEL, *names, *elsewhere))) if names else list(MAIN)
        self._remember([] if self._names == list(MAIN) else self._names)
        self.show()

    def _offer_columns(self, table: LesionTable) -> None:
        """Fill the list of columns when there are others; not each time that a row follows the brush."""
        if self._offered != (table.columns, self._names):
            self._offered = (table.columns, list(self._names))
            groups = column_choices(table)
            self._offered_names = {LABEL, *(choice.name for choices in groups.values() for choice in choices)}
            self._view.show_choices(groups, self._names)

    def _on_study(self, _study: Study | None) -> None:
        self.show()

    def _on_selection(self, _label: int, _reveal: bool) -> None:
        self._show_selected()

    def _show_selected(self) -> None:
        study, label = self._session.study, self._session.selected
        lesion = study.lesions.get(label) if study is not None else None
        self._view.show_selected(label, lesion.review if lesion is not None else Review.NONE)


def column_choices(table: LesionTable) -> dict[str, list[ColumnChoice]]:
    """Every column that can be shown, the main ones first, the others by family."""
    main = [
        ColumnChoice(column.name, NAMES.get(column.name, column.title), column.tip)
        for column in shown_columns(table)
        if column.name != LABEL
    ]
    taken = {LABEL, *(choice.name for choice in main)}
    groups = {READ_FIRST: main} if main else {}
    for family, members in by_family(table.columns).items():
        choices = [ColumnChoice(c.name, _words(c), column_tip(c)) for c in members if c.name not in taken]
        if choices:
            groups[family.capitalize()] = choices
    return groups


def _words(column: Column) -> str:
    return f"{column.header}, experimental" if column.experimental else column.header


def _counts(study: Study) -> str:
    n = len(study.lesions)
    if not n:
        return "No lesions" if study.detection is not None else ""
    parts = [f"{n} lesion" + ("s" if n > 1 else "")]
    for review in (Review.ACCEPTED, Review.REJECTED):
        count = sum(lesion.review == review for lesion in study.lesions.values())
        if count:
            parts.append(f"{count} {review}")
    if study.edited_labels:
        parts.append(f"{len(study.edited_labels)} edited")
    return ", ".join(parts)
