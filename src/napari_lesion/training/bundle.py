"""Write a trained network as a MONAI bundle.

``python -m napari_lesion.training.bundle --data FOLDER --weights FILE --out DIR`` measures the weights on
the fold that was held out and writes the files that MONAI and napari-lesion read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from napari_lesion.training.card import FIGURES, write_card
from napari_lesion.training.cases import Case, list_cases
from napari_lesion.training.checkpoints import load_weights, save_atomically
from napari_lesion.training.config import Intensity, TrainingConfig, load_config
from napari_lesion.training.evaluate import held_out_scenes, report, sweep
from napari_lesion.training.folds import load_folds
from napari_lesion.training.network import build_network, network_arguments, window_gflop
from napari_lesion.training.scoring import SCAN_ROI

if TYPE_CHECKING:
    import torch

OVERLAP = 0.25
MIN_VOLUME_MM3 = 30
MAX_SLICE_SPACING_MM = 3.0
SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"


class IntensityWindow(Protocol):
    """Values that become 0 and 1."""

    @property
    def a_min(self) -> float:
        """What becomes 0."""
        ...

    @property
    def a_max(self) -> float:
        """What becomes 1."""
        ...


def half_precision(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights in float16, half the size; a float32 network takes them in again."""
    import torch

    # Some networks hold a layer under two names; it is one tensor, and stays one in the file.
    halved: dict[tuple[int, torch.Size], torch.Tensor] = {}
    return {
        name: halved.setdefault((value.data_ptr(), value.shape), value.to(torch.float16))
        if value.is_floating_point()
        else value
        for name, value in state.items()
    }


@dataclass(frozen=True)
class NetworkGrid:
    """Voxels, orientation and windows that a network works on; those of the nodule networks by default.

    Parameters
    ----------
    spacing_mm, axcodes
        Voxel spacing along the axes of the network, mm, and where they run to.
    overlap
        Share by which windows overlap.
    """

    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    axcodes: str = "RAS"
    overlap: float = OVERLAP


def inference_config(
    network: dict[str, Any],
    window: IntensityWindow,
    roi: int | tuple[int, int, int],
    grid: NetworkGrid | None = None,
) -> dict[str, Any]:
    """Content of ``configs/inference.json``: what `monai.bundle run` executes, with plain MONAI.

    Parameters
    ----------
    network
        ``_target_`` and arguments of the network.
    window
        Values that become 0 and 1, HU on CT.
    roi
        Edge of the windows, or their three edges, voxels.
    grid
        Where the network works.
    """
    grid = grid or NetworkGrid()
    return {
        "imports": ["$import glob", "$import numpy", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/input'",
        "output_dir": "$@bundle_root + '/eval'",
        "datalist": "$sorted(glob.glob(@dataset_dir + '/*.nii.gz'))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": network,
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": _preprocessing(window, grid)},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': i} for i in @datalist]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": [roi] * 3 if isinstance(roi, int) else list(roi),
            "sw_batch_size": 1,
            "overlap": grid.overlap,
            "mode": "gaussian",
            "padding_mode": "reflect",
        },
        "postprocessing": {"_target_": "Compose", "transforms": _postprocessing()},
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "amp": False,
        },
        "checkpointloader": {
            "_target_": "CheckpointLoader",
            "load_path": "$@bundle_root + '/models/model.pt'",
            "load_dict": {"model": "@network"},
        },
        "initialize": ["$monai.utils.set_determinism(seed=0)", "$@checkpointloader(@evaluator)"],
        "run": ["$@evaluator.run()"],
    }


def _preprocessing(window: IntensityWindow, grid: NetworkGrid) -> list[dict[str, Any]]:
    return [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        {"_target_": "Orientationd", "keys": "image", "axcodes": grid.axcodes, "labels": None},
        {"_target_": "Spacingd", "keys": "image", "pixdim": list(grid.spacing_mm), "mode": "bilinear"},
        {
            "_target_": "ScaleIntensityRanged",
            "keys": "image",
            "a_min": window.a_min,
            "a_max": window.a_max,
            "b_min": 0.0,
            "b_max": 1.0,
            "clip": True,
        },
        {"_target_": "EnsureTyped", "keys": "image"},
    ]


def _postprocessing() -> list[dict[str, Any]]:
    """Probability back on the grid of the file, so that any threshold can follow."""
    return [
        {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
        {
            "_target_": "Invertd",
            "keys": "pred",
            "transform": "@preprocessing",
            "orig_keys": "image",
            "nearest_interp": False,
            "to_tensor": True,
        },
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_ext": ".nii.gz",
            "output_dtype": "$numpy.float32",
            "output_postfix": "probability",
            "separate_folder": False,
        },
    ]


def patch_format(what: dict[str, Any], channel: str, roi: int | tuple[int, int, int]) -> dict[str, Any]:
    """Say what one channel of a window holds, as MONAI's metadata states it."""
    return {
        "type": "image",
        **what,
        "num_channels": 1,
        "spatial_shape": [roi] * 3 if isinstance(roi, int) else list(roi),
        "dtype": "float32",
        "is_patch_data": True,
        "channel_def": {"0": channel},
    }


def package_versions() -> dict[str, Any]:
    """Schema and versions that ``configs/metadata.json`` of every bundle states."""
    packages = ("monai", "torch", "numpy", "nibabel")
    numbers = {package: version(package).partition("+")[0] for package in packages}
    return {
        "schema": SCHEMA,
        "monai_version": numbers["monai"],
        "pytorch_version": numbers["torch"],
        "numpy_version": numbers["numpy"],
        "required_packages_version": {"nibabel": numbers["nibabel"], "pytorch-ignite": "0.5.2", "fire": "0.7.0"},
    }


def common_metadata(roi: int) -> dict[str, Any]:
    """What ``configs/metadata.json`` of every nodule network states, without figures and our own key."""
    return {
        **package_versions(),
        "task": "Segmentation of lung nodules in chest CT",
        "authors": "napari-lesion developers",
        "copyright": "Copyright (c) napari-lesion developers",
        "data_source": "LIDC-IDRI, QIN LUNG CT, CMB-CRC and Lung-PET-CT-Dx (The Cancer Imaging Archive)",
        "data_type": "nibabel",
        "image_classes": "one channel, HU clipped to the window and scaled to 0..1",
        "label_classes": "1 is lung nodule, 0 everything else",
        "pred_classes": "one channel, probability of lung nodule",
        "intended_use": "Research only; not a medical device, not for diagnosis",
        "references": [
            "Armato SG et al. The Lung Image Database Consortium (LIDC) and Image Database Resource Initiative "
            "(IDRI). Med Phys 2011;38:915-931. doi:10.1118/1.3528204"
        ],
        "network_data_format": {
            "inputs": {
                "image": patch_format({"format": "hounsfield", "modality": "CT", "value_range": [0, 1]}, "image", roi)
            },
            "outputs": {"pred": patch_format({"format": "segmentation", "value_range": [0, 1]}, "lung nodule", roi)},
        },
    }


def common_own(window: Intensity, roi: int) -> dict[str, Any]:
    """What every nodule network states under the key of napari-lesion, without figures and patients."""
    return {
        "schema_version": 1,
        "organ": "lung",
        "modality": "CT",
        "spacing_mm": [1.0, 1.0, 1.0],
        "axcodes": "RAS",
        "intensity": {"a_min": window.a_min, "a_max": window.a_max, "b_min": 0.0, "b_max": 1.0, "clip": True},
        "roi_size": [roi] * 3,
        "overlap": OVERLAP,
        "activation": "sigmoid",
        "lesion_channel": 0,
        "labels": {"1": "lung nodule"},
        "min_volume_mm3": MIN_VOLUME_MM3,
        "max_slice_spacing_mm": MAX_SLICE_SPACING_MM,
    }


def metadata(config: TrainingConfig, cases: Sequence[Case], figures: dict[str, Any]) -> dict[str, Any]:
    """Content of ``configs/metadata.json``, with what napari-lesion needs under its own key.

    Parameters
    ----------
    config
        Preset of the training.
    cases
        Cases that were trained on.
    figures
        Report of `napari_lesion.training.evaluate`.
    """
    chosen = next(row for row in figures["thresholds"] if row["threshold"] == figures["threshold"])
    return {
        **common_metadata(SCAN_ROI),
        "version": "0.1.0",
        "changelog": {"0.1.0": "first version, trained on folds 1 to 4"},
        "name": "Lung nodules, CT",
        "description": "Marks lung nodules of about 4 to 30 mm in chest CT and gives each voxel a probability.",
        "eval_metrics": {"mean_dice": round(chosen["dice"], 3), "sensitivity": round(chosen["sensitivity"], 3)},
        "napari_lesion": {
            **common_own(config.intensity, SCAN_ROI),
            "title": "Lung nodules, CT",
            "task": "segmentation",
            "default_threshold": figures["threshold"],
            "window_gflop": round(window_gflop(config, SCAN_ROI), 3),
            "operating_points": operating_points(figures),
            "training_patients": sorted({case.patient_id for case in cases}),
        },
    }


def operating_points(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Sensitive, default and specific threshold with what was measured at each."""
    measured_on = (
        f"fold {figures['fold']}: {figures['agreed_nodules']} nodules of three and more readers in 51 mm cubes; "
        f"false marks: {len(figures['scans'])} whole scan ({', '.join(figures['scans'])})"
    )
    wanted = {"sensitive": 0.2, "default": figures["threshold"], "specific": 0.95}
    rows = {row["threshold"]: row for row in figures["thresholds"]}
    return [
        {
            "name": name,
            "threshold": threshold,
            "sensitivity": round(rows[threshold]["sensitivity"], 4),
            "false_marks_per_scan": rows[threshold]["marks_per_scan"],
            "measured_on": measured_on,
        }
        for name, threshold in wanted.items()
    ]


def write_configs(folder: Path, inference: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Write the two files in ``configs``."""
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    for name, content in (("inference", inference), ("metadata", metadata)):
        text = json.dumps(content, indent=2) + "\n"
        (folder / "configs" / f"{name}.json").write_text(text, encoding="utf-8")


def write_weights(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """Write ``models/model.pt`` in half precision."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    save_atomically(half_precision(weights), folder / "models" / "model.pt")


def write_bundle(
    folder: Path,
    config: TrainingConfig,
    cases: Sequence[Case],
    weights: dict[str, torch.Tensor],
    figures: dict[str, Any],
) -> None:
    """Write configs, weights, figures and card; the licence stands beside them."""
    network = {"_target_": "UNet", **network_arguments(config)}
    write_configs(folder, inference_config(network, config.intensity, SCAN_ROI), metadata(config, cases, figures))
    (folder / "docs").mkdir(exist_ok=True)
    text = json.dumps(figures, indent=1) + "\n"
    (folder / "docs" / FIGURES).write_text(text, encoding="utf-8")
    write_weights(folder, weights)
    write_card(folder, config, cases)


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    weights: Annotated[Path, typer.Option(help="best.pt of a training stage.")],
    out: Annotated[Path, typer.Option(help="Bundle folder to write.")],
    preset: Annotated[str, typer.Option(help="Preset that the weights were trained with.")] = "lung_nodule_ct",
    cache: Annotated[Path | None, typer.Option(help="Folder of prepared cases.")] = None,
) -> None:
    """Write the bundle of a trained network, with the figures of the fold that was held out."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    config = load_config(preset)
    state = half_precision(load_weights(weights))
    network = build_network(config).eval()
    network.load_state_dict(state)
    scenes = held_out_scenes(data, config.fold, config.intensity, cache)
    figures = report(scenes, sweep(network, scenes), config.fold)
    folds = load_folds()
    trained = [case for case in list_cases(data) if not folds.held_out(case.patient_id, config.fold)]
    write_bundle(out, config, trained, state, figures)


if __name__ == "__main__":
    typer.run(main)
