"""The export panel: folder, format, and whether the files were found right."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import Progress
from napari_lesion.gui.presenters.jobs import JobBusyError, JobRunner, run_shown
from napari_lesion.gui.presenters.queue import TITLE as DETECTION
from napari_lesion.gui.session import Session
from napari_lesion.workflow.export import ExportParameters, ExportRequest, ExportResult, export_study, install_export
from napari_lesion.workflow.study import Study

TITLE = "Export"


class ExportView(Protocol):
    """The export panel as the presenter knows it."""

    def parameters(self) -> ExportParameters:
        """What the user chose in the form."""
        ...

    def choose_folder(self, suggestion: Path) -> Path | None:
        """Let the user choose a folder; None when the user does not."""
        ...

    def show_ready(self, ready: bool) -> None:
        """Whether there is something to export."""

    def show_running(self, running: bool) -> None:
        """Show that files are being written."""

    def show_progress(self, progress: Progress) -> None:
        """Show how far the writing is."""

    def show_state(self, sentence: str, *, warning: bool) -> None:
        """Show what was exported, or that something is not yet."""

    def show_error(self, error: LesionError) -> None:
        """Show why nothing was exported."""


class ExportPresenter:
    """Writes the study to a folder.

    Parameters
    ----------
    session
        The open study.
    runner
        Writes.
    view
        The panel.
    computed
        Whether a detection of a study runs, whose result would change it while it is written.
    """

    def __init__(
        self,
        session: Session,
        runner: JobRunner,
        view: ExportView,
        computed: Callable[[Study], bool] = lambda _study: False,
    ) -> None:
        self._session = session
        self._runner = runner
        self._view = view
        self._computed = computed
        self._folder: Path | None = None
        self._last = ""
        session.study_changed.connect(self._on_study)
        session.lesions_changed.connect(self.show)

    def show(self) -> None:
        """Show the state as it is now."""
        study = self._session.study
        ready = study is not None and (study.detection is not None or bool(study.lesions))
        self._view.show_ready(ready)
        if study is None or not ready:
            self._view.show_state("", warning=False)
        elif not study.unsaved:
            self._view.show_state(self._last, warning=False)
        elif self._last:
            self._view.show_state("Changed since the last export", warning=True)
        else:
            self._view.show_state("Not exported yet", warning=False)

    def export(self) -> None:
        """Ask for a folder and write into it."""
        study = self._session.study
        if study is None:
            return
        if self._computed(study):
            self._view.show_error(JobBusyError(DETECTION))
            return
        folder = self._view.choose_folder(self._suggestion(study))
        if folder is not None:
            self.export_to(folder)

    def export_to(self, folder: Path) -> None:
        """Write lesions.csv, mask and run.json into a folder."""
        study = self._session.study
        if study is None:
            return
        job = partial(export_study, ExportRequest(study, folder, self._view.parameters()))
        run_shown(self._runner, self._view, TITLE, job, partial(self._exported, study), self.show)

    def _exported(self, study: Study, result: ExportResult) -> None:
        self._folder = result.folder
        self._last = f"{result.sentence} ({result.folder})"
        if self._session.is_open(study):
            install_export(study, result)
            self._session.measured()
            self._session.exported_now()
        self.show()

    def _suggestion(self, study: Study) -> Path:
        if self._folder is not None:
            return self._folder
        path = study.volume.source.path
        return path.parent if path is not None else Path.home()

    def _on_study(self, _study: Study | None) -> None:
        self._last = ""
        self._view.show_running(False)
        self.show()
