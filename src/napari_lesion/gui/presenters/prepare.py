"""The prepare panel: a chain of steps, its preview on the slice that is shown, and a prepared copy of the image."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import numpy as np

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext, Progress
from napari_lesion.core.volume import Volume
from napari_lesion.gui.presenters.jobs import JobListener, JobRunner, run_shown
from napari_lesion.gui.presenters.selected import Later
from napari_lesion.gui.session import Session
from napari_lesion.workflow.prepare import Chain, Previewer, SlicePreview, prepare
from napari_lesion.workflow.study import Study

WAIT_MS = 120
ORIGINAL = "Measurements are made on the original image."


class PrepareView(Protocol):
    """The panel as the presenter knows it."""

    def chain(self) -> Chain:
        """The steps that the user chose."""
        ...

    def show_ready(self, ready: bool) -> None:
        """Whether there is a study, and a step to do."""

    def show_smallest(self, value: float) -> None:
        """Tell the smallest value of the image, which stands outside of a region when nothing else is said."""

    def show_running(self, running: bool) -> None:
        """Show that the whole image is being prepared, or no longer is."""

    def show_progress(self, progress: Progress) -> None:
        """Show how far it is."""

    def show_state(self, sentence: str) -> None:
        """Say what is shown or was made."""

    def show_error(self, error: LesionError) -> None:
        """Show why it cannot be done."""


class PreparedView(Protocol):
    """The layers of prepared images; `gui.prepared.PreparedLayers` is the real one."""

    def show_preview(self, shown: SlicePreview | None) -> None:
        """Show a treated slice; None takes it away."""

    def add(self, volume: Volume, name: str) -> None:
        """Show a prepared image as a layer of its own."""

    def clear(self) -> None:
        """Take away all of them."""

    def slice_index(self) -> int | None:
        """Index of the slice that the viewer shows, along the axial axis of the file; None without a study."""
        ...


class PreparePresenter:
    """Previews and prepares; the study itself is never changed.

    Parameters
    ----------
    session
        The open study.
    runner
        Prepares whole images, shared with opening, detecting and exporting.
    quick
        Runs previews, and nothing else.
    views
        The panel, and the layers.
    later
        Calls a function after some milliseconds, on the main thread.
    """

    def __init__(
        self,
        session: Session,
        runner: JobRunner,
        quick: JobRunner,
        views: tuple[PrepareView, PreparedView],
        later: Later,
    ) -> None:
        self._session = session
        self._runner = runner
        self._quick = quick
        self._view, self._layers = views
        self._later = later
        self._previewer: Previewer | None = None
        self._shown: tuple[Previewer, int] | None = None
        self._wanted = False
        self._before = False
        self._waiting = False
        self._due = False
        session.study_changed.connect(self._on_study)

    def set_preview(self, wanted: bool) -> None:
        """Whether the chain is shown on the slices."""
        self._wanted = wanted
        if wanted:
            self.refresh()
            return
        self._due = False
        self._quick.abandon()
        self._show_none()

    def set_before(self, before: bool) -> None:
        """Whether the model looks at the prepared image; measured is the original all the same."""
        self._before = before
        self._session.preparation = self._view.chain().text if before else ""

    def change(self) -> None:
        """Follow another chain."""
        self.show()
        self.set_before(self._before)
        self._quick.cancel()
        self.refresh()

    def show(self) -> None:
        """Show what can be done now."""
        self._view.show_ready(self._session.study is not None and bool(self._view.chain()))

    def refresh(self) -> None:
        """Show the slice that the viewer is at, soon; of many moves in a row only the last one is followed."""
        if not self._wanted:
            return
        self._due = True
        if not self._waiting:
            self._waiting = True
            self._later(WAIT_MS, self._start)

    def apply(self) -> None:
        """Prepare the whole image as a layer of its own."""
        study, chain = self._session.study, self._view.chain()
        if study is None or not chain:
            return
        job, applied = partial(_prepare, study.volume, chain), partial(self._applied, study, chain)
        run_shown(self._runner, self._view, "Preparing the image", job, applied, self._cancelled)

    def cancel(self) -> None:
        """Stop preparing."""
        self._runner.cancel()

    def close(self) -> None:
        """Stop for good."""
        self._wanted = self._due = False
        self._quick.abandon()

    def _start(self) -> None:
        self._waiting = False
        if not self._due or self._quick.busy:
            return
        self._due = False
        study, chain, index = self._session.study, self._view.chain(), self._layers.slice_index()
        if study is None or not chain or index is None:
            self._show_none()
            return
        known = self._previewer
        if known is None or known.volume is not study.volume or known.chain.text != chain.text:
            known = self._previewer = Previewer(study.volume, chain, known)
        if self._shown == (known, index):
            return
        listener = JobListener(
            partial(self._previewed, study, (known, index)), self._not_previewed, cancelled=self._start
        )
        self._quick.start("Preview", partial(_preview, known, index), listener)

    def _previewed(self, study: Study, which: tuple[Previewer, int], shown: SlicePreview) -> None:
        if self._wanted and self._session.is_open(study):
            self._shown = which
            self._layers.show_preview(shown)
            self._view.show_state(f"Preview of axial slices. {ORIGINAL}")
        self._start()

    def _not_previewed(self, error: LesionError) -> None:
        self._show_none()
        self._view.show_error(error)
        self._start()

    def _show_none(self) -> None:
        self._shown = None
        self._layers.show_preview(None)

    def _applied(self, study: Study, chain: Chain, made: Volume) -> None:
        if self._session.is_open(study):
            self._layers.add(made, chain.text)
            self._view.show_state(f"New layer: {chain.text}. {ORIGINAL}")

    def _cancelled(self) -> None:
        self._view.show_state("Cancelled; nothing was changed.")

    def _on_study(self, study: Study | None) -> None:
        self._quick.abandon()
        self._previewer = self._shown = None
        self._layers.clear()
        self._view.show_running(False)
        self._view.show_state("")
        if study is not None:
            self._view.show_smallest(float(np.nanmin(study.volume.array)))
        self.show()
        self.refresh()


def _prepare(volume: Volume, chain: Chain, ctx: JobContext) -> Volume:
    """Prepare the whole image as a job."""
    return prepare(volume, chain, ctx)


def _preview(previewer: Previewer, index: int, ctx: JobContext) -> SlicePreview:
    """Preview one slice as a job."""
    return previewer.slice(index, ctx)
