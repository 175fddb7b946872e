"""Train, measure and write the detector that ships, in one go.

``python -m napari_lesion.training.detector.reproduce --data FOLDER --out DIR``; started again, it continues.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.training.detector.__main__ import main as train
from napari_lesion.training.detector.bundle import main as write
from napari_lesion.training.detector.gallery import main as picture
from napari_lesion.training.detector.measure import LEVELS
from napari_lesion.training.detector.measure import main as measure
from napari_lesion.training.folds import N_FOLDS

NONE = -1


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs; the bundle is written below it.")],
    preset: Annotated[str, typer.Option(help="Preset of this package, or a JSON file.")] = "lung_nodule_ct",
    level: Annotated[float, typer.Option(help=f"Level of the marks: one of {LEVELS}.")] = LEVELS[0],
    threshold: Annotated[
        float | None, typer.Option(help="Probability from which a mark is shown; else the largest that finds 95 %.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train one network for each fold and one on all of them, measure, and write the bundle."""
    reports = []
    for fold in range(N_FOLDS):
        train(data, out / f"fold{fold}", preset, fold, device)
        reports.append(out / f"fold{fold}.json")
        if not reports[-1].is_file():
            measure(data, out / f"fold{fold}", reports[-1])
    train(data, out / "all", preset, NONE, device)
    write(reports, data, out / "all", out / "bundle", level, threshold)
    picture([out / f"fold{fold}" for fold in range(N_FOLDS)], data, out / "bundle")


if __name__ == "__main__":
    typer.run(main)
