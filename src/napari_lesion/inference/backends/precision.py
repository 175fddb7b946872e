"""How exactly a network is computed: what was asked for, what this machine can, and what the model allows."""

from __future__ import annotations

from functools import cache

from napari_lesion.core.errors import ModelError
from napari_lesion.inference.backends.telemetry import import_openvino
from napari_lesion.inference.settings import BF16, FLOAT16, FLOAT32, INT8, EngineSettings
from napari_lesion.models.bundle import BundleInfo


def precision_for(bundle: BundleInfo, settings: EngineSettings, device: str, backend: str) -> str:
    """Precision in which a bundle is computed on a device.

    Parameters
    ----------
    bundle
        The model; ``precisions`` names those that were measured to lose nothing.
    settings
        What was asked for.
    device, backend
        As `choose.chosen` gives them.

    Returns
    -------
    str
        ``float32``, ``bf16``, ``int8`` or, on a card, ``float16``. bfloat16 that a processor does not compute becomes
        float32, which is never worse.

    Raises
    ------
    ModelError
        When INT8 was asked for and the model has no such network, or the backend does not run it.
    """
    asked = settings.precision
    if device.startswith("cuda"):
        asked = FLOAT16 if asked == "auto" else asked
    elif asked == "auto":
        asked = _best(bundle) if backend == "openvino" else FLOAT32
    if asked == INT8:
        _require_int8(bundle, backend)
    if asked == BF16 and backend == "openvino" and not processor_has_bf16():
        return FLOAT32
    return asked


def _best(bundle: BundleInfo) -> str:
    """The first of the precisions that lose nothing which this processor can compute."""
    return next((p for p in bundle.precisions if p != BF16 or processor_has_bf16()), FLOAT32)


@cache
def processor_has_bf16() -> bool:
    """Whether this processor multiplies in bfloat16, as OpenVINO sees it; False without OpenVINO."""
    try:
        capabilities = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except (ImportError, RuntimeError):
        return False
    return "BF16" in capabilities


def _require_int8(bundle: BundleInfo, backend: str) -> None:
    if backend != "openvino":
        raise ModelError("INT8 is computed by OpenVINO on the CPU only", "", "Choose another precision")
    if not bundle.quantised:
        raise ModelError(
            f"The model {bundle.name} has no INT8 network",
            "a network must be calibrated on images before it can compute in INT8",
            "Choose another precision, or make one with python -m napari_lesion.training.compress",
        )
