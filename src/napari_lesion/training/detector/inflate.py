"""Weights of a network of slices as a start for the same network of cubes.

A kernel across slices begins as one that looks at its own slice alone, so that the inflated network gives each slice
of a volume that is constant across slices what the flat one gave it (Carreira and Zisserman 2017,
doi:10.1109/CVPR.2017.502, put the same weight into every slice; a centre tap keeps thin nodules thin).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

State = dict[str, "torch.Tensor"]


def inflate(flat: State, network: torch.nn.Module) -> State:
    """Weights for a network of three axes from those of its twin of two.

    Parameters
    ----------
    flat
        Weights of the two-dimensional network.
    network
        The three-dimensional twin: modules of the same names.

    Returns
    -------
    dict
        Weights that ``network`` loads.
    """
    import torch

    # Some networks hold a module under two names, and their weights list both.
    modules = network.named_modules(remove_duplicate=False)
    transposed = {f"{name}.weight" for name, module in modules if isinstance(module, torch.nn.ConvTranspose3d)}
    return {
        name: _deepened(flat[name], like, name in transposed) if like.ndim == flat[name].ndim + 1 else flat[name]
        for name, like in network.state_dict().items()
    }


def _deepened(weight: torch.Tensor, like: torch.Tensor, transposed: bool) -> torch.Tensor:
    """Put a flat kernel into the last axis of a deep one: middle tap, or interpolation where it widens."""
    depth = like.shape[-1]
    taps = weight.new_zeros(depth)
    if transposed and depth == 2:
        taps[:] = 1.0
    elif transposed and depth == 3:
        taps[:] = weight.new_tensor([0.5, 1.0, 0.5])
    else:
        taps[depth // 2] = 1.0
    return weight[..., None] * taps
