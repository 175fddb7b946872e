"""What a configuration may name, one by one: what computes, and neither reads, writes nor runs code.

A name that is missing here is not forbidden for ever: a bundle that needs it asks for trust.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_DICTIONARY_TRANSFORMS: Final = (
    "Activationsd", "AdjustContrastd", "AsChannelLastd", "AsDiscreted", "BorderPadd", "CastToTyped",
    "CenterSpatialCropd", "ClipIntensityPercentilesd", "ConcatItemsd", "CopyItemsd", "CropForegroundd",
    "DeleteItemsd", "DistanceTransformEDTd", "DivisiblePadd", "EnsureChannelFirstd", "EnsureTyped", "FillHolesd",
    "FlattenSubKeysd", "Flipd", "FromMetaTensord", "GaussianSharpend", "GaussianSmoothd", "HistogramNormalized",
    "Identityd", "Invertd", "KeepLargestConnectedComponentd", "LabelFilterd", "LabelToMaskd", "MapLabelValued",
    "MaskIntensityd", "MeanEnsembled", "MedianSmoothd", "NormalizeIntensityd", "Orientationd",
    "RemoveSmallObjectsd", "RepeatChanneld", "ResampleToMatchd", "Resized", "ResizeWithPadOrCropd", "Rotate90d",
    "ScaleIntensityRangePercentilesd", "ScaleIntensityRanged", "ScaleIntensityd", "SelectItemsd", "ShiftIntensityd",
    "SobelGradientsd", "Spacingd", "SpatialCropd", "SpatialPadd", "SplitDimd", "SqueezeDimd", "StdShiftIntensityd",
    "SpatialResampled", "Affined", "Rotated", "CenterScaleCropd", "AddCoordinateChannelsd", "RemoveRepeatedChanneld",
    "ThresholdIntensityd", "ToDeviced", "ToMetaTensord", "ToNumpyd", "ToTensord", "Transposed", "VoteEnsembled",
    "Zoomd", "BoundingRectd", "ConvertToMultiChannelBasedOnBratsClassesd", "ForegroundMaskd", "LabelToContourd",
    "SavitzkyGolaySmoothd",
)  # fmt: skip
_ARRAY_TRANSFORMS: Final = (
    "Activations", "AsDiscrete", "CastToType", "CenterSpatialCrop", "DivisiblePad", "EnsureChannelFirst",
    "EnsureType", "FillHoles", "KeepLargestConnectedComponent", "NormalizeIntensity", "Orientation",
    "BorderPad", "ClipIntensityPercentiles", "CropForeground", "Flip", "GaussianSmooth", "LabelFilter",
    "MedianSmooth", "SpatialResample", "ThresholdIntensity", "ToDevice",
    "RemoveSmallObjects", "Resize", "ResizeWithPadOrCrop", "ScaleIntensity", "ScaleIntensityRange",
    "ScaleIntensityRangePercentiles", "Spacing", "SpatialPad", "SqueezeDim", "ToTensor", "Transpose",
    "AdjustContrast", "Affine", "AsChannelLast", "CenterScaleCrop", "GaussianSharpen", "HistogramNormalize",
    "LabelToMask", "MapLabelValue", "MaskIntensity", "RepeatChannel", "ResampleToMatch", "Rotate", "Rotate90",
    "ShiftIntensity", "SpatialCrop", "SplitDim", "StdShiftIntensity", "ToNumpy", "Zoom",
)  # fmt: skip
_NETWORKS: Final = (
    "AHNet", "AttentionUnet", "BasicUNet", "BasicUNetPlusPlus", "DenseNet", "DenseNet121", "DenseNet169",
    "DenseNet201", "DenseNet264", "DiNTS", "DynUNet", "EfficientNetBN", "FlexibleUNet", "HighResNet", "MedNeXt",
    "ResNet", "ResNetFeatures", "SEResNet101", "SEResNet152", "SEResNet50", "SEResNext101", "SEResNext50",
    "SENet154", "SegResNet", "SegResNetDS", "SegResNetDS2", "SegResNetVAE", "SwinUNETR", "TopologyInstance",
    "UNETR", "UNet", "VISTA3D", "VNet", "ViT", "VoxelMorphUNet", "resnet10", "resnet18", "resnet34", "resnet50",
    "resnet101", "resnet152", "resnet200", "vista3d132",
    "AutoEncoder", "Classifier", "MedNeXtB", "MedNeXtL", "MedNeXtM", "MedNeXtS", "Regressor", "VarAutoEncoder",
    # MONAI's other spellings of the same classes
    "AHnet", "Ahnet", "BasicUnet", "Basicunet", "basicunet", "BasicUnetPlusPlus", "BasicunetPlusPlus",
    "basicunetplusplus", "Densenet", "Densenet121", "Densenet169", "Densenet201", "Densenet264", "densenet121",
    "densenet169", "densenet201", "densenet264", "DynUnet", "Dynunet", "FlexUNet", "MedNext", "MedNextB", "MedNextL",
    "MedNextM", "MedNextS", "SEResNeXt101", "SEResNeXt50", "SEresnet50", "SEresnet101", "SEresnet152", "Seresnet50",
    "Seresnet101", "Seresnet152", "Unet", "senet154", "seresnet50", "seresnet101", "seresnet152", "seresnext50",
    "seresnext101",
)  # fmt: skip
_INFERERS: Final = ("SimpleInferer", "SliceInferer", "SlidingWindowInferer", "SlidingWindowInfererAdapt")
_LAYERS: Final = (
    "AdaptiveAvgPool3d", "AvgPool3d", "BatchNorm3d", "Conv3d", "ConvTranspose3d", "Dropout", "Dropout3d", "Flatten",
    "GELU", "GroupNorm", "Identity", "InstanceNorm3d", "LayerNorm", "LeakyReLU", "Linear", "MaxPool3d", "PReLU",
    "ReLU", "Sequential", "Sigmoid", "SiLU", "Softmax", "Upsample",
)  # fmt: skip
_BOX_TRANSFORMS: Final = ("AffineBoxToWorldCoordinated", "ClipBoxToImaged", "ConvertBoxModed")
_DTYPES: Final = (
    "bfloat16", "bool", "double", "float", "float16", "float32", "float64", "half", "int", "int16", "int32", "int64",
    "int8", "long", "short", "uint8",
)  # fmt: skip
_NUMPY_DTYPES: Final = (
    "float16", "float32", "float64", "int16", "int32", "int64", "int8", "uint16", "uint32", "uint8",
)  # fmt: skip
_NUMPY_FUNCTIONS: Final = (
    "array",
    "asarray",
    "arange",
    "linspace",
    "ones",
    "zeros",
    "prod",
    "mean",
    "pi",
    "inf",
    "nan",
)


def _table() -> dict[str, str]:
    """Spelling to place: the short name, the name below the package, and the full one."""
    table: dict[str, str] = {
        "Compose": "monai.transforms.Compose",
        "monai.transforms.Compose": "monai.transforms.Compose",
    }
    groups = (
        ("monai.transforms", (*_DICTIONARY_TRANSFORMS, *_ARRAY_TRANSFORMS)),
        ("monai.networks.nets", _NETWORKS),
        ("monai.inferers", _INFERERS),
    )
    for package, names in groups:
        for name in names:
            table[name] = table[f"{package}.{name}"] = f"{package}.{name}"
    for name in _DICTIONARY_TRANSFORMS:
        for other in (f"{name[:-1]}D", f"{name[:-1]}Dict"):
            table[other] = table[f"monai.transforms.{other}"] = f"monai.transforms.{name}"
    for name in _LAYERS:
        table[f"torch.nn.{name}"] = f"torch.nn.{name}"
    for name in _BOX_TRANSFORMS:
        place = f"monai.apps.detection.transforms.dictionary.{name}"
        table[name] = table[place] = place
    for place in _PREPARATION:
        table[place] = place
    for short, full in _DETECTION.items():
        table[short] = table[full] = full
    for name in ("VistaPreTransformd", "VistaPostTransformd"):
        table[f"monai.apps.vista3d.transforms.{name}"] = f"monai.apps.vista3d.transforms.{name}"
    return table


_PREPARATION: Final = tuple(
    f"napari_lesion.preprocess.{name}{form}"
    for name in (
        "filters.CLAHE", "filters.CurvatureFlow", "filters.N4BiasFieldCorrection", "filters.NonLocalMeans",
        "masks.BodyMask", "masks.BrainMask", "masks.LungMask",
    )
    for form in ("", "d")
)  # fmt: skip
"""The steps of this package; they compute and nothing else."""

_DETECTION: Final = {
    "AnchorGenerator": "monai.apps.detection.utils.anchor_utils.AnchorGenerator",
    "AnchorGeneratorWithAnchorShape": "monai.apps.detection.utils.anchor_utils.AnchorGeneratorWithAnchorShape",
    "RetinaNet": "monai.apps.detection.networks.retinanet_network.RetinaNet",
    "RetinaNetDetector": "monai.apps.detection.networks.retinanet_detector.RetinaNetDetector",
}

COMPONENTS: Final[Mapping[str, str]] = _table()
"""Spellings of ``_target_`` that may be built, and where each one stands."""


def component_place(target: str) -> str | None:
    """Where the listed component of a ``_target_`` stands; None for what is not on the list.

    A class may be named by the module that it is defined in (``monai.networks.nets.unet.UNet``). What is built is
    always that of the list, whatever stands between package and name.
    """
    if target in COMPONENTS:
        return COMPONENTS[target]
    head, _, last = target.rpartition(".")
    place = COMPONENTS.get(last, "")
    package = place.rpartition(".")[0]
    within = all(part.isidentifier() and not part.startswith("_") for part in head.split("."))
    return place if package and within and head.startswith(f"{package}.") else None


OVERRIDDEN: Final = frozenset(
    {
        "LoadImage", "LoadImaged", "SaveImage", "SaveImaged", "SaveClassification", "SaveClassificationd",
        "LoadImageD", "LoadImageDict", "SaveImageD", "SaveImageDict", "SaveClassificationD", "SaveClassificationDict",
        "WriteFileMappingd", "DataStatsd", "DataStats", "Dataset", "CacheDataset", "PersistentDataset", "DataLoader",
        "ThreadDataLoader", "SupervisedEvaluator", "CheckpointLoader", "StatsHandler", "ClassificationSaver",
    }
)  # fmt: skip
"""Components (last part of the name) that read, write or report: their place is taken by the program's own."""

FUNCTIONS: Final[Mapping[str, str]] = {
    **{f"torch.{name}": f"torch.{name}" for name in _DTYPES},
    **{f"numpy.{name}": f"numpy.{name}" for name in (*_NUMPY_DTYPES, *_NUMPY_FUNCTIONS)},
    **{f"monai.networks.nets.{name}": f"monai.networks.nets.{name}" for name in _NETWORKS},
    **{f"monai.utils.CommonKeys.{key}": f"monai.utils.enums.CommonKeys.{key}" for key in ("IMAGE", "LABEL", "PRED")},
    **{f"math.{name}": f"math.{name}" for name in ("ceil", "floor", "inf", "log2", "nan", "pi", "sqrt")},
    "copy.deepcopy": "copy.deepcopy",
    "pathlib.Path": "pathlib.PurePosixPath",  # joins names, and can open nothing
    "os.path.join": "posixpath.join",
    "monai.networks.nets.resnet.resnet50": "monai.networks.nets.resnet50",
    "monai.apps.detection.networks.retinanet_network.resnet_fpn_feature_extractor": (
        "monai.apps.detection.networks.retinanet_network.resnet_fpn_feature_extractor"
    ),
}
"""Dotted names that an expression may name, beside the two below that the program answers itself."""

DEVICE_FUNCTIONS: Final = (
    "torch.device", "torch.cuda.is_available", "torch.cuda.device_count", "torch.backends.mps.is_available",
)  # fmt: skip
"""Questions about the device: answered with the device that the program chose."""

BUILTINS: Final = frozenset(
    {"abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "len", "list", "max", "min", "range",
     "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip"}
)  # fmt: skip
"""Python's own functions that an expression may call."""

METHODS: Final[Mapping[str, frozenset[str]]] = {
    "builtins.dict": frozenset({"get", "items", "keys", "values"}),
    "torch.nn.Module": frozenset({"to", "cuda", "cpu", "eval", "float"}),
    "monai.apps.detection.networks.retinanet_detector.RetinaNetDetector": frozenset(
        {"set_target_keys", "set_box_selector_parameters", "set_sliding_window_inferer", "eval"}
    ),
}
"""Methods that an expression may call, by the class that they belong to."""

METHOD_NAMES: Final = frozenset(name for names in METHODS.values() for name in names)

FORCED: Final[Mapping[str, object]] = {"pretrained": False, "progress": False, "num_workers": 0}
"""Arguments that would fetch, print or start processes, and what they are set to."""

FETCHING: Final = frozenset({"EfficientNetBN", "MILModel", "milmodel"})
"""Classes of MONAI that fetch weights from the network unless they are told not to."""

OUTDATED: Final[Mapping[str, frozenset[str]]] = {"monai.networks.nets.SwinUNETR": frozenset({"img_size"})}
"""Arguments of older MONAI versions that mean nothing any more and are dropped."""
