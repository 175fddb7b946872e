"""Detections one after another, each belonging to a study that may have been left meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from psygnal import Signal

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext, Progress
from napari_lesion.gui.presenters.jobs import JobListener, JobRunner
from napari_lesion.workflow.detect import Detection, DetectRequest
from napari_lesion.workflow.study import Study

TITLE = "Detection"
WAITING = "Waiting for the detection before it"
Detect = Callable[[DetectRequest, JobContext], Detection]


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a detection ended: with a result, an error, or neither because it was cancelled."""

    detection: Detection | None = None
    error: LesionError | None = None


@dataclass(eq=False)
class _Task:
    study: Study
    request: DetectRequest
    progress: Progress


class DetectionQueue:
    """Runs one detection at a time, in the order in which they were asked for; one a study.

    Every method runs on the main thread, and so do the signals.

    Parameters
    ----------
    runner
        Runs the detections; its own.
    detect
        What a detection is: a job of a request.
    """

    progressed = Signal(object, object)
    """A `Study` and its `Progress`."""
    ended = Signal(object, object)
    """A `Study` and its `Outcome`; it is no longer in the queue."""
    changed = Signal()
    """A study came into the queue or left it."""

    def __init__(self, runner: JobRunner, detect: Detect) -> None:
        self._runner = runner
        self._detect = detect
        self._tasks: list[_Task] = []

    @property
    def studies(self) -> tuple[Study, ...]:
        """Studies that are computed or wait, in their order."""
        return tuple(task.study for task in self._tasks)

    def holds(self, study: Study | None) -> bool:
        """Whether a study is computed or waits."""
        return any(task.study is study for task in self._tasks)

    def progress(self, study: Study) -> Progress | None:
        """How far the detection of a study is; None when there is none."""
        return next((task.progress for task in self._tasks if task.study is study), None)

    def add(self, study: Study, request: DetectRequest) -> None:
        """Detect in a study as soon as those before it are done.

        Raises
        ------
        LesionError
            When the study is in the queue already.
        """
        if self.holds(study):
            raise LesionError(f"{TITLE} is still running", todo="Wait for it, or cancel it first")
        words = WAITING if self._tasks else "Starting"
        self._tasks.append(_Task(study, request, Progress(words)))
        self._start_next()
        self.changed.emit()

    def cancel(self, study: Study) -> None:
        """Stop the detection of a study; ``ended`` tells when it has stopped."""
        if self._tasks and self._tasks[0].study is study:
            self._runner.cancel()
        elif self.holds(study):
            self._end(study, Outcome())

    def drop(self, study: Study) -> None:
        """Stop the detection of a study that is no longer wanted; nothing is told of it any more."""
        if self._tasks and self._tasks[0].study is study:
            self._runner.abandon()
        self._forget(study)

    def close(self) -> None:
        """Stop everything, and tell nothing of it."""
        self._tasks.clear()
        self._runner.abandon()

    def _start_next(self) -> None:
        if not self._tasks or self._runner.busy:
            return
        task = self._tasks[0]
        end = partial(self._end, task.study)
        listener = JobListener(
            returned=lambda detection: end(Outcome(detection)),
            failed=lambda error: end(Outcome(error=error)),
            progressed=partial(self._on_progress, task),
            cancelled=lambda: end(Outcome()),
        )
        self._runner.start(TITLE, partial(self._detect, task.request), listener)

    def _on_progress(self, task: _Task, progress: Progress) -> None:
        task.progress = progress
        self.progressed.emit(task.study, progress)

    def _end(self, study: Study, outcome: Outcome) -> None:
        self._tasks = [task for task in self._tasks if task.study is not study]
        self.ended.emit(study, outcome)
        self._start_next()
        self.changed.emit()

    def _forget(self, study: Study) -> None:
        if self.holds(study):
            self._tasks = [task for task in self._tasks if task.study is not study]
            self._start_next()
            self.changed.emit()
