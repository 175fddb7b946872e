"""The parts of a bundle that a detection needs: of listed components, or, with trust, by MONAI's own parser."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from napari_lesion.core.errors import ModelError
from napari_lesion.models.config.assessment import Assessment, assess, require_usable
from napari_lesion.models.config.build import ABSENT, Builder
from napari_lesion.models.config.grammar import Trust
from napari_lesion.models.config.reading import BundleConfig
from napari_lesion.models.config.trusting import trusted_configuration
from napari_lesion.models.install import needs_trust
from napari_lesion.models.safety import load_state_dict
from napari_lesion.models.trusted import is_trusted

DEFAULT_WEIGHTS: Final = "models/model.pt"
DEFAULT_KEY: Final = "image"


class Source(Protocol):
    """Gives the object behind an id of a configuration."""

    def get(self, identity: str) -> Any:
        """Object of an id."""
        ...


@dataclass(frozen=True, eq=False)
class Parts:
    """What a bundle does with an image.

    Parameters
    ----------
    network
        In evaluation mode, with its weights, on the device.
    preprocessing, postprocessing
        Dictionary transforms; None when the bundle has none.
    inferer
        Runs the network over the image.
    key
        Key of the image.
    device
        ``cpu`` or ``cuda``.
    """

    network: Any
    preprocessing: Any
    inferer: Any
    postprocessing: Any
    key: str
    device: str


@contextmanager
def bundle_parts(config: BundleConfig, device: str = "cpu") -> Iterator[Parts]:
    """Parts of a bundle; what its code put into Python's search path is taken back at the end.

    Parameters
    ----------
    config
        Configuration of the bundle.
    device
        ``cpu`` or ``cuda``; every device in the configuration becomes this one.

    Raises
    ------
    ModelError
        When it is refused, needs trust that was not given or whose files changed since, or cannot be built.
    """
    assessment = assess(config)
    require_usable(config, assessment)
    if assessment.trust is Trust.SAFE:
        yield _parts(config, Builder(config, device), device)
        return
    _require_trust(config, assessment)
    with _importable(config.root):
        yield _parts(config, _Parsed(config, device), device)


def _require_trust(config: BundleConfig, assessment: Assessment) -> None:
    if not is_trusted(config.root):
        raise needs_trust(config.root.name, assessment)


def _parts(config: BundleConfig, source: Source, device: str) -> Parts:
    network = _network(config, source, device)
    return Parts(
        network=network,
        preprocessing=_optional(config, source, "preprocessing"),
        inferer=_optional(config, source, "inferer") or _simple_inferer(),
        postprocessing=_optional(config, source, "postprocessing"),
        key=_image_key(config),
        device=device,
    )


def _optional(config: BundleConfig, source: Source, identity: str) -> Any:
    part = source.get(identity) if config.has(identity) else None
    return None if part is ABSENT else part


def _simple_inferer() -> Any:
    from monai.inferers import SimpleInferer

    return SimpleInferer()


def _network(config: BundleConfig, source: Source, device: str) -> Any:
    import torch

    identity = next((name for name in ("network_def", "network") if config.has(name)), None)
    if identity is None:
        raise ModelError(f"The model {config.root.name} cannot be used", "its configuration has no network_def")
    network = source.get(identity)
    if not isinstance(network, torch.nn.Module):
        raise ModelError(f"The model {config.root.name} cannot be used", f"{identity} is no network")
    state = load_state_dict(config.root, _weights(config, source))
    try:
        network.load_state_dict(_plain_names(state), strict=True)
    except RuntimeError as error:
        raise ModelError(
            f"The weights of the model {config.root.name} do not fit its network",
            "names or shapes differ from network_def",
            "Copy or install the bundle again",
        ) from error
    return network.float().to(device).eval()


def _plain_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """Names of the weights without what torch's parallel wrapper puts before them."""
    wrapped = all(name.startswith("module.") for name in state)
    return {name.removeprefix("module.") if wrapped else name: value for name, value in state.items()}


def _weights(config: BundleConfig, source: Source) -> str:
    """File of the weights below the root, as the checkpoint loader of the bundle states it."""
    if not config.has("checkpointloader::load_path"):
        return DEFAULT_WEIGHTS
    stated = source.get("checkpointloader::load_path")
    path = Path(str(stated))
    root = config.root.resolve()
    if path.is_absolute():
        if not path.resolve().is_relative_to(root):
            raise ModelError(f"The model {config.root.name} was refused", f"its weights {path} lie elsewhere")
        return path.resolve().relative_to(root).as_posix()
    return path.as_posix()


def _image_key(config: BundleConfig) -> str:
    """Key of the image: that of the loading step, or ``image``."""
    stated = config.inference.get("image_key")
    if isinstance(stated, str) and stated.isidentifier():
        return stated
    inputs = config.metadata.get("network_data_format", {})
    named = inputs.get("inputs") if isinstance(inputs, Mapping) else None
    first = next(iter(named), DEFAULT_KEY) if isinstance(named, Mapping) else DEFAULT_KEY
    return str(first)


class _Parsed:
    """Objects of a trusted configuration, made by MONAI's parser, which evaluates expressions as Python."""

    def __init__(self, config: BundleConfig, device: str) -> None:
        from monai.bundle import ConfigParser

        self._name = config.root.name
        self._parser = ConfigParser(trusted_configuration(config, device))

    def get(self, identity: str) -> Any:
        try:
            with _whole_checkpoints():
                return self._parser.get_parsed_content(identity)
        except Exception as error:
            # whatever the code of a bundle raises is a fault of the bundle
            reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
            raise ModelError(f"The model {self._name} cannot be built", f"{identity}: {reason[0][:200]}") from error


@contextmanager
def _whole_checkpoints() -> Iterator[None]:
    """Let a trusted bundle's own ``torch.load`` read what it was saved with, arrays too."""
    import os

    name = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _importable(root: Path) -> Iterator[None]:
    """Let the code of one bundle be imported; another bundle's ``scripts`` are not mistaken for it."""
    known = {path.stem if path.suffix == ".py" else path.name for path in root.iterdir()}
    _forget(known)
    sys.path.insert(0, str(root))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        if str(root) in sys.path:
            sys.path.remove(str(root))
        _forget(known)


def _forget(names: set[str]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in names & {"scripts", "src"}]:
        del sys.modules[name]
