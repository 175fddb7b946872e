"""The lesion table: order, selection, decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from napari_lesion.core.lesion import Review
from napari_lesion.core.table import Column
from napari_lesion.gui.presenters.rows import (
    LesionRow,
    ShownColumn,
    make_rows,
    optional_columns,
    shown_columns,
    table_as_text,
)
from napari_lesion.gui.session import Session
from napari_lesion.workflow.study import Study


class LesionsView(Protocol):
    """The lesion table as the presenter knows it."""

    def show_rows(self, columns: Sequence[ShownColumn], rows: Sequence[LesionRow], colours: dict[int, str]) -> None:
        """Show these rows, sorted as the user chose."""

    def show_counts(self, sentence: str) -> None:
        """Show how many lesions there are, and how many were reviewed."""

    def show_optional_columns(self, columns: Sequence[Column], shown: Sequence[str]) -> None:
        """Fill the menu of columns."""

    def show_selected(self, label: int, review: Review) -> None:
        """Highlight a row; 0 for none."""

    def shown_labels(self) -> list[int]:
        """Labels in the order of the rows on the screen."""
        ...

    def copy_text(self, text: str) -> None:
        """Put text on the clipboard."""


class LesionsPresenter:
    """Shows the lesions of the session as rows, and walks through them."""

    def __init__(self, session: Session, view: LesionsView, colours: str = "distinct") -> None:
        self._session = session
        self._view = view
        self._colours = colours
        self._extra: list[str] = []
        self._columns: list[ShownColumn] = []
        self._rows: list[LesionRow] = []
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
            self._columns, self._rows = [], []
            self._view.show_rows([], [], {})
            self._view.show_counts("")
            return
        self._columns = shown_columns(study.table, self._extra)
        self._rows = make_rows(study.table, study.lesions.values(), self._columns, self._session.baseline)
        self._view.show_rows(self._columns, self._rows, lesion_colours(study.lesions, self._colours))
        self._view.show_counts(_counts(study))
        self._view.show_optional_columns(optional_columns(study.table), self._extra)
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

    def copy(self) -> None:
        """Copy the rows in the order on the screen."""
        by_label = {row.label: row for row in self._rows}
        ordered = [by_label[label] for label in self._view.shown_labels() if label in by_label]
        self._view.copy_text(table_as_text(self._columns, ordered))

    def set_optional_columns(self, names: Sequence[str]) -> None:
        """Show these columns beside the main ones."""
        self._extra = list(names)
        self.show()

    def _on_study(self, _study: Study | None) -> None:
        self.show()

    def _on_selection(self, _label: int, _reveal: bool) -> None:
        self._show_selected()

    def _show_selected(self) -> None:
        study, label = self._session.study, self._session.selected
        lesion = study.lesions.get(label) if study is not None else None
        self._view.show_selected(label, lesion.review if lesion is not None else Review.NONE)


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
