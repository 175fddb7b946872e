"""OpenVINO on the CPU: the network is converted once, kept in the user's cache folder, and compiled in float32."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.backends.memory import memory_guard, network_guard
from napari_lesion.inference.backends.telemetry import import_openvino
from napari_lesion.inference.cache import cache_folder
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.safety import sha256_of

FloatArray = npt.NDArray[np.float32]

CACHE_VERSION: Final = 2
PREPARING: Final = "Preparing the model (first time only)"
FILES: Final = ("model.xml", "model.bin")
DIGESTS: Final = "sha256.json"


class OpenVinoBackend:
    """Runs a bundle with OpenVINO on the CPU, float32.

    Parameters
    ----------
    bundle
        The model.
    batch
        Windows a call; the compiled network has this shape.
    threads
        CPU threads; 0 for all that this process may use.
    ctx
        Told about the conversion, which takes 2 to 15 s the first time.

    Notes
    -----
    The precision is set explicitly: without it OpenVINO computes in bfloat16 on processors that have it, and
    results would differ between machines.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, bundle: BundleInfo, batch: int = 1, threads: int = 0, ctx: JobContext | None = None) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        shape = _input_shape(bundle, batch)
        with memory_guard(self.device):
            model = _converted(bundle, shape, core, openvino, ctx or JobContext())
            compiled = core.compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "f32",
                    "PERFORMANCE_HINT": "LATENCY",
                    "NUM_STREAMS": "1",
                    "INFERENCE_NUM_THREADS": str(threads or usable_cpus()),
                },
            )
        self._bundle = bundle
        self._batch = batch
        self._request: Any = compiled.create_infer_request()

    def infer(self, windows: FloatArray) -> FloatArray:
        """Probability of lesion (n, x, y, z) of windows (n, channels, x, y, z); the last batch may be smaller."""
        n = len(windows)
        if n < self._batch:
            windows = np.concatenate([windows, np.zeros((self._batch - n, *windows.shape[1:]), np.float32)])
        with network_guard(self._bundle, self.device):
            result: FloatArray = self._request.infer({0: windows})[0].copy()
        return result[:n]

    def close(self) -> None:
        """Forget the compiled network."""
        self._request = None


def usable_cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_converted(bundle: BundleInfo, batch: int = 1) -> bool:
    """Whether the converted network is in the cache, so that torch is not needed."""
    try:
        return (_folder(bundle, _input_shape(bundle, batch)) / DIGESTS).is_file()
    except PackageNotFoundError:
        return False


def _input_shape(bundle: BundleInfo, batch: int) -> list[int]:
    return [batch, bundle.channels, *bundle.roi_size]


def _folder(bundle: BundleInfo, shape: list[int]) -> Path:
    return cache_folder() / "openvino" / cache_key(bundle, shape)


def cache_key(bundle: BundleInfo, shape: list[int]) -> str:
    """Name of the converted network: weights, definition, shape and the versions that made it."""
    parts = {
        "cache": CACHE_VERSION,
        "weights": bundle.weights_sha256,
        "network": dict(bundle.network_def),
        "output": [bundle.activation, bundle.lesion_channel],
        "shape": shape,
        "versions": {name: version(name) for name in ("openvino", "torch", "monai")},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _converted(bundle: BundleInfo, shape: list[int], core: Any, openvino: Any, ctx: JobContext) -> Any:
    """The network as OpenVINO's model, from the cache when it is there and whole."""
    folder = _folder(bundle, shape)
    if _is_whole(folder):
        return core.read_model(folder / FILES[0])
    ctx.step(PREPARING, 0, 3)
    import torch

    from napari_lesion.inference.backends.network import probability_network

    network, example = probability_network(bundle), torch.zeros(shape)
    ctx.step(PREPARING, 1, 3)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # tracing warns of every shape that becomes a constant, as it shall here
        # convert_model traces by itself too, and then runs the network several times to check: 7 s instead of 2
        trace: Any = torch.jit.trace
        traced = trace(network, example, check_trace=False)
        ctx.step(PREPARING, 2, 3)
        model = openvino.convert_model(traced, example_input=example, input=shape)
    _store(model, folder, openvino)
    ctx.step(PREPARING, 3, 3)
    return model


def _is_whole(folder: Path) -> bool:
    """Whether a converted network is there with the very bytes that were written."""
    try:
        stated = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        return bool(stated == {name: sha256_of(folder / name) for name in FILES})
    except (OSError, ValueError):
        return False


def _store(model: Any, folder: Path, openvino: Any) -> None:
    """Put a converted network into the cache in one step; a cache that cannot be written is no error."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            openvino.save_model(model, made / FILES[0], compress_to_fp16=False)
            digests = {name: sha256_of(made / name) for name in FILES}
            (made / DIGESTS).write_text(json.dumps(digests), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            made.replace(folder)
    except OSError:
        return
