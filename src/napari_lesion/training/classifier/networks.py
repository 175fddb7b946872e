"""Train the networks of the nested cross-validation, and those that ship.

``python -m napari_lesion.training.classifier.networks --data DATA --out DIR``

Five networks leave one fold out each. They ship as an ensemble, and their predictions on the fold they left out fit
what ships with them.

With ``--nested`` ten further networks each learn from three folds and leave two out, ``{k, j}``. For the outer fold
``k`` the four that left it out are its ensemble, and each of them says what an unseen patient of ``j`` gets: whatever
is fitted after the networks (calibration, stacking, offsets of classes) is fitted on those alone and never sees
fold ``k``.
"""

from __future__ import annotations

import logging
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from napari_lesion.training.classifier.fit import TrainingSet, train_network
from napari_lesion.training.classifier.network import predict_logits
from napari_lesion.training.classifier.recipe import Recipe
from napari_lesion.training.classifier.slices import in_folds, load_slices
from napari_lesion.training.folds import N_FOLDS

HeldOut = tuple[int, ...]

log = logging.getLogger(__name__)


def held_out_pairs() -> list[HeldOut]:
    """Folds that each network of the cross-validation leaves out."""
    return list(combinations(range(N_FOLDS), 2))


def held_out_singles() -> list[HeldOut]:
    """Fold that each shipped network leaves out."""
    return [(fold,) for fold in range(N_FOLDS)]


def folder_of(out: Path, held_out: HeldOut) -> Path:
    """Folder of the network that leaves these folds out."""
    return out / ("without_" + "_".join(map(str, held_out)))


def train_and_predict(data: TrainingSet, recipe: Recipe, held_out: HeldOut, out: Path) -> npt.NDArray[np.float32]:
    """Logits of all nodules in the folds that a network left out; trained and predicted only once.

    Returns
    -------
    ndarray
        Shape (nodule, output), in the order of `slices.in_folds`.
    """
    folder = folder_of(out, held_out)
    kept = folder / "logits.npy"
    if kept.is_file():
        logits: npt.NDArray[np.float32] = np.load(kept, allow_pickle=False)
        return logits
    folds = tuple(fold for fold in range(N_FOLDS) if fold not in held_out)
    network = train_network(data, recipe, folds, folder)
    logits = predict_logits(network, data.source, recipe, in_folds(data.nodules, held_out))
    folder.mkdir(parents=True, exist_ok=True)
    np.save(kept, logits)
    return logits


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_slices.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; what is there is continued.")],
    part: Annotated[int, typer.Option(help="Which share of the networks to train, from 0.")] = 0,
    parts: Annotated[int, typer.Option(help="Shares; several processes can work at one run.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of this process.")] = 1,
    nested: Annotated[bool, typer.Option(help="Train the networks that leave two folds out as well.")] = False,
) -> None:
    """Train the networks of the cross-validation and those that ship."""
    import torch

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    training = TrainingSet.prepare(load_slices(data), out / "prepared.npz")
    for held_out in [*held_out_singles(), *(held_out_pairs() if nested else ())][part::parts]:
        train_and_predict(training, Recipe(), held_out, out)
        log.info("without folds %s: done", held_out)


if __name__ == "__main__":
    typer.run(main)
