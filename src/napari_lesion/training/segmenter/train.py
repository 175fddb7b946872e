"""From a datalist to a bundle: split, prepare, fit, measure, write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_lesion.core.errors import InputError
from napari_lesion.core.jobs import JobContext
from napari_lesion.io.atomic import output_error, write_text
from napari_lesion.io.datalist import Datalist, read_datalist
from napari_lesion.io.records import to_plain
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.safety import load_state_dict, require_name
from napari_lesion.models.training_data import read_training_data
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.segmenter.bundle import Trained, write_segmenter
from napari_lesion.training.segmenter.checking import THRESHOLDS, standings
from napari_lesion.training.segmenter.config import SegmenterConfig, build_segmenter, continued_from
from napari_lesion.training.segmenter.fit import CHECKPOINT, FitTask, fit
from napari_lesion.training.segmenter.parameters import TrainParameters
from napari_lesion.training.segmenter.prepare import data_sha256, prepare_cases, require_lesions
from napari_lesion.training.segmenter.ranks import Ranks, all_ranks
from napari_lesion.training.segmenter.split import fold_numbers, split_cases

if TYPE_CHECKING:
    import torch

RUN: Final = "run.json"
SUFFIX: Final = ".run"
"""Added to the name of a bundle: the folder of its checkpoints and prepared cases."""
SUMMARY: Final = "folds.json"


@dataclass(frozen=True)
class TrainRequest:
    """What to train.

    Parameters
    ----------
    datalist
        Datalist in MONAI's format.
    config
        Network, loss and the rest.
    out
        Bundle folder to write; its name is that of the model.
    start_from
        Bundle whose weights, network and scaling are taken over; None to start from the seed.
    parameters
        Device, workers, and whether every fold is held out in turn: one bundle a fold, ``out-fold0`` and so on.
    """

    datalist: Path
    config: SegmenterConfig
    out: Path
    start_from: BundleInfo | None = None
    parameters: TrainParameters = field(default_factory=TrainParameters)

    @property
    def run(self) -> Path:
        """Folder of checkpoints, log and prepared cases."""
        return self.out.with_name(self.out.name + SUFFIX)


@dataclass(frozen=True)
class TrainResult:
    """Bundles that were written, with the figures of each on what it held out; none in further processes."""

    bundles: tuple[Path, ...]
    dice: tuple[float, ...]
    sensitivity: tuple[float, ...]


def train(request: TrainRequest, ctx: JobContext | None = None) -> TrainResult:
    """Train a bundle, or one a fold; started again with the same request, it continues.

    Raises
    ------
    LesionError
        When the datalist, a file or the configuration cannot be used, or something cannot be written; what was done
        before stays whole.
    JobCancelled
        When the job was asked to stop; it continues the next time.
    """
    ctx = ctx or JobContext()
    require_name(request.out.name)
    datalist = read_datalist(request.datalist)
    config = request.config
    if request.start_from is not None:
        config = continued_from(request.start_from, config)
    with all_ranks(request.parameters.device) as ranks:
        if not request.parameters.all_folds:
            return _collect([_train_fold(request, replace(request, config=config), datalist, ranks, ctx)])
        results = []
        for fold in fold_numbers(datalist, config):
            out = request.out.with_name(f"{request.out.name}-fold{fold}")
            part = replace(request, config=replace(config, fold=fold), out=out)
            results.append(_train_fold(request, part, datalist, ranks, ctx))
        found = _collect(results)
        if ranks.first:
            _summarise(request, found)
        return found


def _collect(results: Sequence[tuple[Path, float, float] | None]) -> TrainResult:
    known = [result for result in results if result is not None]
    return TrainResult(
        tuple(path for path, _, _ in known),
        tuple(dice for _, dice, _ in known),
        tuple(found for _, _, found in known),
    )


def _train_fold(
    request: TrainRequest, part: TrainRequest, datalist: Datalist, ranks: Ranks, ctx: JobContext
) -> tuple[Path, float, float] | None:
    """One bundle; all folds share the prepared cases."""
    config, cache = part.config, request.run / "prepared"
    split = split_cases(datalist, config)
    if ranks.first:
        prepare_cases([*split.train, *split.held_out], config, cache, ctx)
    ranks.wait()
    train, held_out = (
        prepare_cases(side, config, cache, JobContext(ctx.token)) for side in (split.train, split.held_out)
    )
    require_lesions(train, held_out)
    if ranks.first:
        _require_same_run(part, data_sha256([*train, *held_out]))
    start = load_state_dict(part.start_from.path, part.start_from.weights) if part.start_from else None
    best = fit(FitTask(config, train, held_out, part.run, start, part.parameters.workers), ranks, ctx)
    if not ranks.first:
        return None
    weights = load_weights(best)
    steps = int(load_weights(part.run / CHECKPOINT)["step"])
    ctx.step("Measuring on the held-out cases")
    network = _loaded(config, weights, ranks.device)
    earlier = part.start_from
    trained = Trained(
        config, split, train, held_out, weights, steps,
        standings=standings(network, held_out, config, _thresholds(config)),
        started_from=earlier.identity if earlier else "",
        earlier_patients=sorted(read_training_data(earlier).patients) if earlier else (),
        refinement=earlier.refinement if earlier else None,
    )  # fmt: skip
    write_segmenter(part.out, trained, part.run)
    return part.out, trained.chosen.dice, trained.chosen.sensitivity


def _thresholds(config: SegmenterConfig) -> list[float]:
    stated = () if config.threshold is None else (config.threshold,)
    return sorted({*THRESHOLDS, *stated})


def _loaded(config: SegmenterConfig, weights: dict[str, torch.Tensor], device: str) -> torch.nn.Module:
    network = build_segmenter(config)
    network.load_state_dict(weights)
    return network.to(device).eval()


def _require_same_run(part: TrainRequest, data: str) -> None:
    """Keep what decides a run beside its checkpoint, and refuse to continue another one."""
    stated = {
        "config": to_plain(asdict(part.config)),
        "data_sha256": data,
        "started_from": part.start_from.identity if part.start_from else "",
    }
    path = part.run / RUN
    try:
        part.run.mkdir(parents=True, exist_ok=True)
        former = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else stated
    except OSError as error:
        raise output_error(path, error) from error
    except ValueError:
        former = None
    if former != stated:
        raise InputError(
            f"{part.run} holds another training",
            "its data, its configuration or the model that it started from differs",
            "Give another --out, or delete this folder to start anew",
        )
    write_text(path, json.dumps(stated, indent=1) + "\n")


def _summarise(request: TrainRequest, found: TrainResult) -> None:
    """Mean and standard deviation over the folds, beside the bundles."""
    summary: dict[str, Any] = {"bundles": [path.name for path in found.bundles]}
    for name, values in (("dice", found.dice), ("sensitivity", found.sensitivity)):
        summary[name] = {"folds": list(values), "mean": float(np.mean(values)), "sd": float(np.std(values))}
    write_text(request.run / SUMMARY, json.dumps(summary, indent=1) + "\n")
