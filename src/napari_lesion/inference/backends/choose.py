"""Which backend runs a bundle on this machine."""

from __future__ import annotations

import sys
from ctypes.util import find_library
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from napari_lesion.core.errors import ModelError
from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.backends.telemetry import silence_telemetry
from napari_lesion.inference.ports import Backend
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.models.bundle import BundleInfo


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


def batch_for(settings: EngineSettings, device: str) -> int:
    """Windows computed together."""
    return settings.batch or (4 if device.startswith("cuda") else 1)


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
    if backend == "torch":
        return TorchBackend(bundle, device, settings.threads), ()
    from napari_lesion.inference.backends.openvino_backend import OpenVinoBackend

    try:
        return OpenVinoBackend(bundle, batch_for(settings, device), settings.threads, ctx), ()
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        note = f"OpenVINO could not be used ({reason}); PyTorch computed instead, more slowly"
    return TorchBackend(bundle, device, settings.threads), (note,)
