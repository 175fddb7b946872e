"""The bundle of a run that held a fold out: to be evaluated on that fold as the program runs it, not to be shipped.

``python -m napari_lesion.training.detector.fold_bundle REPORTS... --data FOLDER --run DIR --out DIR``
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.core.errors import InputError
from napari_lesion.training.detector.bundle import write_run
from napari_lesion.training.detector.config import read_record
from napari_lesion.training.detector.measure import LEVELS


def main(
    reports: Annotated[list[Path], typer.Argument(help="JSON files of the folds, by detector.measure.")],
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    run: Annotated[Path, typer.Option(help="Folder of the run that held a fold out.")],
    out: Annotated[Path, typer.Option(help="Bundle folder to write.")],
    level: Annotated[float, typer.Option(help=f"Level of the marks: one of {LEVELS}.")] = LEVELS[0],
    threshold: Annotated[float | None, typer.Option(help="Probability from which a mark is shown.")] = None,
) -> None:
    """Write the bundle of one fold; its card states the figures of all of them."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _, fold = read_record(run)
    if fold is None:
        raise InputError(
            f"{run} holds no fold out", "there is nothing to evaluate it on", "Write it with detector.bundle"
        )
    write_run(reports, data, run, out, level, threshold)


if __name__ == "__main__":
    typer.run(main)
