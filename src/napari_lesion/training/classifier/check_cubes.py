"""Check the cross-validated models on the cubes: other files, cut and resampled by others, of the same readers.

``python -m napari_lesion.training.classifier.check_cubes --data DATA --run DIR --out cubes.json``

Each cube is judged by the models and the calibration that left the fold of its patient out.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from napari_lesion.core.errors import InputError
from napari_lesion.inference.rating.heads import apply_heads
from napari_lesion.inference.rating.scores import boosted_scores
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.classifier.crops import crop_source
from napari_lesion.training.classifier.cross_validate import (
    BOOSTED,
    DIAMETER,
    ENSEMBLE,
    NETWORK,
    boosted_without,
    sources,
    without_nan,
)
from napari_lesion.training.classifier.cubes import load_cubes
from napari_lesion.training.classifier.fold_scores import cross_fitted
from napari_lesion.training.classifier.judged import Judged, Truths, figures_of, fit_heads
from napari_lesion.training.classifier.measured import Measures, measure_slice, measure_slices
from napari_lesion.training.classifier.network import build_network, predict_logits
from napari_lesion.training.classifier.networks import folder_of
from napari_lesion.training.classifier.recipe import Recipe
from napari_lesion.training.classifier.scores import diameter_scores, network_scores
from napari_lesion.training.classifier.slices import NoduleSlice, in_folds, load_slices
from napari_lesion.training.classifier.targets import TEXTURES
from napari_lesion.training.folds import N_FOLDS

FloatArray = npt.NDArray[np.float32]

log = logging.getLogger(__name__)


def cube_scores(
    name: str, cubes: Sequence[NoduleSlice], fold: int, slices: Sequence[NoduleSlice], measures: Measures, run: Path
) -> FloatArray:
    """Scores of the cubes of one fold by a model that left it out."""
    if name == DIAMETER:
        return diameter_scores(cubes)
    if name == BOOSTED:
        rows = [measure_slice(cube) for cube in cubes]
        values = np.array([[row.get(column, np.nan) for column in measures.names] for row in rows], dtype=np.float32)
        return boosted_scores(boosted_without(slices, measures, (fold,), run), values)
    if name == NETWORK:
        network = build_network(Recipe())
        network.load_state_dict(load_weights(folder_of(run, (fold,)) / "weights.pt")["network"])
        return network_scores(predict_logits(network, crop_source(cubes), Recipe(), np.arange(len(cubes))))
    parts = [cube_scores(part, cubes, fold, slices, measures, run) for part in (NETWORK, BOOSTED)]
    return np.concatenate(parts, axis=1)


def judge_cubes(name: str, cubes: Sequence[NoduleSlice], slices: Sequence[NoduleSlice], run: Path) -> Judged:
    """Probabilities of every cube by one model of the run."""
    measures = measure_slices(slices, run / "measures.npz")
    scores = cross_fitted(slices, sources(slices, measures, run)[name])
    truths = Truths.of(slices)
    count = len(cubes)
    first, texture, chalk = np.empty(count), np.empty((count, len(TEXTURES))), np.empty(count)
    methods = []
    for fold in range(N_FOLDS):
        chosen, inner = scores.inner(fold)
        heads = fit_heads(inner, truths, chosen)
        methods.append(heads.method)
        places = in_folds(cubes, (fold,))
        if len(places):
            outer = cube_scores(name, [cubes[place] for place in places], fold, slices, measures, run)
            first[places], texture[places], chalk[places] = apply_heads(heads, outer)
    return Judged(first, texture, chalk, tuple(methods))


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_slices and lidc_nodules.")],
    run: Annotated[Path, typer.Option(help="Folder of the cross-validation.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    models: Annotated[str, typer.Option(help="Models, separated by commas.")] = f"{BOOSTED},{NETWORK},{ENSEMBLE}",
) -> None:
    """Write the figures of the cubes; calcification is left out, since their HU saturate at 400."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cubes, slices = load_cubes(data), load_slices(data)
    truths = Truths.of(cubes)
    found: dict[str, Any] = {"cubes": len(cubes), "agreed": int(truths.agreed.sum()), "models": {}}
    for name in (word.strip() for word in models.split(",")):
        if name not in (DIAMETER, BOOSTED, NETWORK, ENSEMBLE):
            raise InputError(f"There is no model called {name!r}")
        figures = figures_of(judge_cubes(name, cubes, slices, run), truths)
        del figures["calcified"]
        found["models"][name] = figures
        sizes = figures["suspicious"]
        log.info("%s: %s", name, {size: (part["n"], part["auc_interval"]) for size, part in sizes.items()})
        log.info("texture %s", figures["texture"]["balanced_accuracy"])
    out.write_text(json.dumps(without_nan(found), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
