"""``python -m napari_lesion.training.refiner --data FOLDER --out DIR``: train the second stage."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.core.errors import InputError
from napari_lesion.training.cases import list_cases
from napari_lesion.training.folds import load_folds
from napari_lesion.training.mine import hard_points, read_marks, with_doubt
from napari_lesion.training.refiner.batches import scan_negatives
from napari_lesion.training.refiner.config import CropConfig, Stretch, load_crop_config, write_record
from napari_lesion.training.refiner.fit import CropData, fit_stretch
from napari_lesion.training.refiner.nodules import cube_nodules, slice_nodules, split
from napari_lesion.training.refiner.transplant import graft_of, hosts_of
from napari_lesion.training.scenes import load_scenes


def load_data(
    data: Path, config: CropConfig, stretch: Stretch, fold: int | None, run: Path, mined: Path | None
) -> CropData:
    """Nodules of one stretch, divided by patient; prepared cases are kept beside the run."""
    if stretch.data == "slices":
        return CropData(*split(list(slice_nodules(data / "lidc_slices", config.intensity)), fold))
    cases = [case for case in list_cases(data) if case.kind != "slab"]
    scenes = load_scenes(cases, config.intensity, run.parent / "scenes")
    train, held = split(cube_nodules(scenes), fold)
    folds = load_folds()
    seen = [scene for scene in scenes if fold is None or not folds.held_out(scene.case.patient_id, fold)]
    marks = read_marks(mined) if mined else {}
    doubted = with_doubt(seen, marks)
    grafts = [graft for nodule in train if (graft := graft_of(nodule, config.intensity))]
    hosts = hosts_of(doubted, config.intensity) if stretch.transplanted else []
    return CropData(train, held, scan_negatives(doubted, hard_points(seen, marks)), grafts, hosts)


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoints and logs.")],
    preset: Annotated[str, typer.Option(help="Preset of this package, or a JSON file.")] = "lung_nodule_refiner",
    fold: Annotated[int, typer.Option(help="Fold that is held out; -1 holds none out.")] = 0,
    mined: Annotated[Path | None, typer.Option(help="mined.json of a run of the first stage.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> Path:
    """Train PRESET; started again, it continues."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    config = load_crop_config(preset)
    held = None if fold < 0 else fold
    write_record(out, config, held)
    weights: Path | None = None
    for stretch in config.stretches:
        crops = load_data(data, config, stretch, held, out, mined)
        logging.info("%s: %d nodules to train on, %d held out", stretch.name, len(crops.train), len(crops.held_out))
        weights = fit_stretch(config, stretch, crops, out / stretch.name, weights, device)
    if weights is None:
        raise InputError("The training preset is not valid", "it has no stretch")
    return weights


if __name__ == "__main__":
    typer.run(main)
