"""Errors of the libraries, told in our words: too little memory, or a network that does not fit its windows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from napari_lesion.core.errors import DeviceMemoryError, ModelError
from napari_lesion.models.bundle import BundleInfo

SIGNS: Final = ("out of memory", "can't allocate memory", "cannot allocate memory", "failed to allocate", "bad_alloc")


@contextmanager
def memory_guard(device: str) -> Iterator[None]:
    """Turn whatever a library raises for want of memory into `DeviceMemoryError`; everything else passes."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in SIGNS):
            raise DeviceMemoryError(
                f"The memory of the device ({device}) is not enough",
                str(error).splitlines()[0][:160] if str(error) else "",
                "Close other programs, or compute with --device cpu",
            ) from error
        raise


@contextmanager
def network_guard(bundle: BundleInfo, device: str) -> Iterator[None]:
    """As `memory_guard`; what else the network raises on a window becomes `ModelError`."""
    try:
        with memory_guard(device):
            yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        size = " x ".join(map(str, bundle.roi_size))
        raise ModelError(
            f"The network of the model {bundle.name} cannot compute a window of {size} voxels",
            str(error).splitlines()[0][:160] if str(error) else type(error).__name__,
            "Correct roi_size or network_def of the bundle",
        ) from error
