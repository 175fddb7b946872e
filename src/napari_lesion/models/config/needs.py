"""What a bundle takes and gives, and what must be installed for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

from napari_lesion.models.config.reading import BundleConfig
from napari_lesion.models.config.scripts import imported_by_scripts
from napari_lesion.models.config.usual import NETWORKS, component_named

PACKAGES: Final = "required_packages_version"
NOT_NEEDED: Final = frozenset({"pytorch-ignite", "ignite", "tensorboard", "fire", "nibabel", "itk", "gdown"})
"""Packages that bundles list for reading, training and logging, which this program does itself."""
OPTIONAL: Final[Mapping[str, re.Pattern[str]]] = {
    "torchvision": re.compile(r"resnet_fpn_feature_extractor|TorchVisionFCModel|BackboneWithFPN|torchvision|DAF3D"),
    "einops": re.compile(r"\b(SwinUNETR|UNETR|ViT|ViTAutoEnc|DiffusionModelUNet|AutoencoderKL)\b"),
}
"""Package that MONAI installs only when asked, and what of MONAI needs it."""


@dataclass(frozen=True)
class Port:
    """One input or output of a network.

    Parameters
    ----------
    name
        Key, such as ``image`` or ``pred``.
    kind, modality
        As the bundle states them: ``image``, ``CT``; empty when it does not.
    channels
        Number of channels; 0 when unknown.
    meanings
        Channel or class number to its meaning.
    """

    name: str
    kind: str = ""
    modality: str = ""
    channels: int = 0
    meanings: Mapping[int, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """For people."""
        named = ", ".join(f"{number} {text}" for number, text in self.meanings.items())
        parts = [self.modality, f"{self.channels} channels" if self.channels != 1 else "1 channel", named]
        return f"{self.name}: " + ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Needs:
    """What a bundle takes, gives, and needs.

    Parameters
    ----------
    inputs, outputs
        Ports of the network.
    packages
        Distributions that it was made with, as its metadata state them, beside those of this program.
    missing
        Those that what would be run here needs and that are not installed.
    flat
        Whether its network takes two-dimensional pictures only.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    packages: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    flat: bool = False


def needs_of(config: BundleConfig) -> Needs:
    """What the metadata of a bundle state; whatever is garbled there is left out."""
    packages = _packages(config)
    return Needs(
        inputs=_ports(config.metadata, "inputs"),
        outputs=_ports(config.metadata, "outputs"),
        packages=packages,
        missing=_missing(config, packages),
        flat=_is_flat(config),
    )


def _ports(stated: Mapping[str, Any], side: str) -> tuple[Port, ...]:
    found: Any = stated.get("network_data_format")
    found = found.get(side) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        return ()
    return tuple(_port(str(name), entry) for name, entry in found.items() if isinstance(entry, Mapping))


def _port(name: str, entry: Mapping[str, Any]) -> Port:
    channels = entry.get("num_channels")
    meanings = entry.get("channel_def")
    named = meanings.items() if isinstance(meanings, Mapping) else ()
    return Port(
        name=name,
        kind=str(entry.get("format", entry.get("type", ""))),
        modality=str(entry.get("modality", "")) if isinstance(entry.get("modality"), str) else "",
        channels=channels if isinstance(channels, int) else 0,
        meanings={int(key): str(text) for key, text in named if str(key).isdecimal()},
    )


def _packages(config: BundleConfig) -> tuple[str, ...]:
    entry = config.metadata.get(PACKAGES)
    stated = [str(name).lower() for name in entry] if isinstance(entry, Mapping) else []
    return tuple(sorted({*stated, *_for_the_configuration(config)} - NOT_NEEDED))


def _for_the_configuration(config: BundleConfig) -> list[str]:
    """Packages without which MONAI's own components of a bundle cannot be built."""
    text = str(config.inference)
    return [name for name, words in OPTIONAL.items() if words.search(text)]


def _missing(config: BundleConfig, packages: tuple[str, ...]) -> tuple[str, ...]:
    """What cannot be imported and is needed: by MONAI's components, or by the bundle's code when it is loaded."""
    modules = {name: name for name in _for_the_configuration(config)}
    modules |= {module: _distribution(module, packages) for module in imported_by_scripts(config.root)}
    return tuple(sorted({name for module, name in modules.items() if not _importable(module)}))


def _distribution(module: str, packages: tuple[str, ...]) -> str:
    """Stated package of a module; the module's own name when none fits."""
    plain = module.replace("_", "-").lower()
    known = {"cv2": "opencv-python", "ignite": "pytorch-ignite", "skimage": "scikit-image", "sklearn": "scikit-learn"}
    fits = (name for name in packages if name.replace("_", "-").startswith(plain))
    return known.get(module) or next(fits, module)


def _importable(module: str) -> bool:
    """Whether a module of the highest level could be imported; nothing is imported to find out."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _is_flat(config: BundleConfig) -> bool:
    """Whether the network takes pictures, and nothing leads it through the slices of a volume."""
    network = component_named(config.inference, *NETWORKS)
    slices = "Slice" in str(component_named(config.inference, "inferer").get("_target_", ""))
    return network.get("spatial_dims") == 2 and not slices
