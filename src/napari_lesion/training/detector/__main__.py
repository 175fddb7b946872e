"""``python -m napari_lesion.training.detector --data FOLDER --out DIR``: train the detector of lung nodules."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.core.errors import InputError
from napari_lesion.training.cases import list_cases
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.detector.batches import scan_negatives
from napari_lesion.training.detector.config import (
    SECOND,
    CropConfig,
    Stretch,
    build_crop_network,
    load_crop_config,
    write_record,
)
from napari_lesion.training.detector.fit import CropData, fit_stretch
from napari_lesion.training.detector.nodules import cube_nodules, slice_nodules, split
from napari_lesion.training.detector.synthetic import synthetic_scenes
from napari_lesion.training.detector.transplant import graft_of, hosts_of
from napari_lesion.training.folds import load_folds
from napari_lesion.training.mine import Mined, Search, hard_points, mine_marks, with_doubt
from napari_lesion.training.scenes import Scene, load_scenes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """What is trained, on what, and where it is kept.

    Parameters
    ----------
    config
        The preset.
    data
        Folder of the data.
    folder
        Folder of the run.
    scenes
        Folder that prepared cases are kept in.
    fold
        Fold that is held out; None holds none out.
    device
        ``cpu`` or ``cuda``.
    """

    config: CropConfig
    data: Path
    folder: Path
    scenes: Path
    fold: int | None
    device: str

    def crops(self, stretch: Stretch, weights: Path | None) -> CropData:
        """What one stretch learns from and is watched on, divided by patient."""
        if stretch.data == "slices":
            return CropData(*split(list(slice_nodules(self.data / "lidc_slices", self.config.intensity)), self.fold))
        folds = load_folds()
        cases = [case for case in list_cases(self.data) if stretch.slabs or case.kind != "slab"]
        scenes = load_scenes(cases, self.config.intensity, self.scenes)
        train, held = split(cube_nodules(scenes), self.fold)
        seen = [s for s in scenes if self.fold is None or not folds.held_out(s.case.patient_id, self.fold)]
        seen += synthetic_scenes(stretch.synthetic, self.config.intensity, self.scenes)
        marks = self._mined(stretch, seen, weights) if stretch.mine_first and weights else {}
        doubted = with_doubt(seen, marks)
        grafts = [graft for nodule in train if (graft := graft_of(nodule, self.config.intensity))]
        hosts = hosts_of(doubted, self.config.intensity) if stretch.transplanted else []
        return CropData(train, held, scan_negatives(doubted, hard_points(seen, marks)), grafts, hosts)

    def _mined(self, stretch: Stretch, scenes: Sequence[Scene], weights: Path) -> Mined:
        network = build_crop_network(self.config, 3)
        network.load_state_dict(load_weights(weights))
        folder = self.folder / stretch.name
        folder.mkdir(parents=True, exist_ok=True)
        search = Search(network.to(self.device), self.config.intensity, self.config.window)
        return mine_marks(search, scenes, folder / "mined.json")

    def train(self) -> Path:
        """Run all stretches, and return the file of the last weights."""
        write_record(self.folder, self.config, self.fold)
        weights: Path | None = None
        for stretch in self.config.stretches:
            crops = self.crops(stretch, weights)
            log.info("%s: %d nodules to train on, %d held out", stretch.name, len(crops.train), len(crops.held_out))
            weights = fit_stretch(self.config, stretch, crops, self.folder / stretch.name, weights, self.device)
        if weights is None:
            raise InputError("The training preset is not valid", "it has no stretch")
        return weights


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoints and logs.")],
    preset: Annotated[str, typer.Option(help="Preset of this package, or a JSON file.")] = "lung_nodule_ct",
    fold: Annotated[int, typer.Option(help="Fold that is held out; -1 holds none out.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> Path:
    """Train PRESET, and the second network that it names; started again, it continues."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    config = load_crop_config(preset)
    run = Run(config, data, out, out.parent / "scenes", None if fold < 0 else fold, device)
    weights = run.train()
    if config.second:
        replace(run, config=load_crop_config(config.second), folder=out / SECOND).train()
    return weights


if __name__ == "__main__":
    typer.run(main)
