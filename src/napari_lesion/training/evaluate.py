"""The network of a bundle, and the cases of a fold that it is measured on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_lesion.training.cases import list_cases
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.config import Intensity
from napari_lesion.training.folds import load_folds
from napari_lesion.training.scenes import Scene, load_scenes

if TYPE_CHECKING:
    import torch


def bundle_network(bundle: Path) -> torch.nn.Module:
    """Network of a bundle of ours with its weights, float32, in evaluation mode, on the CPU."""
    from monai.bundle import ConfigParser

    parser = ConfigParser(ConfigParser.load_config_file(bundle / "configs" / "inference.json"))
    network: torch.nn.Module = parser.get_parsed_content("network_def")
    network.load_state_dict(load_weights(bundle / "models" / "model.pt"))
    return network.float().eval()


def held_out_scenes(data: Path, fold: int, intensity: Intensity, cache: Path | None = None) -> list[Scene]:
    """Cubes and whole scans of one fold; slabs are thinner than a window, and their nodules are in the cubes."""
    folds = load_folds()
    cases = [case for case in list_cases(data) if folds.held_out(case.patient_id, fold) and case.kind != "slab"]
    return load_scenes(cases, intensity, cache)
