"""Studies that were left while they were computed, until somebody looks at their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from napari_lesion.core.jobs import Progress
from napari_lesion.gui.presenters.queue import DetectionQueue, Outcome
from napari_lesion.gui.session import Session
from napari_lesion.workflow.study import Study


@dataclass(frozen=True)
class BackgroundStudy:
    """What is said of one study that is not shown.

    Parameters
    ----------
    title
        Name of the case.
    words
        How far its detection is, or what came of it.
    done
        Whether it ended.
    """

    title: str
    words: str
    done: bool


class BackgroundView(Protocol):
    """The lines of studies that are not shown, as the presenter knows them."""

    def show_studies(self, studies: Sequence[BackgroundStudy]) -> None:
        """Show one line for each study."""


class BackgroundPresenter:
    """Keeps studies that are computed while another one is open.

    Parameters
    ----------
    session
        The open study.
    queue
        Detections that run and wait.
    view
        The lines.
    show
        Opens a study that was kept, unless the user would not leave the present one.
    """

    def __init__(
        self, session: Session, queue: DetectionQueue, view: BackgroundView, show: Callable[[Study], None]
    ) -> None:
        self._session = session
        self._queue = queue
        self._view = view
        self._show = show
        self._ended: list[tuple[Study, str]] = []
        session.study_changed.connect(self._on_study)
        queue.changed.connect(self.show)
        queue.progressed.connect(self._on_progress)
        queue.ended.connect(self._on_ended)

    @property
    def studies(self) -> tuple[Study, ...]:
        """Studies that are kept, those with a result first."""
        computed = (study for study in self._queue.studies if not self._session.is_open(study))
        return (*(study for study, _ in self._ended), *computed)

    def show(self) -> None:
        """Show the lines as they are now."""
        words = dict(enumerate(text for _, text in self._ended))
        self._view.show_studies(
            [
                BackgroundStudy(study.volume.source.case, words.get(place, self._stage(study)), place in words)
                for place, study in enumerate(self.studies)
            ]
        )

    def open(self, place: int) -> None:
        """Go back to a study."""
        if place < len(self.studies):
            self._show(self.studies[place])

    def drop(self, place: int) -> None:
        """Stop what is computed for a study, and forget it."""
        if place < len(self.studies):
            study = self.studies[place]
            self._ended = [entry for entry in self._ended if entry[0] is not study]
            self._queue.drop(study)
            self.show()

    def _stage(self, study: Study) -> str:
        progress = self._queue.progress(study)
        return _words(progress) if progress is not None else ""

    def _on_progress(self, study: Study, _progress: Progress) -> None:
        if not self._session.is_open(study):
            self.show()

    def _on_ended(self, study: Study, outcome: Outcome) -> None:
        if not self._session.is_open(study) and (outcome.detection is not None or outcome.error is not None):
            count = len(study.lesions)
            found = f"{count} lesion{'' if count == 1 else 's'} found"
            self._ended.append((study, outcome.error.message if outcome.error is not None else found))
        self.show()

    def _on_study(self, study: Study | None) -> None:
        self._ended = [entry for entry in self._ended if entry[0] is not study]
        self.show()


def _words(progress: Progress) -> str:
    counted = f" {progress.done} of {progress.total}" if progress.total > 1 else ""
    return f"{progress.stage}{counted}"
