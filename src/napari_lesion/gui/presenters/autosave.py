"""Autosave and restore: when something is kept, and what is offered when a study is opened again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import Volume
from napari_lesion.gui.presenters.jobs import JobListener, JobRunner
from napari_lesion.gui.session import Session
from napari_lesion.workflow.autosave import AutosaveStore, Saved, Snapshot
from napari_lesion.workflow.edit import Editor
from napari_lesion.workflow.measure import (
    StudyMeasurement,
    StudyMeasureRequest,
    install_measurement,
    measure_study,
    request_for,
)
from napari_lesion.workflow.study import Study


class RestoreView(Protocol):
    """The line that offers kept work, as the presenter knows it."""

    def show_offer(self, sentence: str) -> None:
        """Offer to restore; an empty sentence takes the offer back."""

    def show_error(self, error: LesionError) -> None:
        """Show why nothing is kept, or was not restored."""

    def confirm_replace(self, lesions: int) -> bool:
        """Ask whether so many lesions that are there now may be replaced."""
        ...

    def confirm_forget(self, studies: int, nbytes: int) -> bool:
        """Ask whether the kept work of so many studies may be deleted; says so when there is none."""
        ...


class AutosavePresenter:
    """Keeps the open study in the store, and offers what the store holds of a study that is opened.

    Parameters
    ----------
    session
        The open study.
    store
        Where work is kept.
    runner
        Reads and writes the store; its own.
    view
        The line that offers kept work.
    editor
        Gives the editor of the open study; its box indices save a look at the whole label maps.
    quiet
        Whether nothing is being painted and no job works on the labels just now.
    """

    def __init__(
        self,
        session: Session,
        store: AutosaveStore,
        runner: JobRunner,
        view: RestoreView,
        editor: Callable[[], Editor | None],
        quiet: Callable[[], bool],
    ) -> None:
        self._session = session
        self._store = store
        self._runner = runner
        self._view = view
        self._editor = editor
        self._quiet = quiet
        self._study: Study | None = None
        self._kept_revision = 0
        self._looked = True
        self._known: WeakSet[Study] = WeakSet()
        self._wrote = False
        self._waiting: list[tuple[Volume, Snapshot]] = []
        self._offer: Saved | None = None
        self._told = ""
        session.study_changed.connect(self._on_study)
        session.detection_changed.connect(self.tick)
        session.exported.connect(self.tick)

    @property
    def offer(self) -> Saved | None:
        """Kept work that is offered."""
        return self._offer

    def tick(self) -> None:
        """Keep the study when something changed since the last time; called every 30 s and at each job's end."""
        if self._study is not None and self._looked and self._changed and self._quiet():
            self._waiting.append((self._study.volume, self._snapshot(self._study)))
            self._kept_revision = self._study.revision
        self._write_next()

    def keep_now(self) -> None:
        """Keep the study before this returns: the window is closing."""
        if self._study is not None and self._changed:
            try:
                self._store.write(self._study.volume, self._snapshot(self._study))
            except LesionError as error:
                self._tell(error)
            self._kept_revision = self._study.revision

    def restore(self) -> None:
        """Put the offered work into the study, and measure it."""
        study, offer = self._study, self._offer
        if study is None or offer is None or not self._quiet():
            return
        if study.lesions and not self._view.confirm_replace(len(study.lesions)):
            return
        self._take_back()
        try:
            self._store.restore(study, offer)
        except LesionError as error:
            self._view.show_error(error)
            return
        self._kept_revision = study.revision
        self._session.detected()
        request = request_for(study)
        self._start("Measurement", partial(_measure, request), partial(self._measured, study, request))

    def discard(self) -> None:
        """Forget the offered work, unless newer work took its place on the disk."""
        offer = self._offer
        self._take_back()
        if offer is not None and not self._wrote:
            self._store.discard(offer)

    def clear(self) -> int:
        """Forget all kept work, of every study, when the user confirms it; returns the number of studies."""
        if not self._view.confirm_forget(self._store.studies, self._store.nbytes):
            return 0
        self._take_back()
        return self._store.clear()

    @property
    def _changed(self) -> bool:
        study = self._study
        return study is not None and study.revision != self._kept_revision and bool(study.lesions or study.log)

    def _snapshot(self, study: Study) -> Snapshot:
        editor = self._editor()
        if editor is None or editor.study is not study:
            return Snapshot.of(study)
        return Snapshot.of(study, editor.boxes, editor.model_boxes)

    def _on_study(self, study: Study | None) -> None:
        left, self._study = self._study, None
        if left is not None and left.revision != self._kept_revision and (left.lesions or left.log):
            self._waiting.append((left.volume, Snapshot.of(left)))
        self._take_back()
        self._study, self._kept_revision = study, 0
        # A study that comes back from the background is newer than what was kept of it.
        self._looked, self._wrote, self._told = study is None or study in self._known, False, ""
        if study is not None:
            self._known.add(study)
        self._write_next()

    def _write_next(self) -> None:
        """Write what waits; then look whether there is something to offer."""
        if self._runner.busy:
            return
        if self._waiting:
            volume, snapshot = self._waiting.pop(0)
            self._wrote |= self._study is not None and volume is self._study.volume
            self._start("Autosave", partial(_write, self._store, volume, snapshot), self._written)
        elif self._study is not None and not self._looked:
            self._looked = True
            job = partial(_find, self._store, self._study.volume)
            self._start("Looking for kept work", job, partial(self._found, self._study))

    def _start(self, title: str, job: Callable[[JobContext], object], returned: Callable[..., None]) -> None:
        self._runner.start(title, job, JobListener(returned, self._failed, cancelled=self._write_next))

    def _written(self, _path: Path) -> None:
        self._told = ""
        self._write_next()

    def _found(self, study: Study, saved: Saved | None) -> None:
        if saved is not None and study is self._study:
            self._offer = saved
            self._view.show_offer(saved.sentence)
        self._write_next()

    def _measured(self, study: Study, request: StudyMeasureRequest, measurement: StudyMeasurement) -> None:
        if self._session.is_open(study) and study.revision == request.revision:
            install_measurement(study, measurement)
            self._session.measured()
        self._write_next()

    def _failed(self, error: LesionError) -> None:
        self._tell(error)
        self._write_next()

    def _tell(self, error: LesionError) -> None:
        """Show an error once, not every 30 s."""
        if error.message != self._told:
            self._told = error.message
            self._view.show_error(error)

    def _take_back(self) -> None:
        self._offer = None
        self._view.show_offer("")


def _write(store: AutosaveStore, volume: Volume, snapshot: Snapshot, ctx: JobContext) -> Path:
    ctx.step("Keeping the work")
    return store.write(volume, snapshot)


def _find(store: AutosaveStore, volume: Volume, ctx: JobContext) -> Saved | None:
    ctx.step("Looking for kept work")
    return store.find(volume)


def _measure(request: StudyMeasureRequest, ctx: JobContext) -> StudyMeasurement:
    return measure_study(request, ctx)
