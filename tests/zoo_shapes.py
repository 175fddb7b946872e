"""Bundles with the structure of those in MONAI's model zoo, at small size: what a detection builds of them.

Segmentation with a plain chain (spleen), with choices by expression (whole body), of several sequences with a lambda
(BraTS), with an architecture in a pickled file (DiNTS), detection with code of its own (RetinaNet), prompts with code
of its own (VISTA3D), and classification.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

IMPORTS = ["$import glob", "$import numpy", "$import os"]
DEVICE = "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')"
LOAD: dict[str, Any] = {"_target_": "LoadImaged", "keys": "@image_key"}
CHANNEL: dict[str, Any] = {"_target_": "EnsureChannelFirstd", "keys": "@image_key"}
ORIENT: dict[str, Any] = {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"}
TYPED: dict[str, Any] = {"_target_": "EnsureTyped", "keys": "@image_key"}
SOFTMAX: dict[str, Any] = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
ARGMAX: dict[str, Any] = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
SAVE: dict[str, Any] = {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "resample": False}


def spacing(pixdim: Any) -> dict[str, Any]:
    """Resampling step."""
    return {"_target_": "Spacingd", "keys": "@image_key", "pixdim": pixdim, "mode": "bilinear"}


def window(low: float, high: float) -> dict[str, Any]:
    """Scaling of HU."""
    return {
        "_target_": "ScaleIntensityRanged",
        "keys": "@image_key",
        "a_min": low,
        "a_max": high,
        "b_min": 0,
        "b_max": 1,
        "clip": True,
    }


def invert(nearest: bool) -> dict[str, Any]:
    """Back to the grid of the file."""
    return {
        "_target_": "Invertd",
        "keys": "pred",
        "transform": "@preprocessing",
        "orig_keys": "@image_key",
        "nearest_interp": nearest,
        "to_tensor": True,
    }


def chain(*steps: dict[str, Any]) -> dict[str, Any]:
    """A chain of transforms."""
    return {"_target_": "Compose", "transforms": list(steps)}


UNET: dict[str, Any] = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8],
    "strides": [2],
    "num_res_units": 1,
    "norm": "batch",
}
SEGRESNET: dict[str, Any] = {
    "_target_": "SegResNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 3,
    "init_filters": 8,
    "blocks_down": [1, 1],
    "blocks_up": [1],
    "dropout_prob": 0.2,
}
RUN: dict[str, Any] = {
    "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
    "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 4},
    "handlers": [{"_target_": "StatsHandler", "iteration_log": False}],
    "evaluator": {
        "_target_": "SupervisedEvaluator",
        "device": "@device",
        "val_data_loader": "@dataloader",
        "network": "@network",
        "inferer": "@inferer",
        "postprocessing": "@postprocessing",
        "val_handlers": "@handlers",
        "amp": True,
    },
    "checkpointloader": {
        "_target_": "CheckpointLoader",
        "load_path": "$@bundle_root + '/models/model.pt'",
        "load_dict": {"model": "@network"},
    },
    "initialize": [
        "$monai.utils.set_determinism(seed=123)",
        "$setattr(torch.backends.cudnn, 'benchmark', True)",
        "$@checkpointloader(@evaluator) if @load_pretrain else None",
    ],
    "run": ["$@evaluator.run()"],
}


def base(
    network: dict[str, Any], preprocessing: Any, inferer: Any, postprocessing: Any, **more: Any
) -> dict[str, Any]:
    """A whole inference configuration."""
    return {
        "imports": IMPORTS,
        "bundle_root": ".",
        "image_key": "image",
        "output_dir": "$@bundle_root + '/eval'",
        "load_pretrain": True,
        "dataset_dir": "/workspace/data/somewhere",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
        "device": DEVICE,
        "network_def": copy.deepcopy(network),
        "network": "$@network_def.to(@device)",
        "preprocessing": preprocessing,
        "inferer": inferer,
        "postprocessing": postprocessing,
        **copy.deepcopy(RUN),
        **more,
    }


def sliding(size: list[int], **more: Any) -> dict[str, Any]:
    """A sliding window."""
    return {"_target_": "SlidingWindowInferer", "roi_size": size, "sw_batch_size": 4, "overlap": 0.5, **more}


def spleen() -> dict[str, Any]:
    """One organ, a plain chain, probabilities brought back before the argmax."""
    return base(
        UNET,
        chain(LOAD, CHANNEL, ORIENT, spacing([1.5, 1.5, 2.0]), window(-57, 164), TYPED),
        sliding([32, 32, 32]),
        chain(SOFTMAX, invert(False), ARGMAX, SAVE),
    )


def named_otherwise() -> dict[str, Any]:
    """The spleen bundle under names of its own: only its workflow says which part is which."""
    config = spleen()
    steps = config.pop("postprocessing")["transforms"]
    back = {**invert(False), "transform": "@val_transforms"}
    del config["network"]
    config["imports"] = [*IMPORTS, "$from pathlib import Path"]
    config["net"] = config.pop("network_def")
    config["val_transforms"] = config.pop("preprocessing")
    config["post_transforms"] = chain(*(back if step["_target_"] == "Invertd" else step for step in steps))
    config["val_dataset"] = {**config.pop("dataset"), "transform": "@val_transforms"}
    config["val_loader"] = {**config.pop("dataloader"), "dataset": "@val_dataset"}
    config["validator"] = {
        **config.pop("evaluator"),
        "val_data_loader": "@val_loader",
        "network": "$@net.to(@device)",
        "inferer": config.pop("inferer"),
        "postprocessing": "@post_transforms",
    }
    config["checkpointloader"] = {
        "_target_": "CheckpointLoader",
        "load_path": "$str(Path(@bundle_root) / 'models' / 'model.pt')",
        "load_dict": {"model": "@net"},
    }
    config["initialize"] = ["$@checkpointloader(@validator)"]
    config["run"] = ["$@validator.run()"]
    return config


def whole_body() -> dict[str, Any]:
    """Many classes, spacing and weights by expression, values scaled by their own range."""
    normalise = {"_target_": "NormalizeIntensityd", "keys": "@image_key", "nonzero": True}
    scale = {"_target_": "ScaleIntensityd", "keys": "@image_key", "minv": -1.0, "maxv": 1.0}
    loader = {**RUN["checkpointloader"], "load_path": "$@bundle_root + '/models/' + @modelname"}
    return base(
        SEGRESNET,
        chain(LOAD, TYPED, CHANNEL, ORIENT, spacing("@pixdim"), normalise, scale),
        sliding(
            [32, 32, 32],
            sw_batch_size="@displayable_configs#sw_batch_size",
            overlap="@displayable_configs#sw_overlap",
            padding_mode="replicate",
            mode="gaussian",
            device=DEVICE,
        ),
        chain(SOFTMAX, ARGMAX, invert(True), SAVE),
        displayable_configs={"highres": False, "sw_overlap": 0.25, "sw_batch_size": 1},
        pixdim="$[1.5, 1.5, 1.5] if @displayable_configs#highres else [3.0, 3.0, 3.0]",
        checkpointloader=loader,
        modelname="$'model.pt' if @displayable_configs#highres else 'model_lowres.pt'",
    )


def swin() -> dict[str, Any]:
    """A network with attention, an argument that MONAI has dropped since, and a reader that is named."""
    network = {
        "_target_": "SwinUNETR",
        "spatial_dims": 3,
        "img_size": 96,
        "in_channels": 1,
        "out_channels": 3,
        "feature_size": 12,
        "depths": [1, 1, 1, 1],
        "use_checkpoint": False,
    }
    return base(
        network,
        chain({**LOAD, "reader": "ITKReader"}, CHANNEL, ORIENT, spacing([1.5, 1.5, 2.0]), window(-175, 250), TYPED),
        sliding([64, 64, 64]),
        chain(SOFTMAX, invert(False), ARGMAX, SAVE),
    )


def brats() -> dict[str, Any]:
    """Four sequences, three regions, merged by a lambda."""
    normalise = {"_target_": "NormalizeIntensityd", "keys": "@image_key", "nonzero": True, "channel_wise": True}
    sigmoid = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
    threshold = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}
    merge = {
        "_target_": "Lambdad",
        "keys": "pred",
        "func": "$lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, torch.where(x[[1]] > 0, 2, 0)))",
    }
    return base(
        {**SEGRESNET, "in_channels": 4},
        chain({**LOAD, "image_only": False}, normalise),
        sliding([64, 64, 32]),
        chain(sigmoid, invert(False), threshold, merge, SAVE),
    )


def dints() -> dict[str, Any]:
    """An architecture that is read from a pickled file."""
    space = {
        "_target_": "monai.networks.nets.TopologyInstance",
        "channel_mul": 0.25,
        "num_blocks": 6,
        "num_depths": 3,
        "use_downsample": True,
        "arch_code": ["$@arch_ckpt['arch_code_a']", "$@arch_ckpt['arch_code_c']"],
        "device": "$torch.device('cuda')",
    }
    network = {
        "_target_": "monai.networks.nets.DiNTS",
        "dints_space": "@dints_space",
        "in_channels": 1,
        "num_classes": 3,
        "use_downsample": True,
        "node_a": "$torch.from_numpy(@arch_ckpt['node_a'])",
    }
    return base(
        network,
        chain(LOAD, CHANNEL, ORIENT, spacing([1, 1, 1]), window(-87, 199), TYPED),
        sliding([32, 32, 32], overlap=0.625),
        chain(SOFTMAX, invert(False), ARGMAX, SAVE),
        arch_ckpt_path="$@bundle_root + '/models/search_code.pt'",
        arch_ckpt="$torch.load(@arch_ckpt_path, map_location=torch.device('cuda'))",
        dints_space=space,
    )


def detector() -> dict[str, Any]:
    """Boxes, with inferer and evaluator of the bundle's own, and settings that the evaluator requires."""
    anchors = {
        "_target_": "monai.apps.detection.utils.anchor_utils.AnchorGeneratorWithAnchorShape",
        "feature_map_scales": [1, 2, 4],
        "base_anchor_shapes": [[6, 8, 4], [8, 6, 5], [10, 10, 6]],
    }
    resnet = (
        "monai.networks.nets.resnet.resnet10(spatial_dims=3,n_input_channels=1,conv1_t_stride=[2,2,1],"
        "conv1_t_size=[7,7,7])"
    )
    pyramid = (
        "monai.apps.detection.networks.retinanet_network.resnet_fpn_feature_extractor(@backbone,3,False,[1,2],None)"
    )
    boxes = {"box_keys": "box", "box_ref_image_keys": "@image_key"}
    config = base(
        {
            "_target_": "RetinaNet",
            "spatial_dims": 3,
            "num_classes": 1,
            "num_anchors": 3,
            "feature_extractor": "@feature_extractor",
            "size_divisible": [16, 16, 8],
            "use_list_output": False,
        },
        chain(
            {**LOAD, "_disabled_": "@whether_raw"},
            {**LOAD, "reader": "itkreader", "affine_lps_to_ras": True, "_disabled_": "@whether_resampled"},
            CHANNEL,
            ORIENT,
            {**spacing([0.703125, 0.703125, 1.25]), "_disabled_": "@whether_resampled"},
            window(-1024, 300),
            TYPED,
        ),
        {"_target_": "scripts.detection_inferer.RetinaNetInferer", "detector": "@detector"},
        chain(
            {"_target_": "ClipBoxToImaged", **boxes, "label_keys": "label", "remove_empty": True},
            {"_target_": "AffineBoxToWorldCoordinated", **boxes, "affine_lps_to_ras": True},
            {"_target_": "ConvertBoxModed", "box_keys": "box", "src_mode": "xyzxyz", "dst_mode": "cccwhd"},
            {"_target_": "DeleteItemsd", "keys": ["@image_key"]},
        ),
        whether_raw=False,
        whether_resampled="$(not @whether_raw)",
        backbone=f"${resnet}",
        feature_extractor=f"${pyramid}",
        anchor_generator=anchors,
        detector={
            "_target_": "RetinaNetDetector",
            "network": "@network",
            "anchor_generator": "@anchor_generator",
            "debug": False,
            "spatial_dims": 3,
            "num_classes": 1,
            "size_divisible": [16, 16, 8],
        },
        detector_ops=[
            "$@detector.set_target_keys(box_key='box', label_key='label')",
            "$@detector.set_box_selector_parameters(score_thresh=0.02,topk_candidates_per_level=50,nms_thresh=0.22,detections_per_img=7)",
            "$@detector.set_sliding_window_inferer(roi_size=[512,512,192],overlap=0.25,sw_batch_size=1,mode='constant',device='cpu')",
        ],
    )
    config["dataloader"]["collate_fn"] = "$monai.data.utils.no_collation"
    config["handlers"].append(
        {
            "_target_": "scripts.detection_saver.DetectionSaver",
            "output_dir": "@output_dir",
            "output_transform": "$lambda x: [@postprocessing({**xx['pred'],'image':xx['image']}) for xx in x]",
        }
    )
    config["evaluator"] = {**config["evaluator"], "_target_": "scripts.evaluator.DetectionEvaluator"}
    config["evaluator"]["_requires_"] = "@detector_ops"
    del config["evaluator"]["postprocessing"]
    return config


DETECTOR_SCRIPTS = {
    "detection_inferer.py": """
from monai.inferers import Inferer

class RetinaNetInferer(Inferer):
    def __init__(self, detector, force_sliding_window=False):
        Inferer.__init__(self)
        self.detector = detector

    def __call__(self, inputs, network, *args, **kwargs):
        self.detector.network = network
        self.detector.training = network.training
        return self.detector(inputs, *args, use_inferer=False, **kwargs)
""",
    "evaluator.py": """
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents
from monai.utils.enums import CommonKeys as Keys

def prepare(batch, device=None, non_blocking=False, **kwargs):
    return [item["image"].to(device=device) for item in batch], None

class DetectionEvaluator(SupervisedEvaluator):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, prepare_batch=prepare, **kwargs)

    def _register_decollate(self):
        @self.on(IterationEvents.MODEL_COMPLETED)
        def _decollate(engine):
            found = []
            for place in range(len(engine.state.output[Keys.IMAGE])):
                found.append({k: v[place] for k, v in engine.state.output.items() if v is not None})
            engine.state.output = found
""",
    "detection_saver.py": "raise RuntimeError('a saver is never imported')",
}
"""Code that a detection bundle brings, in the structure of the zoo's."""


def vista() -> dict[str, Any]:
    """Prompts for every class, with inferer and evaluator of the bundle's own, and a lambda."""
    steps = [
        {**LOAD, "image_only": True},
        CHANNEL,
        {**TYPED, "device": "@device", "track_meta": True},
        spacing("@resample_spacing"),
        {
            "_target_": "CropForegroundd",
            "keys": "@image_key",
            "allow_smaller": True,
            "margin": 10,
            "source_key": "@image_key",
        },
        {
            "_target_": "monai.apps.vista3d.transforms.VistaPreTransformd",
            "keys": "@image_key",
            "subclass": {"2": [14, 5], "20": [28, 29], "21": "$list(range(33, 35)) + [114, 120]"},
            "labels_dict": "@labels_dict",
        },
        window(-963.8247715525971, 1053.678477684517),
        ORIENT,
        {"_target_": "CastToTyped", "keys": "@image_key", "dtype": "$torch.float32"},
    ]
    config = base(
        UNET,
        {"_target_": "Compose", "transforms": "$@preprocessing_transforms "},
        {"_target_": "scripts.inferer.Vista3dInferer", "roi_size": [32, 32, 32], "overlap": 0.3, "sw_batch_size": 1},
        chain(
            {"_target_": "ToDeviced", "keys": "pred", "device": "cpu", "_disabled_": True},
            {"_target_": "monai.apps.vista3d.transforms.VistaPostTransformd", "keys": "pred"},
            {**invert(True), "transform": "$copy.deepcopy(@preprocessing)"},
            {"_target_": "Lambdad", "func": "$lambda x: torch.nan_to_num(x, nan=255)", "keys": "pred"},
            SAVE,
        ),
        preprocessing_transforms=steps,
        resample_spacing=[2.0, 2.0, 2.0],
        metadata_path="$@bundle_root + '/configs/metadata.json'",
        metadata="$json.loads(pathlib.Path(@metadata_path).read_text())",
        labels_dict="$@metadata['network_data_format']['outputs']['pred']['channel_def']",
        everything_labels="$list(set([i+1 for i in range(5)]) - set([2]))",
    )
    config["imports"] = ["$import scripts", "$import copy", "$import json", "$import pathlib"]
    config["network_def"] = {"_target_": "scripts.network.Prompted", "net": copy.deepcopy(UNET)}
    config["evaluator"]["_target_"] = "scripts.evaluator.Vista3dEvaluator"
    config["evaluator"]["hyper_kwargs"] = {"user_prompt": True, "everything_labels": "@everything_labels"}
    return config


VISTA_SCRIPTS = {
    "network.py": """
import torch

class Prompted(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image, class_vector):
        both = self.net(image)
        return torch.cat([both[:, 1:] * float(label) for label in class_vector.ravel()], dim=0)
""",
    "inferer.py": """
from monai.inferers import Inferer, SlidingWindowInferer

class Vista3dInferer(Inferer):
    def __init__(self, roi_size, overlap, use_point_window=False, sw_batch_size=1):
        Inferer.__init__(self)
        self.roi_size, self.overlap, self.sw_batch_size = roi_size, overlap, sw_batch_size

    def __call__(self, inputs, network, point_coords, point_labels, class_vector, labels=None, label_set=None):
        windows = SlidingWindowInferer(self.roi_size, self.sw_batch_size, self.overlap)
        return windows(inputs, lambda x: network(x, class_vector).transpose(1, 0)).transpose(1, 0)
""",
    "evaluator.py": """
import torch
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents
from monai.transforms import reset_ops_id
from monai.utils.enums import CommonKeys as Keys

class Vista3dEvaluator(SupervisedEvaluator):
    def __init__(self, *args, hyper_kwargs=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.device, self.hyper_kwargs = kwargs["device"], hyper_kwargs

    def _iteration(self, engine, batchdata):
        image = batchdata["image"].to(engine.device)
        asked = batchdata.get("label_prompt", None) or self.hyper_kwargs["everything_labels"]
        prompt = torch.as_tensor(asked).unsqueeze(-1)
        engine.state.output = {Keys.IMAGE: image, Keys.LABEL: None}
        with engine.mode(engine.network):
            engine.state.output[Keys.PRED] = engine.inferer(
                inputs=image, network=engine.network, point_coords=None, point_labels=None, class_vector=prompt
            ).transpose(1, 0)
        reset_ops_id(image)
        engine.state.output["label_prompt"] = prompt.unsqueeze(0)
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output
""",
}
"""Code that a prompted bundle brings, in the structure of the zoo's."""


def add_scripts(root: Path, scripts: dict[str, str]) -> Path:
    """Put code into a bundle."""
    (root / "scripts").mkdir()
    for name, text in {"__init__.py": "", **scripts}.items():
        (root / "scripts" / name).write_text(text, encoding="utf-8")
    return root


def classification() -> dict[str, Any]:
    """A score for each class of a whole image."""
    network = {"_target_": "DenseNet121", "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "pretrained": True}
    resize = {"_target_": "Resized", "keys": "@image_key", "spatial_size": [32, 32, 32]}
    return base(
        network,
        chain(LOAD, CHANNEL, window(-1000, 400), resize, TYPED),
        {"_target_": "SimpleInferer"},
        chain(SOFTMAX, {"_target_": "SaveClassificationd", "keys": "pred"}),
    )


def metadata(channels: int = 1, classes: int = 2) -> dict[str, Any]:
    """Metadata with one image and one prediction."""
    image = {"type": "image", "format": "hounsfield", "modality": "CT", "num_channels": channels}
    pred = {"type": "image", "format": "segmentation", "num_channels": classes}
    image["channel_def"] = {str(i): f"sequence {i}" for i in range(channels)}
    pred["channel_def"] = {"0": "background", **{str(i): f"class {i}" for i in range(1, classes)}}
    return {
        "version": "0.1.0",
        "name": "A model in the shape of the zoo",
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": pred}},
    }


def write(root: Path, config: dict[str, Any], stated: dict[str, Any] | None = None, suffix: str = ".json") -> Path:
    """Write a bundle without weights."""
    (root / "configs").mkdir(parents=True)
    (root / "configs" / "metadata.json").write_text(json.dumps(stated or metadata()))
    text = json.dumps(config, indent=1)
    if suffix != ".json":
        import yaml

        text = yaml.safe_dump(config)
    (root / "configs" / f"inference{suffix}").write_text(text)
    return root


def spleen_with(**entries: Any) -> dict[str, Any]:
    """The spleen bundle with other entries."""
    return {**spleen(), **entries}


def spleen_with_step(**step: Any) -> dict[str, Any]:
    """The spleen bundle with one more step of pre-processing."""
    config = spleen()
    config["preprocessing"]["transforms"].insert(1, step)
    return config
