"""The panel of the selected lesion: asks for its description when there is need, and hands it on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from napari_lesion.core.errors import LesionError
from napari_lesion.gui.palette import lesion_colours
from napari_lesion.gui.presenters.jobs import JobListener, JobRunner
from napari_lesion.gui.session import Session
from napari_lesion.workflow.selected import Selected, describe_selected, selected_request
from napari_lesion.workflow.study import Study

WAIT_MS = 80

Later = Callable[[int, Callable[[], None]], None]


class SelectedView(Protocol):
    """The panel as the presenter knows it."""

    def show_selected(self, selected: Selected | None, colour: str) -> None:
        """Show what there is to see of a lesion, drawn in its colour; None for no lesion."""

    def show_error(self, error: LesionError) -> None:
        """Show what went wrong."""


class SelectedPresenter:
    """Keeps the panel in step with the selected lesion, as long as the panel is unfolded.

    Whatever happens within `WAIT_MS` asks for one description; while one is computed, the next one waits for it.

    Parameters
    ----------
    session
        The open study.
    runner
        Runs the descriptions, and nothing else.
    view
        The panel.
    later
        Calls a function after some milliseconds, on the main thread.
    colours
        How lesions are coloured, see `lesion_colours`.
    """

    def __init__(
        self, session: Session, runner: JobRunner, view: SelectedView, later: Later, colours: str = "distinct"
    ) -> None:
        self._session = session
        self._runner = runner
        self._view = view
        self._later = later
        self._colours = colours
        self._unfolded = False
        self._waiting = False
        self._due = False
        self._last: Selected | None = None
        session.study_changed.connect(self._on_study)
        session.selection_changed.connect(self._on_selection)
        session.lesions_changed.connect(self._on_lesions)
        # not when voxels change: the measurements that follow say where the lesion is now
        session.table_changed.connect(self.refresh)
        session.rows_changed.connect(self.refresh)

    def set_unfolded(self, unfolded: bool) -> None:
        """Tell whether anybody sees the panel; what nobody sees is not computed."""
        self._unfolded = unfolded
        if unfolded:
            self.refresh()

    def refresh(self) -> None:
        """Describe the selected lesion again, soon."""
        if not self._unfolded:
            return
        self._due = True
        if not self._waiting:
            self._waiting = True
            self._later(WAIT_MS, self._start)

    def close(self) -> None:
        """Stop for good."""
        self._unfolded = self._due = False
        self._runner.abandon()

    def _start(self) -> None:
        self._waiting = False
        if not self._due or self._runner.busy:
            return
        self._due = False
        study, label = self._session.study, self._session.selected
        if study is None or label not in study.lesions:
            self._view.show_selected(None, "")
            return
        request = selected_request(study, label, self._session.baseline(label))
        if request is None:
            return
        listener = JobListener(partial(self._described, study), self._failed, cancelled=self._start)
        self._runner.start("Description of the lesion", partial(describe_selected, request), listener)

    def _described(self, study: Study, selected: Selected) -> None:
        if self._session.is_open(study) and self._session.selected == selected.label:
            self._last = selected
            self._show_last()
        self._start()

    def _show_last(self) -> None:
        study, last = self._session.study, self._last
        if study is not None and last is not None and last.label == self._session.selected:
            colour = lesion_colours(study.lesions, self._colours).get(last.label, "")
            self._view.show_selected(last, colour)

    def _failed(self, error: LesionError) -> None:
        self._view.show_error(error)
        self._start()

    def _on_lesions(self) -> None:
        """The decision of the reader changes the colour."""
        self._show_last()

    def _on_study(self, _study: Study | None) -> None:
        self._runner.abandon()
        self._last = None
        self._view.show_selected(None, "")

    def _on_selection(self, label: int, _reveal: bool) -> None:
        self._last = None
        if not label:
            self._view.show_selected(None, "")
        self.refresh()
