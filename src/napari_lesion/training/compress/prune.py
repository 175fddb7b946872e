"""Structured pruning: the channels of least weight go, and what is left is a smaller network of the same class."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_lesion.core.errors import LesionError
from napari_lesion.models.bundle import WEIGHTS, BundleInfo, build_network, load_network
from napari_lesion.models.metadata import INFERENCE
from napari_lesion.training.bundle import half_precision
from napari_lesion.training.checkpoints import save_atomically

if TYPE_CHECKING:
    import torch

WIDTHS = {"UNet": "channels", "DynUNet": "filters"}
"""Argument that states the channels of each level."""
MOST_VOXELS = 32
"""Edge of the window with which the layers are traced; their channels are the same at any size."""


def prune(bundle: BundleInfo, share: float) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Network definition and weights with a share of the channels of every level taken out.

    Parameters
    ----------
    bundle
        The model.
    share
        Channels to take out of each level, 0 to below 1.

    Raises
    ------
    LesionError
        When torch-pruning is not installed, or the class of the network is not one whose widths are known here.

    Notes
    -----
    Importance of a channel is the L2 norm of all weights that go with it (torch-pruning: Fang 2023, CVPR,
    doi:10.1109/CVPR52729.2023.01544); the same share goes from every level, so that the rest is again a network of
    the same class with fewer channels, and needs no code of its own.
    """
    import torch

    pruning = _import_pruning()
    kind = str(bundle.network_def["_target_"]).rpartition(".")[2]
    if kind not in WIDTHS:
        raise LesionError(
            f"The network of {bundle.name} cannot be pruned", f"it is a {kind}, not {' or '.join(WIDTHS)}"
        )
    network = load_network(bundle)
    example = torch.zeros(1, bundle.channels, *(min(n, MOST_VOXELS) for n in bundle.roi_size))
    with warnings.catch_warnings(), _plain_activations(network):
        warnings.simplefilter("ignore")
        pruner = pruning.pruner.BasePruner(
            network,
            example,
            importance=pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=share,
            ignored_layers=_outputs(network),
        )
        pruner.step()
    widths = bundle.network_def[WIDTHS[kind]]
    smaller = {**bundle.network_def, WIDTHS[kind]: [width - int(width * share) for width in widths]}
    state = network.state_dict()
    build_network(replace(bundle, network_def=smaller)).load_state_dict(state)
    return smaller, state


@contextmanager
def _plain_activations(network: torch.nn.Module) -> Iterator[None]:
    """Stand-ins for activations behind which torch-pruning loses count of the channels.

    It takes the one slope of a PReLU for a further input of the layer, and does not follow what works in place.
    """
    import torch

    odd = {
        name: part
        for name, part in network.named_modules()
        if isinstance(part, torch.nn.PReLU) or getattr(part, "inplace", False)
    }
    for name in odd:
        network.set_submodule(name, torch.nn.LeakyReLU())
    try:
        yield
    finally:
        for name, part in odd.items():
            network.set_submodule(name, part)


def _outputs(network: torch.nn.Module) -> list[torch.nn.Module]:
    """Convolutions that give the output channels, which stay."""
    import torch

    kinds = torch.nn.Conv3d | torch.nn.ConvTranspose3d
    return [module for module in network.modules() if isinstance(module, kinds) and module.out_channels == 1]


def write_pruned(folder: Path, network: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
    """Put a smaller network into a bundle folder."""
    path = folder / INFERENCE
    config = json.loads(path.read_text(encoding="utf-8"))
    config["network_def"] = network
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_atomically(half_precision(state), folder / WEIGHTS)


def _import_pruning() -> Any:
    try:
        import torch_pruning
    except ImportError as error:
        raise LesionError(
            "Networks cannot be pruned here",
            "torch-pruning is not installed",
            'Run pip install "napari-lesion[compress]"',
        ) from error
    return torch_pruning
