"""``python -m napari_lesion.training.brain.reproduce --data FOLDER --out DIR``: pool, runs, figures and bundle."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.training.brain import make_pool
from napari_lesion.training.brain.__main__ import train
from napari_lesion.training.brain.bundle import write_brain_bundle
from napari_lesion.training.brain.measure import TEMPLATE, report
from napari_lesion.training.detector.config import load_crop_config

PRESET = "brain_flair_lesion"


def main(
    data: Annotated[Path, typer.Option(help="Folder with brain_flair, brain_lesion_masks and brain_background.")],
    out: Annotated[Path, typer.Option(help="Folder for everything; what is there is gone on from.")],
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Make the brain model from a data folder; started again, it continues."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    pool = out / "pool"
    make_pool.main(data, pool)
    train(load_crop_config(PRESET), pool, out / TEMPLATE, "", device)
    figures = report(data, out)
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    write_brain_bundle(out / "bundle" / PRESET, out / TEMPLATE, figures)


if __name__ == "__main__":
    typer.run(main)
