"""OpenVINO on the CPU: the network is converted once, kept in the user's cache folder, and compiled at each start."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import ModelError
from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.backends.folding import fold_tail
from napari_lesion.inference.backends.memory import memory_guard, network_guard
from napari_lesion.inference.backends.precision import processor_has_bf16
from napari_lesion.inference.backends.telemetry import import_openvino
from napari_lesion.inference.cache import cache_folder
from napari_lesion.inference.settings import BF16, FLOAT32, INT8
from napari_lesion.models.bundle import QUANTISED, BundleInfo
from napari_lesion.models.safety import inside, sha256_of

FloatArray = npt.NDArray[np.float32]

CACHE_VERSION: Final = 3
PREPARING: Final = "Preparing the model (first time only)"
FILES: Final = ("model.xml", "model.bin")
DIGESTS: Final = "sha256.json"


class OpenVinoBackend:
    """Runs a bundle with OpenVINO on the CPU.

    Parameters
    ----------
    bundle
        The model.
    batch
        Windows computed at the same time, each on its share of the threads.
    threads
        CPU threads of all of them together.
    ctx
        Told about the conversion, which takes 2 to 15 s the first time.
    precision
        ``float32``, ``bf16``, or ``int8`` for the INT8 network that the bundle holds.

    Notes
    -----
    The precision is set explicitly: without it OpenVINO computes in bfloat16 on processors that have it, and
    nothing would say so. What of an INT8 network is not quantised is computed in bfloat16 where the processor can.
    """

    name = "openvino"
    device = "cpu"

    def __init__(
        self,
        bundle: BundleInfo,
        batch: int = 1,
        threads: int = 1,
        ctx: JobContext | None = None,
        precision: str = FLOAT32,
    ) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        with memory_guard(self.device):
            if precision == INT8:
                model = _quantised(bundle, core)
            else:
                model = _converted(bundle, core, openvino, ctx or JobContext())
            hint = "bf16" if precision == BF16 or (precision == INT8 and processor_has_bf16()) else "f32"
            compiled = core.compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": hint,
                    "NUM_STREAMS": str(batch),
                    "INFERENCE_NUM_THREADS": str(max(batch, threads)),
                },
            )
        self.precision = precision
        self._bundle = bundle
        self._requests: list[Any] = [compiled.create_infer_request() for _ in range(batch)]

    def infer(self, windows: FloatArray) -> FloatArray:
        """Probability of lesion (n, x, y, z) of windows (n, channels, x, y, z)."""
        results: list[FloatArray] = []
        with network_guard(self._bundle, self.device):
            for first in range(0, len(windows), len(self._requests)):
                running = list(zip(self._requests, windows[first : first + len(self._requests)], strict=False))
                for request, window in running:
                    request.start_async({0: np.ascontiguousarray(window[None])}, share_inputs=True)
                for request, _ in running:
                    request.wait()
                    results.append(request.get_output_tensor().data.copy())
        return np.concatenate(results)

    def close(self) -> None:
        """Forget the compiled network."""
        self._requests = []


def usable_cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_converted(bundle: BundleInfo) -> bool:
    """Whether the converted network is in the cache, so that torch is not needed."""
    try:
        return (_folder(bundle) / DIGESTS).is_file()
    except PackageNotFoundError:
        return False


def input_shape(bundle: BundleInfo) -> list[int]:
    """Shape of the one window that a call computes."""
    return [1, bundle.channels, *bundle.roi_size]


def _folder(bundle: BundleInfo) -> Path:
    return cache_folder() / "openvino" / cache_key(bundle)


def cache_key(bundle: BundleInfo) -> str:
    """Name of the converted network: weights, definition, shape and the versions that made it.

    float32 and bfloat16 share it: they differ in how the same network is compiled, which is done at every start.
    """
    parts = {
        "cache": CACHE_VERSION,
        "weights": bundle.weights_sha256,
        "network": dict(bundle.network_def),
        "output": [bundle.activation, bundle.lesion_channel],
        "shape": input_shape(bundle),
        "versions": {name: version(name) for name in ("openvino", "torch", "monai")},
    }
    return name_of(parts)


def name_of(parts: dict[str, Any]) -> str:
    """Name in the cache of what is made from these parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def kept_model(folder: Path, core: Any, openvino: Any, make: Callable[[], Any]) -> Any:
    """A converted network from the cache when it is there and whole; else made, and put there."""
    if _is_whole(folder):
        return core.read_model(folder / FILES[0])
    model = make()
    _store(model, folder, openvino)
    return model


def _converted(bundle: BundleInfo, core: Any, openvino: Any, ctx: JobContext) -> Any:
    """The network as OpenVINO's model, from the cache when it is there and whole."""

    def make() -> Any:
        ctx.step(PREPARING, 0, 3)
        from napari_lesion.inference.backends.network import probability_network

        network = probability_network(bundle)
        ctx.step(PREPARING, 1, 3)
        model = convert(network, input_shape(bundle), openvino, lambda: ctx.step(PREPARING, 2, 3))
        ctx.step(PREPARING, 3, 3)
        return model

    return kept_model(_folder(bundle), core, openvino, make)


def convert(network: Any, shape: list[int], openvino: Any, traced: Callable[[], None] = lambda: None) -> Any:
    """A torch network as OpenVINO's model of one static shape, its last layers folded.

    Parameters
    ----------
    network
        ``torch.nn.Module`` in evaluation mode.
    shape
        Of the input.
    openvino
        The module.
    traced
        Called between the two steps, for progress.
    """
    import torch

    example = torch.zeros(shape)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # tracing warns of every shape that becomes a constant, as it shall here
        # convert_model traces by itself too, and then runs the network several times to check: 7 s instead of 2
        trace: Any = torch.jit.trace
        graph = trace(network, example, check_trace=False)
        traced()
        model = openvino.convert_model(graph, example_input=example, input=shape)
    fold_tail(model, openvino)
    return model


def _quantised(bundle: BundleInfo, core: Any) -> Any:
    """The INT8 network of a bundle, of the very bytes that its metadata states."""
    paths = [inside(bundle.path, name) for name in QUANTISED]
    same = all(sha256_of(path) == bundle.quantised[name] for path, name in zip(paths, QUANTISED, strict=True))
    model = core.read_model(paths[0]) if same else None
    if model is None or list(model.input(0).get_partial_shape().to_shape()) != input_shape(bundle):
        raise ModelError(
            f"The INT8 network of the model {bundle.name} is not usable",
            "its files or its window differ from what the metadata state",
            "Copy or install the bundle again, or choose another precision",
        )
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
