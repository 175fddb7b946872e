"""The panel that adapts the model to corrected studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from psygnal import Signal

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext, Progress
from napari_lesion.gui.presenters.jobs import JobRunner, run_shown
from napari_lesion.gui.session import Session
from napari_lesion.workflow.models import BundleInfo
from napari_lesion.workflow.parameters import AdaptParameters
from napari_lesion.workflow.study import Study

TITLE = "Adapting"
OPEN_STUDY = "The open study"


class AdaptView(Protocol):
    """The panel as the presenter knows it."""

    def parameters(self) -> AdaptParameters:
        """What the user chose in the form."""
        ...

    def name(self) -> str:
        """Name that the user gave the new model."""
        ...

    def suggest_name(self, name: str) -> None:
        """Show a name that is free."""

    def choose_export(self) -> Path | None:
        """Let the user choose the folder of an export; None when the user does not."""
        ...

    def show_studies(self, studies: Sequence[str]) -> None:
        """Show what would be learned from."""

    def show_ready(self, ready: bool) -> None:
        """Whether there is something to learn from."""

    def show_running(self, running: bool) -> None:
        """Show that it runs, or no longer does."""

    def show_progress(self, progress: Progress) -> None:
        """Show how far it is."""

    def show_result(self, sentence: str, *, kept: bool) -> None:
        """Show figures before and after, and whether the new model was kept."""

    def show_error(self, error: LesionError) -> None:
        """Show why it did not run."""


class AdaptPresenter:
    """Collects corrected studies and adapts the chosen model to them.

    Parameters
    ----------
    session
        The open study.
    runner
        Runs the adaptation, one job at a time, shared with opening, detecting and exporting.
    view
        The panel.
    model
        Gives the chosen model.
    """

    kept = Signal(str)
    """Name of a new model that was kept."""

    def __init__(
        self, session: Session, runner: JobRunner, view: AdaptView, model: Callable[[], BundleInfo | None]
    ) -> None:
        self._session = session
        self._runner = runner
        self._view = view
        self._model = model
        self._exports: list[Path] = []
        session.study_changed.connect(self._on_study)
        session.lesions_changed.connect(self.show)

    def show(self) -> None:
        """Show what would be learned from."""
        names = [OPEN_STUDY] if self._corrected is not None else []
        self._view.show_studies([*names, *(str(folder) for folder in self._exports)])
        self._view.show_ready(bool(names or self._exports) and self._model() is not None)

    def add_export(self) -> None:
        """Ask for the folder of an export and take it in."""
        folder = self._view.choose_export()
        if folder is not None and folder not in self._exports:
            self._exports.append(folder)
            self.show()

    def clear(self) -> None:
        """Take all exports out again."""
        self._exports = []
        self.show()

    def suggest_name(self) -> None:
        """Show a name for the new model that is free."""
        model = self._model()
        if model is not None:
            self._view.suggest_name(f"{model.name}_adapted")

    def adapt(self) -> None:
        """Start."""
        model, study = self._model(), self._corrected
        if model is None:
            self._view.show_error(LesionError("No model is chosen", todo="Choose one"))
            return
        try:
            job = _job(model, study, tuple(self._exports), self._view.name(), self._view.parameters())
        except LesionError as error:
            self._view.show_error(error)
            return
        run_shown(self._runner, self._view, TITLE, job, self._done, self.show)

    def cancel(self) -> None:
        """Stop it; started again with the same studies, it continues."""
        self._runner.cancel()

    @property
    def _corrected(self) -> Study | None:
        """The open study, when somebody has looked at its lesions."""
        study = self._session.study
        return study if study is not None and study.log else None

    def _done(self, result: object) -> None:
        from napari_lesion.workflow.adapt import Adapted

        assert isinstance(result, Adapted)
        self._view.show_result(result.sentence, kept=result.path is not None)
        if result.path is not None:
            self.kept.emit(result.path.name)

    def _on_study(self, _study: Study | None) -> None:
        self._view.show_running(False)
        self.show()


def _job(
    model: BundleInfo, study: Study | None, exports: tuple[Path, ...], name: str, parameters: AdaptParameters
) -> Callable[[JobContext], object]:
    """The job, with the labels of the open study as they are now."""
    from napari_lesion.workflow.adapt import AdaptStudiesRequest, adapt_studies
    from napari_lesion.workflow.corrected import corrected_study

    studies = (corrected_study(study),) if study is not None else ()
    return partial(adapt_studies, AdaptStudiesRequest(model, studies, exports, name, parameters))
