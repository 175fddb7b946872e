"""INT8 by post-training quantisation (NNCF), calibrated on windows of training patients."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import LesionError
from napari_lesion.inference.backends.network import probability_network
from napari_lesion.inference.backends.openvino_backend import convert, input_shape
from napari_lesion.inference.backends.telemetry import import_openvino, silence_telemetry
from napari_lesion.models.bundle import QUANTISED, BundleInfo
from napari_lesion.models.metadata import METADATA, OWN_KEY
from napari_lesion.models.safety import sha256_of

FloatArray = npt.NDArray[np.float32]


def import_nncf() -> Any:
    """The module ``nncf``, whose usage reports are switched off first.

    Raises
    ------
    LesionError
        When it is not installed.
    """
    silence_telemetry()
    try:
        import nncf
    except ImportError as error:
        raise LesionError(
            "INT8 networks cannot be made here", "NNCF is not installed", 'Run pip install "napari-lesion[compress]"'
        ) from error
    return nncf


def quantise(bundle: BundleInfo, windows: Sequence[FloatArray]) -> Any:
    """INT8 network of a bundle as OpenVINO's model.

    Parameters
    ----------
    bundle
        The model.
    windows
        Windows (1, channels, x, y, z) to calibrate on.

    Notes
    -----
    Weights are quantised by channel and symmetrically, activations by tensor with asymmetric ranges (NNCF's preset
    ``MIXED``), with its fast bias correction.
    """
    nncf, openvino = import_nncf(), import_openvino()
    model = convert(probability_network(bundle), input_shape(bundle), openvino)
    return nncf.quantize(
        model,
        nncf.Dataset(list(windows)),
        subset_size=len(windows),
        preset=nncf.QuantizationPreset.MIXED,
    )


def write_quantised(model: Any, folder: Path) -> None:
    """Put an INT8 network into a bundle folder, and its hashes into the metadata."""
    openvino = import_openvino()
    openvino.save_model(model, folder / QUANTISED[0], compress_to_fp16=False)
    state(folder, {"int8_sha256": {name: sha256_of(folder / name) for name in QUANTISED}})


def state(folder: Path, facts: dict[str, Any]) -> None:
    """Add facts to our own part of a bundle's metadata."""
    path = folder / METADATA
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata[OWN_KEY] |= facts
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def copied(bundle: Path, out: Path) -> Path:
    """A copy of a bundle folder to change; LesionError when there is something at its place."""
    if out.exists():
        raise LesionError(f"{out} exists already", "", "Name a new folder")
    shutil.copytree(bundle, out)
    return out
