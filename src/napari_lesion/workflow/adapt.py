"""Adapt a model to corrected cases: fine-tune, compare before and after on cases kept back, refuse what is worse."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from napari_lesion.core.errors import InputError, ModelError
from napari_lesion.core.jobs import JobContext
from napari_lesion.evaluation.summary import Summary, summarise
from napari_lesion.io.atomic import output_error
from napari_lesion.io.datalist import DatalistCase, read_datalist
from napari_lesion.io.records import state_folder
from napari_lesion.models.catalogue import user_folder
from napari_lesion.models.safety import require_name
from napari_lesion.models.training_data import TrainingData
from napari_lesion.training.segmenter.config import SegmenterConfig, continued_from
from napari_lesion.training.segmenter.parameters import TrainParameters
from napari_lesion.training.segmenter.split import split_cases
from napari_lesion.training.segmenter.train import TrainRequest, train
from napari_lesion.workflow.corrected import CorrectedStudy, read_export, write_corrected
from napari_lesion.workflow.evaluate_case import CaseSettings, evaluate_case
from napari_lesion.workflow.export import make_folder
from napari_lesion.workflow.models import BundleInfo, find_model
from napari_lesion.workflow.parameters import AdaptParameters, DetectParameters, EvaluateParameters

FOLDS: Final = 4
"""One patient of four is kept back."""
LARGEST_WINDOW: Final = 64
RUNS: Final = ".adapting"
"""Folder of checkpoints beside the new model."""


@dataclass(frozen=True)
class AdaptRequest:
    """What to adapt to what.

    Parameters
    ----------
    model
        The model that is continued from.
    datalist
        Corrected cases.
    out
        Bundle folder of the new model; there must be none yet.
    parameters
        Choices of the user.
    """

    model: BundleInfo
    datalist: Path
    out: Path
    parameters: AdaptParameters = field(default_factory=AdaptParameters)


@dataclass(frozen=True)
class Standing:
    """How good a model is on the cases that were kept back.

    Parameters
    ----------
    dice
        Mean Dice of the images.
    sensitivity
        Share of the lesions that were found.
    false_marks
        Mean number of marks an image that hit nothing.
    """

    dice: float
    sensitivity: float
    false_marks: float

    @classmethod
    def of(cls, summary: Summary) -> Standing:
        """The three figures of an evaluation."""
        names = ("dice", "sensitivity", "false_marks_per_image")
        dice, found, false = (summary.figures[name].interval.value for name in names)
        return cls(dice, found, false)

    @property
    def words(self) -> str:
        """One line for people."""
        return f"Dice {self.dice:.3f}, sensitivity {self.sensitivity:.2f}, {self.false_marks:.1f} false marks a case"


@dataclass(frozen=True)
class Adapted:
    """What came of an adaptation.

    Parameters
    ----------
    before, after
        The former and the new model on the cases that were kept back.
    trained, kept_back
        Names of the cases that were learned from, and of those that were not.
    path
        The new model; None when it was worse and is not kept.
    """

    before: Standing
    after: Standing
    trained: tuple[str, ...]
    kept_back: tuple[str, ...]
    path: Path | None

    @property
    def sentence(self) -> str:
        """What came of it, for people."""
        cases = f"{len(self.kept_back)} kept back" if len(self.kept_back) > 1 else self.kept_back[0]
        figures = f"on {cases}: before, {self.before.words}; after, {self.after.words}"
        if self.path is None:
            return f"The adapted model was not kept, because it is worse {figures}"
        return f"{self.path.name} was kept; {figures}"


def new_model(name: str) -> Path:
    """Folder of a new model of the user.

    Raises
    ------
    ModelError
        When the name cannot be that of a model, or is taken.
    """
    return _free(user_folder() / require_name(name.strip()))


def _free(out: Path) -> Path:
    require_name(out.name)
    if out.exists():
        raise ModelError(f"There is a model {out.name} already", f"it lies in {out}", "Give another name")
    return out


def adapt(request: AdaptRequest, ctx: JobContext | None = None) -> Adapted:
    """Fine-tune a model, and keep the new one when it is not worse on cases that were kept back.

    Nothing is chosen on the cases kept back: the last weights are taken, and the threshold stays.

    Raises
    ------
    InputError
        When there are cases of fewer than two patients, or one cannot be used.
    ModelError
        When the model cannot be adapted, or the new name is taken.
    OutputError
        When something cannot be written.
    JobCancelled
        When the job was asked to stop; the same request continues where it stopped.
    """
    ctx = ctx or JobContext()
    _require_ours(request.model)
    out = _free(request.out)
    config = adaptation_config(request)
    split = split_cases(read_datalist(request.datalist), config)
    before = standing(request.model, split.held_out, request.parameters.device, ctx)
    candidate = out.parent / RUNS / out.name
    chosen = TrainParameters(device=request.parameters.device)
    train(TrainRequest(request.datalist, config, candidate, request.model, chosen), ctx)
    after = standing(find_model(candidate), split.held_out, request.parameters.device, ctx)
    trained, kept_back = (tuple(case.name for case in side) for side in (split.train, split.held_out))
    path = None if is_worse(before, after) else _keep(candidate, out)
    shutil.rmtree(candidate, ignore_errors=True)
    shutil.rmtree(candidate.with_name(candidate.name + ".run"), ignore_errors=True)
    return Adapted(before, after, trained, kept_back, path)


def _require_ours(model: BundleInfo) -> None:
    if model.foreign or model.channels != 1 or model.activation != "sigmoid":
        raise ModelError(
            f"The model {model.name} cannot be adapted",
            "only models of one image with a single output for the lesion can be",
            "Choose one of those that ship with the program, or train one",
        )


def adaptation_config(request: AdaptRequest) -> SegmenterConfig:
    """Configuration that continues from the model, in windows of at most 64 voxels, and chooses nothing."""
    x, y, z = (min(LARGEST_WINDOW, edge) for edge in request.model.roi_size)
    steps, rate = request.parameters.steps, request.parameters.learning_rate
    plain = SegmenterConfig(
        title=f"{request.model.title or request.model.name}, adapted",
        description=f"{request.model.description} Adapted by a user from {request.model.name}.".strip(),
        roi_size=(x, y, z),
        optimizer={"_target_": "AdamW", "lr": rate, "weight_decay": 1e-2},
        schedule={"_target_": "WarmupCosineSchedule", "warmup_steps": max(1, steps // 20), "t_total": steps},
        steps=steps,
        folds=FOLDS,
        validate_every=steps,
        checkpoint_every=min(25, steps),
        threshold=request.model.default_threshold,
    )
    return continued_from(request.model, plain)


def standing(model: BundleInfo, cases: Sequence[DatalistCase], device: str, ctx: JobContext) -> Standing:
    """How good a model is, by the same detection that a user runs."""
    settings = CaseSettings(model, EvaluateParameters(), DetectParameters(device=device), TrainingData())
    found = [evaluate_case(case.name, case, settings, ctx).figures for case in cases]
    return Standing.of(summarise([figures for figures in found if figures is not None]))


def is_worse(before: Standing, after: Standing) -> bool:
    """Whether Dice or sensitivity fell, or became undefined."""
    fell = after.dice < before.dice or after.sensitivity < before.sensitivity
    return fell or math.isnan(after.dice) or math.isnan(after.sensitivity)


def _keep(candidate: Path, out: Path) -> Path:
    try:
        candidate.rename(out)
    except OSError as error:
        raise output_error(out, error) from error
    return out


@dataclass(frozen=True, eq=False)
class AdaptStudiesRequest:
    """What to adapt to studies that somebody has corrected.

    Parameters
    ----------
    model
        The model that is continued from.
    studies
        The open study, as it was when the job was asked for; empty for none.
    exports
        Folders of exports.
    name
        Name of the new model.
    parameters
        Choices of the user.
    """

    model: BundleInfo
    studies: tuple[CorrectedStudy, ...]
    exports: tuple[Path, ...]
    name: str
    parameters: AdaptParameters = field(default_factory=AdaptParameters)


def adapt_studies(request: AdaptStudiesRequest, ctx: JobContext | None = None) -> Adapted:
    """Adapt a model to corrected studies; a new one that is not worse lies in the user's folder of models.

    Raises
    ------
    LesionError
        As `adapt`, or when an export cannot be used.
    JobCancelled
        When the job was asked to stop.
    """
    ctx = ctx or JobContext()
    out = new_model(request.name)
    read = [read_export(folder) for folder in ctx.track(request.exports, "Reading the exports", len(request.exports))]
    studies = [*request.studies, *read]
    if len({study.patient for study in studies}) < 2:
        raise InputError(
            "The corrections of one patient are not enough to adapt the model",
            "one patient at least is kept back, to see whether the new model is better",
            "Add the folder of an export of another patient",
        )
    datalist = write_corrected(studies, state_folder() / "adapting" / out.name)
    make_folder(out.parent)
    return adapt(AdaptRequest(request.model, datalist, out, request.parameters), ctx)
