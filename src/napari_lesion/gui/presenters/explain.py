"""The panel that explains a rating: asks for the explanation on demand, and puts its map into the viewer."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import Progress
from napari_lesion.gui.presenters.jobs import JobListener, JobRunner
from napari_lesion.gui.presenters.rows import as_float
from napari_lesion.gui.session import Session
from napari_lesion.workflow.explain import Explanation, HeatMap, explain_lesion, explain_request
from napari_lesion.workflow.rating_words import SUSPICIOUS
from napari_lesion.workflow.study import Study


class ExplainView(Protocol):
    """The panel as the presenter knows it."""

    def show_possible(self, possible: bool) -> None:
        """Whether the selected lesion is one whose rating can be explained."""

    def show_running(self, sentence: str) -> None:
        """Show what is being done; empty for nothing."""

    def show_explanation(self, explanation: Explanation | None) -> None:
        """Show an explanation; None for none."""

    def show_error(self, error: LesionError) -> None:
        """Show what went wrong."""


class HeatCanvas(Protocol):
    """What shows a map in the viewer."""

    def show_heat(self, heat: HeatMap | None) -> None:
        """Show a map; None hides it."""


class ExplainPresenter:
    """Explains the rating of the selected lesion when asked to.

    Parameters
    ----------
    session
        The open study.
    runner
        Runs the explanations, and nothing else.
    view
        The panel.
    canvas
        Shows the maps.
    """

    def __init__(self, session: Session, runner: JobRunner, view: ExplainView, canvas: HeatCanvas) -> None:
        self._session = session
        self._runner = runner
        self._view = view
        self._canvas = canvas
        self._map = ""
        self._explanation: Explanation | None = None
        session.study_changed.connect(self._on_study)
        session.selection_changed.connect(self._on_selection)
        session.labels_changed.connect(self._on_labels)
        session.table_changed.connect(self._show_possible)

    def start(self) -> None:
        """Fill the panel."""
        self._forget()

    def close(self) -> None:
        """Stop for good."""
        self._runner.abandon()

    def explain(self) -> None:
        """Explain the rating of the selected lesion."""
        study, label = self._session.study, self._session.selected
        request = explain_request(study, label) if study is not None else None
        if study is None or request is None or self._runner.busy:
            return
        self._view.show_running("Explaining the rating")
        listener = JobListener(
            partial(self._explained, study), self._failed, self._progressed, partial(self._view.show_running, "")
        )
        self._runner.start("Explanation of the rating", partial(explain_lesion, request), listener)

    def choose_map(self, name: str) -> None:
        """Show the map of this name over the image; empty for none."""
        self._map = name
        self._show_map()

    def _progressed(self, progress: Progress) -> None:
        self._view.show_running(progress.stage)

    def _explained(self, study: Study, explanation: Explanation) -> None:
        self._view.show_running("")
        if self._session.is_open(study) and self._session.selected == explanation.label:
            self._explanation = explanation
            self._view.show_explanation(explanation)
            self._show_map()

    def _failed(self, error: LesionError) -> None:
        self._view.show_running("")
        self._view.show_error(error)

    def _on_study(self, _study: Study | None) -> None:
        self._forget()

    def _on_selection(self, label: int, _reveal: bool) -> None:
        if self._explanation is None or label != self._explanation.label:
            self._forget()

    def _on_labels(self, labels: frozenset[int] | None) -> None:
        """What was said of another mask is said no longer."""
        if labels is None or self._session.selected in labels:
            self._forget()

    def _forget(self) -> None:
        self._runner.abandon()
        self._explanation = None
        self._view.show_running("")
        self._view.show_explanation(None)
        self._show_possible()
        self._show_map()

    def _show_possible(self) -> None:
        study = self._session.study
        row = study.table.rows.get(self._session.selected, {}) if study is not None else {}
        self._view.show_possible(as_float(row.get(SUSPICIOUS)) is not None)

    def _show_map(self) -> None:
        maps = self._explanation.maps if self._explanation is not None else {}
        self._canvas.show_heat(maps.get(self._map))
