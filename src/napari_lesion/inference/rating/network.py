"""Run the networks of a classifier on crops: with OpenVINO, converted once, or with PyTorch where that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.backends.openvino_backend import PREPARING, convert, kept_model, name_of, usable_cpus
from napari_lesion.inference.backends.telemetry import import_openvino
from napari_lesion.inference.cache import cache_folder
from napari_lesion.models.classifier import ClassifierInfo, load_members

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float32]
Run = Callable[[FloatArray], FloatArray]

VIEWS: Final = 8
"""Turns and flips of a crop whose outputs are averaged."""
CACHE_VERSION: Final = 1

log = logging.getLogger(__name__)


def views(crop: FloatArray) -> FloatArray:
    """The eight turns and flips of a square crop (channel, row, column), the crop itself first."""
    turned = [np.rot90(crop, quarter, axes=(1, 2)) for quarter in range(4)]
    return np.ascontiguousarray([*turned, *(np.flip(one, axis=2) for one in turned)])


def open_members(info: ClassifierInfo, ctx: JobContext | None = None) -> Run:
    """A function that gives logits (member, view, output) of the views of one crop (view, channel, row, column).

    Several threads may call it.

    Raises
    ------
    ModelError
        When the bundle is damaged.
    """
    try:
        return _with_openvino(info, ctx or JobContext())
    except (ImportError, RuntimeError) as error:
        log.warning("OpenVINO could not run the classifier, PyTorch does: %s", str(error).splitlines()[:1])
    return _with_torch(info)


def _with_torch(info: ClassifierInfo) -> Run:
    import torch

    together = _side_by_side(info)

    def run(crops: FloatArray) -> FloatArray:
        with torch.inference_mode():
            logits: FloatArray = together(torch.from_numpy(crops)).numpy()
        return logits

    return run


def _with_openvino(info: ClassifierInfo, ctx: JobContext) -> Run:
    openvino = import_openvino()
    core = openvino.Core()
    # float32 is asked for: without it results would differ between processors
    hints = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(usable_cpus()),
    }
    compiled = core.compile_model(_converted(info, core, openvino, ctx), "CPU", hints)

    def run(crops: FloatArray) -> FloatArray:
        logits: FloatArray = compiled.create_infer_request().infer({0: crops})[0].copy()
        return logits

    return run


def _converted(info: ClassifierInfo, core: Any, openvino: Any, ctx: JobContext) -> Any:
    """All networks as one model of OpenVINO, from the cache when it is there and whole."""
    folder = cache_folder() / "openvino" / _cache_key(info)

    def make() -> Any:
        ctx.step(PREPARING)
        return convert(_side_by_side(info), [VIEWS, 2, info.size, info.size], openvino)

    return kept_model(folder, core, openvino, make)


def _cache_key(info: ClassifierInfo) -> str:
    parts = {
        "cache": CACHE_VERSION,
        "weights": info.weights_sha256,
        "network": dict(info.network_def),
        "members": info.members,
        "size": info.size,
        "versions": {name: version(name) for name in ("openvino", "torch", "monai")},
    }
    return name_of(parts)


def _side_by_side(info: ClassifierInfo) -> torch.nn.Module:
    """One module from crops (n, channel, row, column) to logits (member, n, output)."""
    import torch

    class SideBySide(torch.nn.Module):
        """The members of an ensemble on the same input."""

        def __init__(self, members: list[torch.nn.Module]) -> None:
            super().__init__()
            self.members = torch.nn.ModuleList(members)

        def forward(self, crops: torch.Tensor) -> torch.Tensor:
            return torch.stack([member(crops) for member in self.members])

    return SideBySide(load_members(info)).eval()
