"""Which backend runs a bundle on this machine."""

from __future__ import annotations

import sys
from ctypes.util import find_library
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from napari_lesion.core.errors import ModelError
from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.backends.openvino_backend import OpenVinoBackend, is_converted, usable_cpus
from napari_lesion.inference.backends.precision import precision_for
from napari_lesion.inference.backends.telemetry import import_openvino, silence_telemetry
from napari_lesion.inference.ports import Backend
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.models.bundle import BundleInfo

MOST_TOGETHER: Final = 4
NO_BF16: Final = "This processor does not compute in bfloat16: float32 was taken."


@cache
def cuda_present() -> bool:
    """Whether torch can compute on a CUDA card; torch is imported only where a driver is installed."""
    try:
        if "+cpu" in version("torch"):
            return False
    except PackageNotFoundError:
        return False
    if sys.platform == "darwin" or not (find_library("cuda") or find_library("nvcuda")):
        return False
    import torch

    return bool(torch.cuda.is_available())


def chosen(settings: EngineSettings) -> tuple[str, str]:
    """Device (``cpu``, ``cuda``) and backend (``openvino``, ``torch``) for these settings on this machine.

    Raises
    ------
    ModelError
        When CUDA is asked for and not there, or asked for together with OpenVINO.
    """
    device = settings.device
    if device == "auto":
        device = "cuda" if settings.backend != "openvino" and cuda_present() else "cpu"
    elif device == "cuda" and settings.backend == "openvino":
        raise ModelError("OpenVINO does not run on CUDA", "", "Choose the backend torch, or the device cpu")
    elif device == "cuda" and not cuda_present():
        raise ModelError("There is no CUDA card that torch can use", "", "Choose the device cpu or auto")
    backend = settings.backend
    if backend == "auto":
        backend = "torch" if device == "cuda" else "openvino"
    return device, backend


def batch_for(settings: EngineSettings, device: str, backend: str = "") -> int:
    """Windows computed together.

    OpenVINO computes each window on cores of its own, since the layers of one small window leave cores idle; PyTorch
    on the CPU shares one window among all cores.
    """
    if settings.batch or device.startswith("cuda"):
        return settings.batch or MOST_TOGETHER
    return 1 if backend == "torch" else min(MOST_TOGETHER, settings.threads or usable_cpus())


def preload(bundle: BundleInfo, settings: EngineSettings) -> None:
    """Import the libraries that will run a bundle, so that this happens while something else is waited for.

    What is missing or cannot be used is told when the backend is opened, not here.
    """
    try:
        _, backend = chosen(settings)
        if backend == "openvino":
            import_openvino()
        if backend == "torch" or bundle.foreign or not is_converted(bundle):
            import_module("monai.networks.nets")
    except (ImportError, ModelError):
        return


def open_backend(
    bundle: BundleInfo, settings: EngineSettings, ctx: JobContext | None = None
) -> tuple[Backend, tuple[str, ...]]:
    """A backend that is ready to run a bundle, and notes for the user.

    Raises
    ------
    ModelError
        When the bundle is damaged, or the wanted device is not there.
    DeviceMemoryError
        When the network does not fit into the memory of the device.
    """
    from napari_lesion.inference.backends.torch_backend import TorchBackend

    silence_telemetry()
    device, backend = chosen(settings)
    precision = precision_for(bundle, settings, device, backend)
    notes = () if precision == settings.precision or settings.precision == "auto" else (NO_BF16,)
    if backend == "torch":
        return TorchBackend(bundle, device, settings.threads, precision), notes
    threads = settings.threads or usable_cpus()
    try:
        return OpenVinoBackend(bundle, batch_for(settings, device), threads, ctx, precision), notes
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        note = f"OpenVINO could not be used ({reason}); PyTorch computed instead, more slowly"
    return TorchBackend(bundle, device, settings.threads), (note,)
