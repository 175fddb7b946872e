"""The one place where OpenVINO is imported, with its reports to third parties switched off first.

OpenVINO creates identifiers in the home folder and posts usage figures when the module ``openvino_telemetry`` can
be imported; onnxruntime does the same unless a variable forbids it. Both must be said before the first import.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any


def silence_telemetry() -> None:
    """Keep inference libraries from writing identifiers and from posting usage; for this process."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None makes the import fail


def import_openvino() -> Any:
    """The module ``openvino``; ImportError when it is not installed."""
    silence_telemetry()
    return import_module("openvino")
