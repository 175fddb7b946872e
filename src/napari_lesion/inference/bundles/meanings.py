"""What the numbers of a label map mean when a bundle's own steps make one map of several regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from napari_lesion.inference.bundles.outputs import has_background
from napari_lesion.inference.bundles.parts import Parts
from napari_lesion.inference.bundles.workflows import PREDICTION

DECIDES: Final = "AsDiscreted"
SIDE: Final = 4


def label_channels(
    parts: Parts, sample: Mapping[str, Any], processed: Mapping[str, Any], stated: Mapping[int, str]
) -> Mapping[int, int]:
    """Label to channel of the network, when a bundle's own steps make one map of several regions; empty otherwise.

    Metadata name the channels of the network. A step of a bundle, such as the lambda of BraTS models that makes the
    labels 1, 2 and 4 of three regions, gives them other numbers. Which one becomes which is asked of the step itself:
    it gets every region alone.

    Parameters
    ----------
    parts
        Whose post-processing was run.
    sample, processed
        Before and after it.
    stated
        Channel to name.
    """
    before = tuple(getattr(sample[PREDICTION], "shape", ()))
    after = tuple(getattr(processed[PREDICTION], "shape", ()))
    if not len(before) == len(after) == 4 or not before[0] > after[0] == 1 or has_background(stated):
        return {}
    steps = _behind_decision(parts)
    channels = range(before[0]) if steps else range(0)
    return {label: channel for channel in channels for label in _label_of(channel, before[0], steps)}


def _behind_decision(parts: Parts) -> list[Any]:
    """Steps behind the last one that decides for regions."""
    steps = [] if parts.postprocessing is None else list(parts.postprocessing.transforms)
    decisions = [place for place, step in enumerate(steps) if type(step).__name__ == DECIDES]
    return steps[decisions[-1] + 1 :] if decisions else []


def _label_of(channel: int, channels: int, steps: list[Any]) -> list[int]:
    """The label that the steps give to a region alone; empty when they give none, or want more than the regions."""
    import torch

    regions = torch.zeros((channels, SIDE, SIDE, SIDE))
    regions[channel, 1:3, 1:3, 1:3] = 1
    data: Any = {PREDICTION: regions}
    try:
        for step in steps:
            data = step(data)
        values = torch.unique(torch.as_tensor(data[PREDICTION])).tolist()
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return []
    labels = [round(value) for value in values if value > 0.5]
    return labels if len(labels) == 1 else []
