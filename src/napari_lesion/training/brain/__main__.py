"""``python -m napari_lesion.training.brain --pool POOL --out DIR``: train the brain model.

Its first stretch learns from scans in the template's brain alone, so every fold may start from the same weights; a
fold then leaves out one patient.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.core.errors import InputError
from napari_lesion.training.brain.batches import BrainBatches, PoolScan
from napari_lesion.training.brain.pool import PoolItem, read_pool
from napari_lesion.training.brain.record import write_brain_record
from napari_lesion.training.detector.config import CropConfig, Stretch, load_crop_config
from napari_lesion.training.detector.fit import ready_state, run_steps

TEMPLATE = "template"


def seen_by(items: Sequence[PoolItem], stretch: Stretch, leave_out: str) -> list[PoolItem]:
    """Scans that a stretch may learn from: those of the template alone, or all but those of one patient.

    Parameters
    ----------
    items
        The pool.
    stretch
        Its ``data`` is ``template`` or ``brains``.
    leave_out
        Patient; empty for none.

    Raises
    ------
    InputError
        When none is left, or the pool knows no such patient.
    """
    if leave_out and leave_out not in {item.patient for item in items}:
        raise InputError(f"{leave_out} cannot be left out", "the pool has no scan of this patient")
    seen = [item for item in items if not item.patient or (stretch.data != TEMPLATE and item.patient != leave_out)]
    if not seen:
        raise InputError("There is nothing to learn from", "the pool is empty", "Make the pool first")
    return seen


def train(config: CropConfig, pool: Path, out: Path, leave_out: str, device: str = "cpu") -> Path:
    """Train the stretches and return the file of the last weights; a run that was stopped continues.

    The stretch on the template lies in the folder above, and is shared by the runs beside each other.
    """
    items = read_pool(pool)
    weights: Path | None = None
    for stretch in config.stretches:
        seen = seen_by(items, stretch, leave_out)
        folder = out.parent / TEMPLATE if stretch.data == TEMPLATE else out
        write_brain_record(folder, config, leave_out if folder == out else "", seen)
        logging.info("%s: %d scans", stretch.name, len(seen))
        state = ready_state(config, stretch, 3, folder, weights, device)
        scans = [PoolScan(item, pool / f"{item.name}.npy") for item in seen]
        weights = run_steps(config, stretch, state, BrainBatches(scans, stretch, config.seed), folder)
    if weights is None:
        raise InputError("The training preset is not valid", "it has no stretch")
    return weights


def main(
    pool: Annotated[Path, typer.Option(help="Pool that make_pool wrote.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the stretch on the template lies beside it.")],
    preset: Annotated[str, typer.Option(help="Preset of this package, or a JSON file.")] = "brain_flair_lesion",
    leave_out: Annotated[str, typer.Option(help="Patient that nothing is learned from; empty for none.")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train PRESET; started again, it continues."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    train(load_crop_config(preset), pool, out, leave_out, device)


if __name__ == "__main__":
    typer.run(main)
