"""Write the classifier as a MONAI bundle with its figures and its card.

``python -m napari_lesion.training.classifier.bundle --data DATA --run DIR --figures nested.json --out BUNDLE``
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from napari_lesion.core.errors import InputError
from napari_lesion.inference.rating.heads import Heads
from napari_lesion.training.bundle import half_precision, write_configs
from napari_lesion.training.checkpoints import load_weights, save_atomically
from napari_lesion.training.classifier.bundle_config import inference_config, metadata
from napari_lesion.training.classifier.card import BESIDE, FIGURES, write_card
from napari_lesion.training.classifier.cross_validate import (
    BOOSTED,
    ENSEMBLE,
    NETWORK,
    boosted_without,
    sources,
)
from napari_lesion.training.classifier.fold_scores import cross_fitted
from napari_lesion.training.classifier.judged import Truths, fit_heads
from napari_lesion.training.classifier.measured import Measures, measure_slices
from napari_lesion.training.classifier.networks import folder_of, held_out_singles
from napari_lesion.training.classifier.recipe import Recipe
from napari_lesion.training.classifier.slices import NoduleSlice, load_slices
from napari_lesion.training.classifier.targets import KEPT_OUTPUTS

if TYPE_CHECKING:
    import torch

LINEAR = ("temperature", "platt")
"""Calibrations that a bundle can state; steps would tie lesions."""


@dataclass(frozen=True, eq=False)
class Shipped:
    """What a bundle is made of.

    Parameters
    ----------
    recipe
        Of the networks.
    networks
        Weights by name of the member, with the outputs that ship.
    trees
        Arrays of the boosted models, by member and name; empty to leave them out.
    measures
        Columns that the trees ask for.
    heads
        Calibrations by name of the model.
    figures
        Report of `cross_validate` that the card is about.
    patients
        Everyone who was trained on.
    beside
        Further reports by their name among `napari_lesion.training.classifier.card.BESIDE`.
    """

    recipe: Recipe
    networks: dict[str, dict[str, torch.Tensor]]
    trees: dict[str, Any]
    measures: tuple[str, ...]
    heads: dict[str, Heads]
    figures: dict[str, Any]
    patients: tuple[str, ...]
    beside: dict[str, Any] = field(default_factory=dict)


def shipped_weights(path: Path, recipe: Recipe) -> dict[str, torch.Tensor]:
    """Weights of one network in half precision, with the outputs that ship.

    Raises
    ------
    InputError
        When the network is not trained yet, or by another recipe.
    """
    import torch

    content = load_weights(path)
    if content["recipe"] != recipe.digest:
        raise InputError(f"{path} cannot be shipped", "it was trained by another recipe", "Train the networks again")
    state = dict(content["network"])
    kept = torch.tensor(KEPT_OUTPUTS)
    state.update({name: state[name][kept] for name in ("fc.weight", "fc.bias")})
    return {name: value.contiguous() for name, value in half_precision(state).items()}


def gather(
    nodules: Sequence[NoduleSlice], measures: Measures, run: Path, figures: dict[str, Any], recipe: Recipe
) -> Shipped:
    """Collect the networks, trees and calibrations of a finished run.

    Parameters
    ----------
    nodules, measures
        All nodules and what the engine measured on them.
    run
        Folder of the run.
    figures
        Report of `cross_validate` on it.
    recipe
        Recipe that the networks were trained by.
    """
    truths = Truths.of(nodules)
    every = sources(nodules, measures, run)
    heads = {}
    for name in (NETWORK, BOOSTED, ENSEMBLE):
        scores = cross_fitted(nodules, every[name]).scores
        heads[name] = fit_heads(scores, truths, np.arange(len(nodules)), LINEAR)
    trees: dict[str, Any] = {}
    networks = {}
    for held_out in held_out_singles():
        member = f"without_{held_out[0]}"
        networks[member] = shipped_weights(folder_of(run, held_out) / "weights.pt", recipe)
        model = boosted_without(nodules, measures, held_out, run)
        trees.update({f"{member}.{name}": array for name, array in model.to_arrays().items()})
    patients = tuple(sorted({nodule.patient_id for nodule in nodules}))
    return Shipped(recipe, networks, trees, measures.names, heads, figures, patients)


def write_bundle(folder: Path, shipped: Shipped) -> None:
    """Write configs, weights, trees, figures and card; the licence stands beside them."""
    own = {
        "ships": ENSEMBLE,
        "members": list(shipped.networks),
        "heads": {name: _plain(heads) for name, heads in shipped.heads.items()},
        "measures": list(shipped.measures),
        "recipe": shipped.recipe.digest,
    }
    auc = shipped.figures["models"][ENSEMBLE]["suspicious"]["all sizes"]["auc"]
    write_configs(
        folder,
        inference_config(shipped.recipe, shipped.heads[NETWORK]),
        metadata(shipped.recipe, own, shipped.patients, auc),
    )
    for name in ("models", "docs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    save_atomically(shipped.networks, folder / "models" / "model.pt")
    np.savez_compressed(folder / "models" / "trees.npz", allow_pickle=False, **shipped.trees)
    for name in BESIDE:
        # The card reads what is there: a report of an earlier run must not stay.
        (folder / "docs" / f"{name}.json").unlink(missing_ok=True)
    for name, content in {FIGURES: shipped.figures, **shipped.beside}.items():
        (folder / "docs" / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    write_card(folder, shipped.recipe)


def _plain(heads: Heads) -> dict[str, Any]:
    return {name: getattr(heads, name).to_json() for name in ("suspicious", "texture", "calcified")}


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_slices.")],
    run: Annotated[Path, typer.Option(help="Folder of the trained networks.")],
    figures: Annotated[
        Path, typer.Option(help="Report of the cross-validation of the same run, best the nested one.")
    ],
    out: Annotated[Path, typer.Option(help="Bundle folder to write.")],
    cross_fitted: Annotated[
        Path | None, typer.Option(help="Report of the cross-validation that is not nested.")
    ] = None,
    cubes: Annotated[Path | None, typer.Option(help="Report of check_cubes.")] = None,
) -> None:
    """Write the bundle of a finished run."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    nodules = load_slices(data)
    found = _read(figures)
    shipped = gather(nodules, measure_slices(nodules, run / "measures.npz"), run, found, Recipe())
    further = {"cross_fitted": cross_fitted, "cubes": cubes}
    beside = {name: _read(path) for name, path in further.items() if path is not None}
    write_bundle(out, replace(shipped, beside=beside))


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    typer.run(main)
