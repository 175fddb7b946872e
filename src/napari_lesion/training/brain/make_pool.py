"""``python -m napari_lesion.training.brain.make_pool --data FOLDER --out POOL``: the synthetic scans of all folds."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.training.brain.anatomy import load_anatomies, load_template
from napari_lesion.training.brain.cases import patients_with_sclerosis
from napari_lesion.training.brain.pool import fill_pool
from napari_lesion.training.brain.shapes import list_shapes
from napari_lesion.training.detector.config import load_crop_config

COUNTS = (24, 10)
"""Synthetic scans of the template, and of each patient."""


def main(
    data: Annotated[Path, typer.Option(help="Folder with brain_flair, brain_lesion_masks and brain_background.")],
    out: Annotated[Path, typer.Option(help="Folder of the pool; scans that are there are kept.")],
    preset: Annotated[str, typer.Option(help="Preset of this package, or a JSON file.")] = "brain_flair_lesion",
    template: Annotated[int, typer.Option(help="Synthetic scans of the template.")] = COUNTS[0],
    patients: Annotated[int, typer.Option(help="Synthetic scans of each patient.")] = COUNTS[1],
) -> None:
    """Make the pool; started again, it continues."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    config = load_crop_config(preset)
    shapes = list_shapes(data)
    average = load_template(data)
    fill_pool(out, [average], shapes, template, config)
    brains = load_anatomies(data, set(patients_with_sclerosis(data)), average)
    fill_pool(out, brains, shapes, patients, config)


if __name__ == "__main__":
    typer.run(main)
