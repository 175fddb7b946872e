"""The study panel: open, check, window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from napari_lesion.core.errors import LesionError, SkewedGridError
from napari_lesion.core.findings import Check
from napari_lesion.core.jobs import JobContext, Progress
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.gui.presenters.export import TITLE as EXPORT
from napari_lesion.gui.presenters.jobs import Job, JobBusyError, JobListener, JobRunner
from napari_lesion.gui.presenters.viewing import ViewerPresenter
from napari_lesion.gui.reader_offer import WORDS, ReaderOffer
from napari_lesion.gui.recent import RecentStudies
from napari_lesion.gui.session import Session
from napari_lesion.gui.windows import Window, first_window, windows_for
from napari_lesion.workflow.open_study import OpenRequest, SeriesInfo, list_series, open_study, study_of
from napari_lesion.workflow.sample import SAMPLES, open_sample
from napari_lesion.workflow.study import Study

PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True)
class StudySummary:
    """What the panel says of the open study.

    Parameters
    ----------
    title
        Name of the case.
    facts
        One line: modality, plane, size, spacing.
    modality
        What the values mean.
    modality_stated
        Whether file or user said so.
    notes
        Sentences about what was mended or guessed.
    """

    title: str
    facts: str
    modality: Modality
    modality_stated: bool
    notes: tuple[str, ...] = ()


def summarise(volume: Volume) -> StudySummary:
    """Summary of a volume."""
    grid = volume.grid
    plane = PLANES[grid.patient_axes.index(0)]
    size = " × ".join(str(n) for n in grid.size)
    spacing = " × ".join(f"{s:.2f}" for s in grid.spacing)
    words = [str(volume.modality) if volume.modality != Modality.UNKNOWN else "Modality unknown"]
    words += [plane + (" oblique" if grid.is_oblique else ""), size, f"{spacing} mm"]
    source = volume.source
    title = source.case + (f" · {source.description}" if source.description else "")
    return StudySummary(title, ", ".join(words), volume.modality, source.modality_stated, source.notes)


@dataclass(frozen=True)
class Memory:
    """What is remembered from one session to the next."""

    recent: RecentStudies
    offer: ReaderOffer


class StudyView(Protocol):
    """The study panel as the presenter knows it."""

    def show_empty(self) -> None:
        """Show that no study is open, and how to open one."""

    def show_study(self, summary: StudySummary, check: Check) -> None:
        """Show the open study and its input check."""

    def show_windows(self, windows: Sequence[Window], current: Window) -> None:
        """Show window presets, one of them pressed."""

    def show_recent(self, paths: Sequence[Path]) -> None:
        """Show the paths of the Recent menu."""

    def show_opening(self, what: str) -> None:
        """Show that a study is being read."""

    def show_progress(self, progress: Progress) -> None:
        """Show how far the reading is."""

    def show_error(self, error: LesionError) -> None:
        """Show why a study was not opened; the one before stays."""

    def show_reader_offer(self, words: str) -> None:
        """Ask whether this plugin's reader is to be preferred; no words take the question away."""

    def choose_series(self, series: Sequence[SeriesInfo]) -> SeriesInfo | None:
        """Let the user choose one of several series; None when the user does not."""
        ...

    def confirm_resampling(self, error: LesionError) -> bool:
        """Ask whether a volume on a skewed grid may be resampled to a rectangular one."""
        ...

    def confirm_discard(self) -> bool:
        """Ask whether a study with work that was not exported may be left."""
        ...


class StudyPresenter:
    """Opens studies and shows what they are.

    Parameters
    ----------
    session
        The open study.
    runner
        Reads and checks.
    viewer
        Shows the image.
    view
        The panel.
    memory
        What is remembered from one session to the next.
    keeps
        Whether a study stays in memory when another one is opened, because it is still being computed.
    """

    def __init__(
        self,
        session: Session,
        runner: JobRunner,
        viewer: ViewerPresenter,
        view: StudyView,
        memory: Memory,
        keeps: Callable[[Study], bool] = lambda _study: False,
    ) -> None:
        self._session = session
        self._runner = runner
        self._viewer = viewer
        self._view = view
        self._recent = memory.recent
        self._offer = memory.offer
        self._keeps = keeps
        self._windows: tuple[Window, ...] = ()
        self._window: Window | None = None
        self.organ = ""

    @property
    def window(self) -> Window | None:
        """The window preset that was chosen last."""
        return self._window

    def start(self) -> None:
        """Show the empty panel."""
        self._view.show_recent(self._recent.paths())
        self._view.show_empty()

    def open_path(self, path: Path) -> None:
        """Open a file or a DICOM folder; asks when it holds several series."""
        if self._may_leave():
            listener = self._listener(lambda series: self._choose(path, series))
            self._start(f"Opening {path.name}", partial(_series_of, path), listener)

    def open_sample(self, name: str = "") -> None:
        """Open a sample study; the first one when no name is given."""
        name = name or next(iter(SAMPLES))
        if self._may_leave():
            self._start(f"Opening {SAMPLES[name].title}", partial(open_sample, name), self._listener(self._install))

    def open_volume(self, volume: Volume) -> None:
        """Make a study of a volume that is in memory already: a layer from elsewhere."""
        if self._may_leave():
            self._start(f"Checking {volume.source.case}", partial(study_of, volume), self._listener(self._install))

    def go_back(self, study: Study) -> None:
        """Show a study that was kept in memory."""
        if self._may_leave():
            self._runner.abandon()
            self._install(study)

    def answer_reader_offer(self, yes: bool) -> None:
        """Take the answer to the offer, which is made once."""
        self._offer.answer(yes)
        self._view.show_reader_offer("")

    def state_modality(self, modality: Modality) -> None:
        """Take the user's word for the modality, and check the study again."""
        study = self._session.study
        if study is not None and study.volume.modality != modality:
            self.open_volume(study.volume.with_modality(modality))

    def close(self) -> None:
        """Close the study: its image was removed."""
        self._runner.abandon()
        self._session.open(None)
        self._viewer.clear()
        self._window, self._windows = None, ()
        self._view.show_empty()

    def show_error(self, error: LesionError) -> None:
        """Show an error that belongs to opening."""
        self._view.show_error(error)

    def set_window(self, window: Window) -> None:
        """Show the image in a preset."""
        self._window = window
        self._viewer.set_window(window)
        self._view.show_windows(self._windows, window)

    def next_window(self) -> None:
        """Show the image in the next preset."""
        if self._windows and self._window is not None:
            names = [window.name for window in self._windows]
            following = (names.index(self._window.name) + 1) % len(names)
            self.set_window(self._windows[following])

    def _may_leave(self) -> bool:
        if self._runner.running == EXPORT:
            self._view.show_error(JobBusyError(EXPORT))
            return False
        study = self._session.study
        stays = study is None or not study.unsaved or self._keeps(study)
        return stays or self._view.confirm_discard()

    def _start(self, title: str, job: Job, listener: JobListener) -> None:
        self._runner.abandon()
        self._view.show_opening(title)
        self._runner.start(title, job, listener)

    def _listener(self, returned: Callable[[Any], None]) -> JobListener:
        return JobListener(
            returned=returned,
            failed=self._failed,
            progressed=self._view.show_progress,
            cancelled=self._back,
        )

    def _choose(self, path: Path, series: Sequence[SeriesInfo]) -> None:
        chosen = series[0] if len(series) == 1 else self._view.choose_series(series)
        if chosen is None:
            self._back()
            return
        self._open_series(OpenRequest(path, chosen.selector))

    def _open_series(self, request: OpenRequest) -> None:
        listener = self._listener(partial(self._opened, request.path))
        listener = replace(listener, failed=partial(self._not_opened, request))
        self._start(f"Opening {request.path.name}", partial(open_study, request), listener)

    def _not_opened(self, request: OpenRequest, error: LesionError) -> None:
        """Say why; a skewed grid is offered the resampling, once."""
        self._failed(error)
        if isinstance(error, SkewedGridError) and self._view.confirm_resampling(error):
            self._open_series(replace(request, resample_sheared=True))

    def _opened(self, path: Path, study: Study) -> None:
        self._recent.add(path)
        self._view.show_recent(self._recent.paths())
        self._install(study)
        if self._offer.due:
            self._view.show_reader_offer(WORDS)

    def _install(self, study: Study) -> None:
        self._windows = windows_for(study.volume)
        self._window = first_window(study.volume, self.organ)
        self._session.open(study)
        self._viewer.show(study, self._window)
        self._view.show_study(summarise(study.volume), study.check)
        self._view.show_windows(self._windows, self._window)

    def _failed(self, error: LesionError) -> None:
        self._back()
        self._view.show_error(error)

    def _back(self) -> None:
        """Show what is open after something else was not opened."""
        study = self._session.study
        if study is None:
            self._view.show_empty()
        else:
            self._view.show_study(summarise(study.volume), study.check)


def _series_of(path: Path, ctx: JobContext) -> list[SeriesInfo]:
    """Series of a path as a job."""
    ctx.step("Looking at the files")
    return list_series(path, ctx)
