"""The network of a bundle with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from napari_lesion.core.errors import ModelError
from napari_lesion.models.config.grammar import Trust
from napari_lesion.models.config.reading import SEPARATOR, BundleConfig
from napari_lesion.models.config.weights import SCRIPT, weights_id
from napari_lesion.models.safety import inside, load_state_dict

DEFAULT_WEIGHTS: Final = "models/model.pt"
DEFINITIONS: Final = ("network_def", "network")


class Source(Protocol):
    """Gives the object behind an id of a configuration."""

    def get(self, identity: str) -> Any:
        """Object of an id."""
        ...


def loaded_network(config: BundleConfig, source: Source, device: str, trust: Trust) -> Any:
    """The network of a bundle in evaluation mode, float32, on the device, with its weights.

    Parameters
    ----------
    config
        Configuration of the bundle.
    source
        Gives its parts.
    device
        ``cpu`` or ``cuda``.
    trust
        Class of the bundle: TorchScript is loaded only where code may run.

    Raises
    ------
    ModelError
        When there is no network, or weights that are missing, damaged, elsewhere, or another network's.
    """
    weights = _weights(config, source)
    if not (config.root / weights).is_file() and (config.root / SCRIPT).is_file() and trust is Trust.NEEDS_TRUST:
        return _script(config, device)
    identity = next((name for name in DEFINITIONS if config.has(name)), None)
    if identity is None:
        raise ModelError(f"The model {config.root.name} cannot be used", "its configuration has no network_def")
    network = source.get(identity)
    if not _is_module(network):
        raise ModelError(f"The model {config.root.name} cannot be used", f"{identity} is no network")
    state = load_state_dict(config.root, weights)
    try:
        network.load_state_dict(_plain_names(state), strict=_strict(config))
    except RuntimeError as error:
        raise ModelError(
            f"The weights of the model {config.root.name} do not fit its network",
            "names or shapes differ from network_def",
            "Copy or install the bundle again",
        ) from error
    return network.float().to(device).eval()


def _is_module(network: Any) -> bool:
    import torch

    return isinstance(network, torch.nn.Module)


def _script(config: BundleConfig, device: str) -> Any:
    """A network whose code and weights are one TorchScript archive."""
    import torch

    path = inside(config.root, SCRIPT)
    try:
        script = torch.jit.load(path, map_location=device).float().eval()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ModelError(
            f"The weights of the model {config.root.name} are not usable", f"{SCRIPT} is damaged"
        ) from error
    return torch.nn.Sequential(script).eval()  # a script takes no hooks, by which progress and cancel work


def _strict(config: BundleConfig) -> bool:
    """Whether all weights must fit, as the checkpoint loader of the bundle says."""
    identity = weights_id(config)
    if identity is None:
        return True
    loader = config.find(identity.rpartition(SEPARATOR)[0])
    return loader.get("strict", True) is not False


def _plain_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """Names of the weights without what torch's parallel wrapper puts before them."""
    wrapped = all(name.startswith("module.") for name in state)
    return {name.removeprefix("module.") if wrapped else name: value for name, value in state.items()}


def _weights(config: BundleConfig, source: Source) -> str:
    """File of the weights below the root, as the checkpoint loader of the bundle states it."""
    identity = weights_id(config)
    if identity is None:
        return DEFAULT_WEIGHTS
    path = Path(str(source.get(identity)))
    root = config.root.resolve()
    if path.is_absolute():
        if not path.resolve().is_relative_to(root):
            raise ModelError(f"The model {config.root.name} was refused", f"its weights {path} lie elsewhere")
        return path.resolve().relative_to(root).as_posix()
    return path.as_posix()
