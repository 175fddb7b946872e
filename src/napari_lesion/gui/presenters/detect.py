"""The detect panel: model, fit, run, threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from psygnal import Signal

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext, Progress
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.gui.presenters.jobs import JobBusyError, JobListener, JobRunner
from napari_lesion.gui.presenters.queue import TITLE, DetectionQueue, Outcome
from napari_lesion.gui.session import Session
from napari_lesion.workflow.channels import Images
from napari_lesion.workflow.detect import (
    Detection,
    DetectParameters,
    DetectRequest,
    detect_lesions,
    install_detection,
    request_for,
    spread_of,
)
from napari_lesion.workflow.fit import Fit, check_fit
from napari_lesion.workflow.lesion_threshold import mark_lesion, threshold_of
from napari_lesion.workflow.measure import StudyMeasurement, StudyMeasureRequest, install_measurement, measure_study
from napari_lesion.workflow.models import BundleInfo, list_models
from napari_lesion.workflow.study import Study
from napari_lesion.workflow.threshold import (
    Marks,
    ReaderState,
    highest_probability,
    install_marks,
    mark_lesions,
)

LOADING = "Loading the model library"
LOWEST = 0.02
STEP = 0.02


@dataclass(frozen=True)
class ThresholdState:
    """What the panel shows of the threshold.

    Parameters
    ----------
    value
        Present threshold, 0 to 1.
    lesions
        Number of lesions at it.
    gained, lost
        Marks that came and went with the last move.
    hint
        What to do when nothing is found; empty otherwise.
    suggestion
        Threshold at which something would be marked; None when nothing would, or something is.
    alone
        Label of the mark that the slider moves alone; 0 when it moves all.
    can_alone
        Whether the selected lesion can be moved alone.
    passes
        Number of passes of the test-time augmentation whose spread can be shown; 0 without.
    """

    value: float
    lesions: int
    gained: int = 0
    lost: int = 0
    hint: str = ""
    suggestion: float | None = None
    alone: int = 0
    can_alone: bool = False
    passes: int = 0


class DetectView(Protocol):
    """The detect panel as the presenter knows it."""

    def show_models(self, models: Sequence[BundleInfo], chosen: int) -> None:
        """Fill the choice of models."""

    def show_model(self, model: BundleInfo) -> None:
        """Show defaults and operating points of the chosen model."""

    def show_fit(self, fit: Fit | None) -> None:
        """Show whether the study suits the model, and the cost; None while it is not known."""

    def show_ready(self, ready: bool) -> None:
        """Whether there is a study and a model to run."""

    def show_running(self, running: bool) -> None:
        """Show that a detection runs, or no longer does."""

    def show_progress(self, progress: Progress) -> None:
        """Show how far it is."""

    def show_threshold(self, state: ThresholdState | None) -> None:
        """Show the threshold and what it marks; None without a detection."""

    def show_done(self, sentence: str, memory: str = "") -> None:
        """Show what the last detection did, and what memory it holds."""

    def show_error(self, error: LesionError) -> None:
        """Show why it did not run."""

    def parameters(self) -> DetectParameters:
        """What the user chose in the form."""
        ...


@dataclass(frozen=True)
class Beforehand:
    """What is settled before a detection is asked for.

    Parameters
    ----------
    ask
        Calls the second argument at once, or when the user agreed that code in the bundle may run; else never.
    images
        The images of a study that a model takes, in the order of its channels; raises a `LesionError` without them.
    """

    ask: Callable[[BundleInfo, Callable[[], None]], None]
    images: Callable[[Study, BundleInfo], Images]


class DetectPresenter:
    """Asks for detections and moves their threshold.

    Parameters
    ----------
    session
        The open study.
    runner
        Runs what the user waits for, shared with opening and exporting.
    quick
        Runs the fit check, whose result nobody waits for.
    view
        The panel.
    queue
        Runs the detections of this and of other studies.
    beforehand
        What is settled before.
    """

    spread_changed = Signal(object)
    """Spread of the passes to be shown as an image, a `ProbabilityMap`; None for none any more."""
    model_changed = Signal(object)
    """Another model was chosen, a `BundleInfo`."""

    def __init__(
        self,
        session: Session,
        runner: JobRunner,
        quick: JobRunner,
        view: DetectView,
        queue: DetectionQueue,
        beforehand: Beforehand,
    ) -> None:
        self._session = session
        self._runner = runner
        self._quick = quick
        self._view = view
        self._queue = queue
        self._beforehand = beforehand
        self._models: list[BundleInfo] = []
        self._model: BundleInfo | None = None
        self._wanted: float | None = None
        self._moving = False
        self._alone = False
        session.study_changed.connect(self._on_study)
        session.selection_changed.connect(self._on_selection)
        session.lesions_changed.connect(self._on_lesions)
        queue.progressed.connect(self._on_progress)
        queue.ended.connect(self._on_ended)

    @property
    def model(self) -> BundleInfo | None:
        """The chosen model."""
        return self._model

    def start(self) -> None:
        """Fill the panel."""
        self.fill_models()
        self._on_study(self._session.study)

    def fill_models(self, chosen: str = "") -> None:
        """Fill the choice of models anew, and take the one of this name; the first one for none."""
        try:
            self._models = list_models()
        except LesionError as error:
            self._view.show_error(error)
        names = [model.name for model in self._models]
        index = names.index(chosen) if chosen in names else 0
        self._view.show_models(self._models, index)
        if self._models:
            self.choose_model(index)

    def reload(self, name: str) -> None:
        """List the models again, and take the one of this name."""
        self._models = list_models()
        chosen = next((place for place, model in enumerate(self._models) if model.name == name), 0)
        self._view.show_models(self._models, chosen)
        self.choose_model(chosen)

    def choose_model(self, index: int) -> None:
        """Take another model of the list."""
        if 0 <= index < len(self._models):
            self._model = self._models[index]
            self._view.show_model(self._model)
            self.model_changed.emit(self._model)
            self.check_fit()

    def check_fit(self) -> None:
        """Look whether the study suits the model, beside everything else."""
        study, model = self._session.study, self._model
        self._view.show_ready(study is not None and model is not None)
        self._quick.abandon()
        self._view.show_fit(None)
        if study is not None and model is not None:
            job = partial(_fit, study, model, self._view.parameters())
            self._quick.start("Fit check", job, JobListener(self._view.show_fit, self._view.show_error))

    def detect(self) -> None:
        """Run the chosen model on the open study."""
        study, model = self._session.study, self._model
        if study is None or model is None:
            missing = "No study is open" if study is None else "No model is chosen"
            self._view.show_error(LesionError(missing, todo="Open a study first" if study is None else "Choose one"))
            return
        if self._runner.busy:
            self._view.show_error(JobBusyError(self._runner.running))
            return
        try:
            images = self._beforehand.images(study, model)
        except LesionError as error:
            self._view.show_error(error)
            return
        self._beforehand.ask(model, partial(self._enqueue, study, model, images))

    def _enqueue(self, study: Study, model: BundleInfo, images: Images) -> None:
        if not self._session.is_open(study):
            return
        parameters = replace(self._view.parameters(), prepare=self._session.preparation)
        try:
            self._queue.add(study, request_for(study, model, parameters, images))
        except LesionError as error:
            self._view.show_error(error)
            return
        self._show_running()

    def cancel(self) -> None:
        """Stop the detection of the open study, or else what the user waits for."""
        study = self._session.study
        if study is not None and self._queue.holds(study):
            self._queue.cancel(study)
        else:
            self._runner.cancel()

    def set_threshold(self, value: float) -> None:
        """Mark lesions at another threshold; of many moves in a row only the last one is followed."""
        self._wanted = round(min(1.0, max(LOWEST, value)), 4)
        if not self._moving:
            self._move()

    def nudge(self, direction: int) -> None:
        """Move the threshold by one step down (-1) or up (1)."""
        present = self._present
        if present is not None:
            start = self._wanted if self._wanted is not None else present
            self.set_threshold(start + direction * STEP)

    def set_alone(self, alone: bool) -> None:
        """Whether the threshold moves the selected lesion alone."""
        self._alone, self._wanted = alone, None
        self._show_threshold()

    def show_spread(self, shown: bool) -> None:
        """Show or hide how far the passes of the augmentation differ at each voxel."""
        study = self._session.study
        if not shown or study is None or study.detection is None:
            self.spread_changed.emit(None)
            return
        job = partial(_spread, study.detection)
        try:
            self._runner.start("Spread", job, JobListener(partial(self._spread_ready, study), self._view.show_error))
        except LesionError as error:
            self._view.show_error(error)

    def _spread_ready(self, study: Study, spread: ProbabilityMap) -> None:
        if self._session.is_open(study):
            self.spread_changed.emit(spread)

    @property
    def _target(self) -> int:
        """Label that the slider moves alone; 0 for all."""
        return self._session.selected if self._alone and self._can_alone else 0

    @property
    def _can_alone(self) -> bool:
        study = self._session.study
        return study is not None and threshold_of(study, self._session.selected) is not None

    @property
    def _present(self) -> float | None:
        """The threshold that the slider shows."""
        study, target = self._session.study, self._target
        if study is None:
            return None
        return threshold_of(study, target) if target else study.threshold

    def _move(self) -> None:
        study, wanted = self._session.study, self._wanted
        if study is None or study.detection is None or wanted is None or wanted == self._present:
            self._wanted = None
            return
        if self._queue.holds(study):
            self._move_failed(JobBusyError(TITLE))
            return
        job = partial(_mark, study, ReaderState.of(study), wanted, self._target)
        listener = JobListener(
            partial(self._moved, study), self._move_failed, cancelled=partial(self._move_failed, None)
        )
        try:
            self._runner.start("Threshold", job, listener)
        except LesionError as error:
            self._move_failed(error)
            return
        self._wanted, self._moving = None, True

    def _moved(self, study: Study, result: tuple[Marks, StudyMeasurement]) -> None:
        self._moving = False
        if not self._session.is_open(study):
            return
        marks, measurement = result
        install_marks(study, marks)
        install_measurement(study, measurement)
        self._session.detected()
        self._show_threshold(len(marks.gained), len(marks.lost))
        self._move()

    def _move_failed(self, error: LesionError | None) -> None:
        self._moving, self._wanted = False, None
        self._show_threshold()
        if error is not None:
            self._view.show_error(error)

    def _on_progress(self, study: Study, progress: Progress) -> None:
        if self._session.is_open(study):
            self._view.show_progress(progress)

    def _on_ended(self, study: Study, outcome: Outcome) -> None:
        """Install a result in its own study; what is shown changes only when that is the open one."""
        if outcome.detection is not None:
            install_detection(study, outcome.detection)
        if not self._session.is_open(study):
            return
        self._view.show_running(False)
        if outcome.error is not None:
            self._view.show_error(outcome.error)
        elif outcome.detection is None:
            self._view.show_done("Cancelled; nothing was changed")
        else:
            self.spread_changed.emit(None)
            self._session.detected()
            self._view.show_done(_sentence(outcome.detection), _memory(outcome.detection))
            self._show_threshold()

    def _show_done(self, study: Study | None) -> None:
        detection = study.detection if study is not None else None
        if detection is None:
            self._view.show_done("")
        else:
            self._view.show_done(_sentence(detection), _memory(detection))

    def _show_running(self) -> None:
        study = self._session.study
        progress = self._queue.progress(study) if study is not None else None
        self._view.show_running(progress is not None)
        if progress is not None:
            self._view.show_progress(progress)

    def _on_study(self, study: Study | None) -> None:
        self._wanted, self._moving = None, False
        self._show_done(study)
        self._show_running()
        self._show_threshold()
        self.check_fit()

    def _on_lesions(self) -> None:
        if not self._moving:
            self._show_threshold()

    def _on_selection(self, _label: int, _reveal: bool) -> None:
        """A move that waits was meant for the lesion selected before."""
        if self._alone:
            self._wanted = None
        self._on_lesions()

    def _show_threshold(self, gained: int = 0, lost: int = 0) -> None:
        study = self._session.study
        if study is None or study.detection is None or study.threshold is None:
            self._view.show_threshold(None)
            return
        hint, suggestion = _nothing_found(study)
        self._view.show_threshold(
            ThresholdState(
                value=study.threshold if self._present is None else self._present,
                lesions=len(study.lesions),
                gained=gained,
                lost=lost,
                hint=hint,
                suggestion=suggestion,
                alone=self._target,
                can_alone=self._can_alone,
                passes=len(study.detection.probability.members),
            )
        )


def _nothing_found(study: Study) -> tuple[str, float | None]:
    """What to say when there is no lesion, and the threshold at which there would be a mark."""
    if study.lesions or study.detection is None:
        return "", None
    highest = highest_probability(study.detection.probability)
    if highest < LOWEST:
        return "Nothing found, and the model gives no voxel a probability worth looking at.", None
    suggestion = max(LOWEST, int(highest * 50) / 50)
    return f"Nothing found at this threshold. The highest probability is {highest:.2f}.", suggestion


def _sentence(detection: Detection) -> str:
    said = {sentence.rstrip("."): None for sentence in (detection.organ, *detection.notes) if sentence}
    done = f"Done in {detection.total_seconds:.1f} s"
    return ". ".join((done, *said)) + "."


def _memory(detection: Detection) -> str:
    """What is held after a detection, for people."""
    held = detection.probability.nbytes / 2**20
    return (
        f"Held in memory: {held:.1f} MiB of probability, for the threshold. The model was unloaded from "
        f"{'the GPU' if detection.device.startswith('cuda') else 'memory'} when it was done."
    )


def _spread(detection: Detection, ctx: JobContext) -> ProbabilityMap:
    ctx.step("Comparing the passes")
    return spread_of(detection)


def _fit(study: Study, model: BundleInfo, parameters: DetectParameters, ctx: JobContext) -> Fit:
    ctx.step("Checking the fit")
    return check_fit(study.volume, model, parameters, ctx)


def run_detection(request: DetectRequest, ctx: JobContext) -> Detection:
    """Detect as a job; the first import of the model library holds the interpreter for a moment, and says so."""
    ctx.step(LOADING)
    return detect_lesions(request, ctx)


def _mark(
    study: Study, reader: ReaderState, threshold: float, alone: int, ctx: JobContext
) -> tuple[Marks, StudyMeasurement]:
    """Mark at another threshold and measure, as a job; the study itself is not touched."""
    assert study.detection is not None
    ctx.step("Marking lesions")
    if alone:
        marks = mark_lesion(study, reader, alone, threshold)
    else:
        marks = mark_lesions(study.detection.probability, threshold, study.min_volume_mm3, reader)
    only = frozenset(marks.moved) if alone else None
    request = StudyMeasureRequest(study.volume, marks.on(study.volume.grid, reader), marks.lesions, only)
    return marks, measure_study(request, ctx)
