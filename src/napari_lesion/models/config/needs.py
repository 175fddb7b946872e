"""What a bundle takes and gives, and what must be installed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Final

from napari_lesion.models.config.reading import BundleConfig

PACKAGES: Final = "required_packages_version"
NOT_NEEDED: Final = frozenset({"pytorch-ignite", "ignite", "tensorboard", "fire", "nibabel", "itk", "gdown"})
"""Packages that bundles list for reading, training and logging, which this program does itself."""
DETECTION: Final = "torchvision"


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
        Distributions that must be installed, beside those of this program.
    missing
        Those that are not.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    packages: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def needs_of(config: BundleConfig) -> Needs:
    """What the metadata of a bundle state; whatever is garbled there is left out."""
    packages = _packages(config)
    return Needs(
        inputs=_ports(config.metadata, "inputs"),
        outputs=_ports(config.metadata, "outputs"),
        packages=packages,
        missing=tuple(name for name in packages if not _installed(name)),
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
    if config.has("detector"):
        stated.append(DETECTION)
    return tuple(sorted({*stated} - NOT_NEEDED))


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
