"""What a bundle made by others states; it is run by its own steps (`inference.bundles`), not by the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from napari_lesion.core.errors import ModelError
from napari_lesion.core.volume import Modality
from napari_lesion.models.bundle import WEIGHTS, BundleInfo, Intensity
from napari_lesion.models.config.build import Builder
from napari_lesion.models.config.needs import Port, needs_of
from napari_lesion.models.config.reading import BundleConfig, printable, read_configuration, read_metadata
from napari_lesion.models.config.usual import NETWORKS, component_named
from napari_lesion.models.config.weights import SCRIPT, weights_id
from napari_lesion.models.metadata import OWN_KEY

CLASS_SCORES: Final = "class scores"
"""Task of a bundle that gives one number for each class of an image."""
CLASSIFIERS: Final = ("DenseNet", "EfficientNet", "SENet", "SEResN", "ResNet", "resnet", "ViT", "TorchVisionFCModel")
"""Beginnings of the names of networks that give scores."""
MODALITIES: Final = {"CT": Modality.CT, "MR": Modality.MR, "MRI": Modality.MR, "PT": Modality.PT, "PET": Modality.PT}


def is_foreign(path: Path) -> bool:
    """Whether a bundle holds no metadata of this program; ModelError when it has none that can be read."""
    return OWN_KEY not in read_metadata(path)


def foreign_info(path: Path) -> BundleInfo:
    """What a bundle made by others states about itself; nothing of it is built or run.

    Raises
    ------
    ModelError
        When its configuration is missing or garbled.
    """
    config = read_configuration(path)
    needs = needs_of(config)
    image = needs.inputs[0] if needs.inputs else Port("image")
    output = needs.outputs[0] if needs.outputs else Port("pred")
    return BundleInfo(
        name=path.name,
        path=path,
        network_def={},
        intensity=Intensity(0.0, 1.0, clip=False),
        title=printable(str(config.metadata.get("name", path.name))),
        version=printable(str(config.metadata.get("version", ""))),
        description=str(config.metadata.get("description", "")),
        task=CLASS_SCORES if _gives_scores(config, output) else output.kind or "segmentation",
        modality=MODALITIES.get(image.modality.upper(), Modality.UNKNOWN),
        channels=max(1, image.channels),
        channel_names=tuple(image.meanings.values()),
        labels={number: name for number, name in output.meanings.items() if name.lower() != "background"},
        weights=_weights(config),
        foreign=True,
    )


def _gives_scores(config: BundleConfig, output: Port) -> bool:
    """Whether a bundle is a classifier: its metadata say so, or its network can be nothing else."""
    target = str(component_named(config.inference, *NETWORKS).get("_target_", "")).rpartition(".")[2]
    detector = config.has("detector")
    return not detector and ("class" in output.kind.lower() or target.startswith(CLASSIFIERS))


def _weights(config: BundleConfig) -> str:
    """File of the weights, relative to the root, when the configuration says it in a safe expression."""
    identity = weights_id(config)
    try:
        stated = Path(str(Builder(config).get(identity))) if identity else Path(WEIGHTS)
    except ModelError:
        stated = Path(WEIGHTS)
    root = config.root.resolve()
    resolved = (root / stated).resolve()
    found = resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else WEIGHTS
    return SCRIPT if not (root / found).is_file() and (root / SCRIPT).is_file() else found
