"""``python -m napari_lesion.training PRESET --data FOLDER --out DIR``: train, measure, and write the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.training.bundle import main as write
from napari_lesion.training.train import main as train


def main(
    preset: Annotated[str, typer.Argument(help="Preset of this package, or a JSON file.")],
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the bundle is written below it.")],
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="Threads of torch; 0 leaves its choice.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that make batches ahead.")] = 1,
) -> None:
    """Train PRESET on the data below DATA and write its bundle; started again, it continues."""
    best = train(data, out, preset, device, threads, workers)
    write(data, best, out / "bundle", preset, out / "scenes")


if __name__ == "__main__":
    typer.run(main)
