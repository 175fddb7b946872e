"""Detect lesions: probability, marks and measurements in one job."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module

from napari_lesion.core.jobs import JobContext
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.scores import ClassScores
from napari_lesion.core.table import LesionTable
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.inference.augment import spread
from napari_lesion.inference.backends.choose import preload as preload_backend
from napari_lesion.inference.bundles.predict import predict_foreign
from napari_lesion.inference.engine import Prediction, predict
from napari_lesion.workflow.channels import Images
from napari_lesion.workflow.measure import StudyMeasureRequest, measure_study
from napari_lesion.workflow.models import CLASS_SCORES, BundleInfo
from napari_lesion.workflow.parameters import DetectParameters as DetectParameters
from napari_lesion.workflow.prepare import prepared_for_detection
from napari_lesion.workflow.scores import ScoreRequest, install_scores, score_lesions, whole_scores
from napari_lesion.workflow.study import Study
from napari_lesion.workflow.threshold import Marks, ReaderState, install_marks, mark_classes, mark_lesions


@dataclass(frozen=True, eq=False)
class DetectRequest:
    """What to detect, as it stood when the job was asked for.

    Parameters
    ----------
    volume
        The image.
    model
        The bundle to run.
    parameters
        Choices of the user.
    reader
        What the reader did before, to be kept; None for nothing.
    images
        What a model of several sequences takes; ``volume`` alone without it.
    """

    volume: Volume
    model: BundleInfo
    parameters: DetectParameters = field(default_factory=DetectParameters)
    reader: ReaderState | None = None
    images: Images = field(default_factory=Images)


@dataclass(frozen=True, eq=False)
class Detection:
    """Everything that one detection found.

    Parameters
    ----------
    model
        The bundle that ran.
    parameters
        Choices of the user.
    probability
        Lesion probability on the native grid.
    marks
        Lesions at the first threshold.
    table
        Their measurements.
    device, backend, precision
        What the model ran on, and how exactly.
    windows
        Number of windows.
    seconds
        Wall time of each stage.
    organ
        In words, where was searched and why.
    notes
        Sentences for the user: a fall-back, voxels that were replaced.
    scores
        What a classifier says, which finds no lesions: they stay as they are then.
    """

    model: BundleInfo
    parameters: DetectParameters
    probability: ProbabilityMap
    marks: Marks
    table: LesionTable
    device: str
    backend: str
    windows: int
    seconds: Mapping[str, float]
    organ: str
    notes: tuple[str, ...] = ()
    precision: str = ""
    scores: ClassScores | None = None

    @property
    def total_seconds(self) -> float:
        """Wall time of the job, s."""
        return sum(self.seconds.values())


def request_for(
    study: Study, model: BundleInfo, parameters: DetectParameters | None = None, images: Images | None = None
) -> DetectRequest:
    """Request to detect in a study, around what its reader did."""
    return DetectRequest(
        study.volume, model, parameters or DetectParameters(), ReaderState.of(study), images or Images()
    )


def preload(model: BundleInfo, parameters: DetectParameters) -> None:
    """Import what a detection needs, in a thread beside the one that reads: half a second, or several."""
    preload_backend(model, parameters.engine)
    for name in ("cc3d", "edt", "scipy.spatial", "skimage.measure"):
        import_module(name)


def detect_lesions(request: DetectRequest, ctx: JobContext | None = None) -> Detection:
    """Run the model, mark lesions, and measure them.

    Raises
    ------
    LesionError
        When the model or the study cannot be computed.
    JobCancelled
        When the user stops it; nothing has changed then.
    """
    ctx = ctx or JobContext()
    model, parameters = request.model, request.parameters
    if model.task == CLASS_SCORES and request.reader is not None and request.reader.lesions:
        return _lesion_scores(request, ctx)
    looked_at = prepared_for_detection(request.volume, parameters.prepare, ctx)
    if model.foreign:
        prediction = predict_foreign(request.images.beside(looked_at), model, parameters.engine, ctx)
    else:
        prediction = predict(looked_at, model, parameters.engine, ctx)
    began = time.perf_counter()
    ctx.step("Marking lesions")
    marks = _marks(request, prediction)
    labels = marks.on(request.volume.grid, request.reader)
    marked = time.perf_counter()
    measured = measure_study(StudyMeasureRequest(request.volume, labels, marks.lesions), ctx)
    seconds = {**prediction.seconds, "marking": marked - began, "measuring": time.perf_counter() - marked}
    return Detection(
        model=model,
        parameters=parameters,
        probability=prediction.probability,
        marks=marks,
        table=measured.table,
        device=prediction.device,
        backend=prediction.backend,
        windows=prediction.windows,
        seconds=seconds,
        organ=prediction.organ.reason,
        notes=tuple(prediction.notes),
        precision=prediction.precision,
        scores=whole_scores(model, prediction.scores) if prediction.scores else None,
    )


def _lesion_scores(request: DetectRequest, ctx: JobContext) -> Detection:
    """What a classifier made by others says of each lesion."""
    began = time.perf_counter()
    assert request.reader is not None
    asked = ScoreRequest(request.volume, request.reader.labels, request.model, request.parameters.engine)
    scores = score_lesions(asked, ctx)
    count = len(scores.lesions)
    return Detection(
        model=request.model,
        parameters=request.parameters,
        probability=ProbabilityMap(request.volume.grid),
        marks=mark_classes(LabelMap.empty(request.volume.grid), {}),
        table=LesionTable(),
        device="cpu",
        backend="MONAI",
        windows=count,
        seconds={"scoring": time.perf_counter() - began},
        organ="",
        notes=(f"{count} lesion{'' if count == 1 else 's'} scored; the columns of the table are the classes.",),
        scores=scores,
    )


def _marks(request: DetectRequest, prediction: Prediction) -> Marks:
    """Marks by the threshold, or by the classes of a model that has no threshold."""
    model, parameters = request.model, request.parameters
    if prediction.labels is not None:
        return mark_classes(prediction.labels, prediction.lesions, request.reader)
    return mark_lesions(
        prediction.probability,
        model.default_threshold if parameters.threshold is None else parameters.threshold,
        model.min_volume_mm3 if parameters.min_volume_mm3 is None else parameters.min_volume_mm3,
        request.reader,
    )


def spread_of(detection: Detection) -> ProbabilityMap:
    """Standard deviation over the passes of a test-time augmentation at each voxel, 0 to 0.5; empty without one."""
    return spread(detection.probability)


def install_detection(study: Study, detection: Detection) -> None:
    """Put a finished detection into a study, in one step; scores leave its lesions as they are."""
    if detection.scores is not None:
        install_scores(study, detection.scores)
        return
    study.detection = detection
    install_marks(study, detection.marks)
    study.table = detection.table.ordered(study.lesions)
