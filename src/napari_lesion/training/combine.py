"""Mean of the weights of several stages, and the shift that puts its threshold in the middle.

Checkpoints of one run that lie on both sides of the trade of sensitivity against false marks average into one that
does better than either (Wortsman et al. 2022, "Model soups", arXiv:2203.05482).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

State = dict[str, "torch.Tensor"]


def average_weights(states: Sequence[State]) -> State:
    """Plain mean of the weights of networks of one shape."""
    import torch

    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}


def centre_threshold(state: State, threshold: float) -> State:
    """Shift the last bias so that the probability ``threshold`` becomes one half; the order of voxels stays.

    Parameters
    ----------
    state
        Weights whose last entry is the bias of the output layer.
    threshold
        Probability, between 0 and 1.
    """
    name = list(state)[-1]
    if state[name].shape != (1,):
        raise ValueError(f"{name} is not the bias of one output channel")
    return {**state, name: state[name] - math.log(threshold / (1 - threshold))}
