"""What the configuration files of the classifier's bundle say."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from napari_lesion.inference.rating.heads import Heads, Logistic
from napari_lesion.training.bundle import SCHEMA
from napari_lesion.training.classifier.network import network_arguments
from napari_lesion.training.classifier.recipe import Recipe
from napari_lesion.training.classifier.targets import KEPT_OUTPUTS, TEXTURES

LIMITS = {
    "max_slice_spacing_mm": 5.0,
    "max_pixel_mm": 1.25,
    "diameter_mm": [1.5, 36.0],
    "min_aerated_share": 0.15,
    "aerated_hu": [-970, -500],
}
"""What a lesion must be like to be rated. Of the 2,317 slices, 1 is smaller, none is larger, and 5 have less aerated
lung beside them; slices are 0.6 to 5 mm thick, pixels 0.46 to 0.98 mm wide."""

COLUMNS = (
    "image",
    "malignancy_suspicious_probability",
    *(f"texture_{name}" for name in TEXTURES),
    "calcified_probability",
)

_CENTRED_SLICE = (
    "$lambda item: (lambda z: {**item, 'image': item['image'][..., z], 'mask': item['mask'][..., z]})"
    "(int(item['mask'][0].sum((0, 1)).argmax()))"
)
_VIEWS = "$lambda x: [v for q in range(4) for v in (torch.rot90(x, q, (2, 3)), torch.rot90(x, q, (2, 3)).flip(3))]"
_LOGITS = (
    "$lambda x: torch.stack([torch.cat([torch.func.functional_call(@network, w, (v,)) for v in @views(x)]).mean(0) "
    "for w in @members])"
)
_SCORES = (
    "$lambda x: torch.cat((torch.logit(torch.sigmoid(x[:, :4]).mean(1, keepdim=True).clamp(1e-3, 1 - 1e-3)), "
    "x[:, 4:]), 1).mean(0)"
)
"""Scores of each member from its logits, then their mean, as the program takes it."""


def inference_config(recipe: Recipe, heads: Heads) -> dict[str, Any]:
    """Content of ``configs/inference.json``: plain MONAI rates the lesion of each pair of files.

    Parameters
    ----------
    recipe
        Of the training.
    heads
        Calibrations of the network alone; logistic ones.

    Notes
    -----
    ``X_image.nii.gz`` is a CT in HU and ``X_mask.nii.gz`` the mask of one lesion on its grid. The slice of largest
    area is taken about the centre of the mask's box; napari-lesion takes the centroid, a pixel or two away.
    """
    return {
        "imports": ["$import csv", "$import glob", "$import os", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/input'",
        "output_dir": "$@bundle_root + '/eval'",
        "images": "$sorted(glob.glob(@dataset_dir + '/*_image.nii.gz'))",
        "network_def": {"_target_": "ResNet", **network_arguments(recipe, len(KEPT_OUTPUTS))},
        "network": "$@network_def.eval()",
        "weights": "$torch.load(@bundle_root + '/models/model.pt', map_location='cpu', weights_only=True)",
        "members": (
            "$[{name: value.float() if value.is_floating_point() else value for name, value in member.items()} "
            "for member in @weights.values()]"
        ),
        "preprocessing": {"_target_": "Compose", "transforms": _preprocessing(recipe)},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'name': os.path.basename(path), 'image': path, "
            "'mask': path[:-len('_image.nii.gz')] + '_mask.nii.gz'} for path in @images]",
            "transform": "@preprocessing",
        },
        "views": _VIEWS,
        "logits": _LOGITS,
        "scores": _SCORES,
        "answers": _answers(heads),
        "rows": (
            "$[[item['name'], *@answers(@scores(@logits(item['input'].as_tensor()[None])))] for item in @dataset]"
        ),
        "initialize": ["$torch.set_grad_enabled(False)"],
        "run": [
            "$os.makedirs(@output_dir, exist_ok=True)",
            f"$csv.writer(open(@output_dir + '/ratings.csv', 'w', newline='')).writerows([{list(COLUMNS)}, *@rows])",
        ],
    }


def _preprocessing(recipe: Recipe) -> list[Any]:
    crop, both = recipe.crop, ["image", "mask"]
    half = crop.size // 2
    return [
        {"_target_": "LoadImaged", "keys": both, "image_only": True},
        {"_target_": "EnsureChannelFirstd", "keys": both},
        {"_target_": "Orientationd", "keys": both, "axcodes": "RAS", "labels": None},
        {
            "_target_": "CropForegroundd",
            "keys": both,
            "source_key": "mask",
            "margin": [2 * crop.size, 2 * crop.size, 0],
            "allow_smaller": True,
        },
        {
            "_target_": "Spacingd",
            "keys": both,
            "pixdim": [crop.pixel_mm, crop.pixel_mm, -1.0],
            "mode": ["bilinear", "bilinear"],
            "padding_mode": "border",
        },
        {"_target_": "AsDiscreted", "keys": "mask", "threshold": 0.5},
        _CENTRED_SLICE,
        {"_target_": "EnsureTyped", "keys": both, "track_meta": False},
        {
            "_target_": "ScaleIntensityRanged",
            "keys": "image",
            "a_min": crop.a_min,
            "a_max": crop.a_max,
            "b_min": 0.0,
            "b_max": 1.0,
            "clip": True,
        },
        {
            "_target_": "CropForegroundd",
            "keys": both,
            "source_key": "mask",
            "margin": half,
            "allow_smaller": True,
        },
        {"_target_": "ResizeWithPadOrCropd", "keys": both, "spatial_size": [crop.size, crop.size], "mode": "edge"},
        {"_target_": "ConcatItemsd", "keys": both, "name": "input"},
        {"_target_": "EnsureTyped", "keys": "input", "track_meta": True},
    ]


def _answers(heads: Heads) -> str:
    """Expression that turns the scores of one lesion into probabilities."""
    parts = (heads.suspicious, heads.texture, heads.calcified)
    logistic = [part for part in parts if isinstance(part, Logistic)]
    if len(logistic) != len(parts):
        raise ValueError("the calibrations of a bundle must be logistic")
    suspicious, texture, calcified = logistic
    first = f"torch.sigmoid({suspicious.weights[0].tolist()[0]!r} * x[:1] + {suspicious.bias.tolist()[0]!r})"
    # torch.mv and not the operator: MONAI reads an @ as the beginning of a reference.
    linear = f"torch.mv(torch.tensor({texture.weights.tolist()}), x[1:4]) + torch.tensor({texture.bias.tolist()})"
    last = f"torch.sigmoid({calcified.weights[0].tolist()[0]!r} * x[4:] + {calcified.bias.tolist()[0]!r})"
    return f"$lambda x: [round(float(p), 6) for p in torch.cat(({first}, torch.softmax({linear}, 0), {last}))]"


def metadata(recipe: Recipe, own: dict[str, Any], patients: Sequence[str], auc: float) -> dict[str, Any]:
    """Content of ``configs/metadata.json``.

    Parameters
    ----------
    recipe
        Of the training.
    own
        What napari-lesion needs beside: calibrations, measures, shipped model.
    patients
        Everyone who was trained on.
    auc
        Cross-validated area under the ROC curve of a suspicious rating, of what ships.
    """
    packages = {package: version(package).partition("+")[0] for package in ("monai", "torch", "numpy", "nibabel")}
    crop = recipe.crop
    shape = [crop.size, crop.size]
    return {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": "first version: five networks, each without one fold"},
        "monai_version": packages["monai"],
        "pytorch_version": packages["torch"],
        "numpy_version": packages["numpy"],
        "required_packages_version": {"nibabel": packages["nibabel"], "fire": "0.7.0"},
        "name": "Lung nodules as readers would rate them, CT",
        "task": "Rating of lung nodules in chest CT",
        "description": "Says how readers would rate a lung nodule: suspicious or not, its texture, calcified or not.",
        "authors": "napari-lesion developers",
        "copyright": "Copyright (c) napari-lesion developers",
        "data_source": "LIDC-IDRI (The Cancer Imaging Archive)",
        "data_type": "nibabel",
        "image_classes": "two channels: HU scaled to 0..1, and the mask of the lesion",
        "label_classes": "ratings of up to four readers, 1 to 5 or 6",
        "pred_classes": "logits: malignancy above 1, 2, 3, 4; ground glass, part-solid, solid; calcified",
        "eval_metrics": {"auc_suspicious": round(auc, 3)},
        "intended_use": "Research only; readers' opinions, not pathology; not a medical device, not for diagnosis",
        "references": [
            "Armato SG et al. The Lung Image Database Consortium (LIDC) and Image Database Resource Initiative "
            "(IDRI). Med Phys 2011;38:915-931. doi:10.1118/1.3528204"
        ],
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "hounsfield",
                    "modality": "CT",
                    "num_channels": 2,
                    "spatial_shape": shape,
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": True,
                    "channel_def": {"0": "image", "1": "mask of the lesion"},
                }
            },
            "outputs": {
                "pred": {
                    "type": "probabilities",
                    "format": "classification",
                    "num_channels": len(KEPT_OUTPUTS),
                    "spatial_shape": [],
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": False,
                    "channel_def": {str(k): name for k, name in enumerate(_output_names())},
                }
            },
        },
        "napari_lesion": {
            "schema_version": 1,
            "title": "Lung nodules as readers would rate them, CT",
            "task": "classification",
            "organ": "lung",
            "modality": "CT",
            "pixel_mm": crop.pixel_mm,
            "size": crop.size,
            "intensity": {"a_min": crop.a_min, "a_max": crop.a_max, "b_min": 0.0, "b_max": 1.0, "clip": True},
            "textures": list(TEXTURES),
            "limits": LIMITS,
            **own,
            "training_patients": list(patients),
        },
    }


def _output_names() -> list[str]:
    return [*(f"malignancy above {level}" for level in (1, 2, 3, 4)), *TEXTURES, "calcified"]
