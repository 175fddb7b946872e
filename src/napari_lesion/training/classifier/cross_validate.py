"""Compare diameter, boosted measurements, the network and their ensemble in the same folds.

``python -m napari_lesion.training.classifier.cross_validate --data DATA --run DIR --out figures.json``
reads the predictions that `networks` left in DIR.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from napari_lesion.core.errors import InputError
from napari_lesion.inference.rating.scores import BoostedModel, boosted_scores
from napari_lesion.training.checkpoints import JsonLog
from napari_lesion.training.classifier.boosting import fit_boosted
from napari_lesion.training.classifier.calibration import METHODS
from napari_lesion.training.classifier.fold_scores import FoldScores, cross_fitted, nested
from napari_lesion.training.classifier.judged import Truths, figures_of, gains, judge
from napari_lesion.training.classifier.measured import Measures, measure_slices
from napari_lesion.training.classifier.networks import HeldOut, folder_of, held_out_singles
from napari_lesion.training.classifier.recipe import Recipe
from napari_lesion.training.classifier.scores import diameter_scores, network_scores
from napari_lesion.training.classifier.slices import NoduleSlice, in_folds, load_slices
from napari_lesion.training.folds import N_FOLDS

DIAMETER, BOOSTED, NETWORK, ENSEMBLE = "diameter", "boosted measurements", "network", "network and boosted"
COMPARED = ((NETWORK, BOOSTED), (ENSEMBLE, NETWORK), (ENSEMBLE, BOOSTED))

FloatArray = npt.NDArray[np.float32]
ScoresWithout = Callable[[HeldOut], FloatArray]

log = logging.getLogger(__name__)


def network_predictions(run: Path, held_out: HeldOut) -> FloatArray:
    """Logits that the network without these folds left in its folder.

    Raises
    ------
    InputError
        When that network is not trained yet.
    """
    path = folder_of(run, held_out) / "logits.npy"
    if not path.is_file():
        raise InputError("The cross-validation is not complete", f"{path} is missing", "Train the networks first")
    logits: FloatArray = np.load(path, allow_pickle=False)
    return logits


def boosted_without(nodules: Sequence[NoduleSlice], measures: Measures, held_out: HeldOut, run: Path) -> BoostedModel:
    """The boosted model that leaves these folds out; fitted once for the same measures and kept with the run."""
    path = folder_of(run, held_out) / "trees.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            if kept["names"].tolist() == list(measures.names):
                return BoostedModel.from_arrays(dict(kept), len(measures.names))
    learned = in_folds(nodules, [fold for fold in range(N_FOLDS) if fold not in held_out])
    model = fit_boosted(nodules, measures.values, learned)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, allow_pickle=False, names=np.array(measures.names), **model.to_arrays())
    return model


def sources(nodules: Sequence[NoduleSlice], measures: Measures, run: Path) -> dict[str, ScoresWithout]:
    """For every model, how to get the scores of the folds that it left out."""

    def boosted(held_out: HeldOut) -> FloatArray:
        chosen = in_folds(nodules, held_out)
        return boosted_scores(boosted_without(nodules, measures, held_out, run), measures.values[chosen])

    def network(held_out: HeldOut) -> FloatArray:
        return network_scores(network_predictions(run, held_out))

    return {
        DIAMETER: lambda held_out: diameter_scores([nodules[place] for place in in_folds(nodules, held_out)]),
        BOOSTED: boosted,
        NETWORK: network,
        ENSEMBLE: lambda held_out: np.concatenate((network(held_out), boosted(held_out)), axis=1),
    }


def report(scores: dict[str, FoldScores], truths: Truths) -> dict[str, Any]:
    """Figures of every model, and what the models gain over each other."""
    judged = {name: judge(one, truths, METHODS) for name, one in scores.items()}
    # Calibration by fold would take from the baseline a little of what it has: nothing of it was learned.
    judged[DIAMETER] = replace(judged[DIAMETER], ranking=truths.diameter_mm)
    return {
        "models": {name: figures_of(one, truths) for name, one in judged.items()},
        "gains": {
            f"{better} over {other}": gains(judged, truths, better, other)
            for better, other in COMPARED
            if better in judged and other in judged
        },
    }


def without_nan(value: Any) -> Any:
    """The same with None in place of NaN, which JSON does not know, and numbers of six digits."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_slices.")],
    run: Annotated[Path, typer.Option(help="Folder with the networks of the cross-validation.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    strict: Annotated[bool, typer.Option("--nested", help="Use the models that left two folds out.")] = False,
    models: Annotated[str, typer.Option(help="Models to compare, separated by commas; empty for all.")] = "",
) -> None:
    """Write the figures of all models; a summary goes to the log."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    nodules = load_slices(data)
    measures = measure_slices(nodules, run / "measures.npz")
    every = sources(nodules, measures, run)
    wanted = [DIAMETER, *(word.strip() for word in models.split(","))] if models else list(every)
    unknown = sorted(set(wanted) - set(every))
    if unknown:
        raise InputError(f"There is no model called {unknown[0]!r}", todo=f"Choose from {', '.join(every)}")
    collect = nested if strict else cross_fitted
    truths = Truths.of(nodules)
    found = report({name: collect(nodules, every[name]) for name in wanted}, truths)
    about = {
        "recipe": Recipe().digest,
        "scheme": "nested" if strict else "cross-fitted",
        "patients": len(np.unique(truths.patients)),
        "nodules": len(nodules),
        "measures": list(measures.names),
        "seconds": {f"without fold {held[0]}": _seconds(run, held) for held in held_out_singles()},
    }
    out.write_text(json.dumps(without_nan({**about, **found}), indent=1) + "\n", encoding="utf-8")
    for name, figures in found["models"].items():
        by_size = {size: part["auc_interval"] for size, part in figures["suspicious"].items()}
        log.info("%s: %s, texture %s", name, by_size, figures["texture"]["balanced_accuracy"])


def _seconds(run: Path, held_out: HeldOut) -> float:
    return float(sum(record["seconds"] for record in JsonLog(folder_of(run, held_out) / "log.jsonl").read()))


if __name__ == "__main__":
    typer.run(main)
