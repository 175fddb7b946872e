"""Models from elsewhere in the dock: adding one, and asking before code in one runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from psygnal import Signal

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext, Progress
from napari_lesion.gui.presenters.jobs import JobListener, JobRunner
from napari_lesion.workflow.consent import Consent, consent_needed, give_consent
from napari_lesion.workflow.models import (
    BundleInfo,
    Installed,
    InstallRequest,
    ModelReport,
    Trust,
    check_model,
    install,
    is_installed,
)


class ModelsView(Protocol):
    """What asks and tells about models from elsewhere, as the presenter knows it."""

    def confirm_code(self, consent: Consent) -> bool:
        """Name what would run, and ask whether it may."""
        ...

    def confirm_install(self, report: ModelReport, *, replaces: bool) -> bool:
        """Tell what a bundle is, and ask whether it shall be installed; only tell for one that is refused."""
        ...

    def show_state(self, sentence: str) -> None:
        """Tell what goes on; no sentence takes it away."""

    def show_error(self, error: LesionError) -> None:
        """Show why a model was not added, or does not run."""


class ModelsPresenter:
    """Adds models, and asks for consent.

    Parameters
    ----------
    runner
        Reads, hashes and copies.
    view
        Asks and tells.
    """

    added = Signal(str)
    """Name of a model that was installed."""

    def __init__(self, runner: JobRunner, view: ModelsView) -> None:
        self._runner = runner
        self._view = view

    def ask(self, model: BundleInfo, then: Callable[[], None]) -> None:
        """Call ``then`` when nothing of a model is code, or when the user agrees that it may run."""
        if not model.foreign:
            then()
            return
        self._start("Looking at the model", partial(_judge, model.path), partial(self._judged, then))

    def add(self, path: Path) -> None:
        """Look at a bundle folder or zip file, tell what it is, and install it when the user wants."""
        self._start(f"Looking at {path.name}", partial(check_model, path), partial(self._checked, path))

    def _judged(self, then: Callable[[], None], consent: Consent | None) -> None:
        if consent is None:
            then()
        elif self._view.confirm_code(consent):
            self._start("Keeping what you agreed to", partial(_agree, consent), lambda _: then())

    def _checked(self, path: Path, report: ModelReport) -> None:
        replaces = is_installed(report.name)
        if not self._view.confirm_install(report, replaces=replaces):
            return
        trusted = report.assessment.trust is Trust.NEEDS_TRUST
        request = InstallRequest(str(path), trusted=trusted, replace=replaces)
        self._start(f"Installing {report.name}", partial(install, request), self._installed)

    def _installed(self, installed: Installed) -> None:
        self.added.emit(installed.path.name)
        self._view.show_state(f"Added {installed.path.name} ({installed.assessment.trust.words})")

    def _start(self, title: str, job: Callable[[JobContext], Any], returned: Callable[[Any], None]) -> None:
        def done(result: Any) -> None:
            self._view.show_state("")
            returned(result)

        def going(progress: Progress) -> None:
            share = f" {progress.done} of {progress.total}" if progress.total > 1 else ""
            self._view.show_state(f"{progress.stage}{share}…")

        listener = JobListener(done, self._failed, going, partial(self._view.show_state, ""))
        try:
            self._runner.start(title, job, listener)
        except LesionError as error:
            self._view.show_error(error)
            return
        self._view.show_state(f"{title}…")

    def _failed(self, error: LesionError) -> None:
        self._view.show_state("")
        self._view.show_error(error)


def _judge(path: Path, ctx: JobContext) -> Consent | None:
    ctx.step("Looking at the model")
    return consent_needed(path)


def _agree(consent: Consent, ctx: JobContext) -> None:
    ctx.step("Keeping what you agreed to")
    give_consent(consent)
