"""The one place where OpenVINO is imported, with its reports to third parties switched off first.

OpenVINO creates identifiers in the home folder and posts usage figures when the module ``openvino_telemetry`` can
be imported; onnxruntime does the same unless a variable forbids it. Both must be said before the first import. MONAI
imports matplotlib where it is installed, and that makes two folders in the home folder.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from napari_lesion.inference.cache import cache_folder


def silence_telemetry() -> None:
    """Keep inference libraries from writing identifiers and from posting usage; for this process."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    if not _has_matplotlib_folder():
        os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None makes the import fail


def _has_matplotlib_folder() -> bool:
    """Whether the user has settings of matplotlib, which other plugins read in this process."""
    home = os.environ.get("XDG_CONFIG_HOME", "") or Path.home() / ".config"
    return (Path(home) / "matplotlib").is_dir() or (Path.home() / ".matplotlib").is_dir()


def import_openvino() -> Any:
    """The module ``openvino``; ImportError when it is not installed."""
    silence_telemetry()
    return import_module("openvino")
