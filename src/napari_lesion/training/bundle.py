"""What the bundles of this package have in common: configurations, metadata, weights in half precision."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from napari_lesion.training.checkpoints import save_atomically
from napari_lesion.training.config import Intensity

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


DARKEST = -10.0
Z_SCORE = [
    {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True},
    {"_target_": "MapLabelValued", "keys": "image", "orig_labels": [0.0], "target_labels": [DARKEST]},
]
"""What the engine does within the organ, for plain MONAI and an image that is zero outside.

MONAI leaves zeros at 0, the mean of the organ; here they become the darkest value.
"""


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


def as_z_scores(content: dict[str, Any]) -> dict[str, Any]:
    """The same configuration for an image without a unit that is zero outside: z-scores come before the scaling."""
    steps = content["preprocessing"]["transforms"]
    place = next(n for n, step in enumerate(steps) if step["_target_"] == "ScaleIntensityRanged")
    steps[place:place] = Z_SCORE
    return content


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
