"""What every training shares: the HU window, and presets read by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from napari_lesion.core.errors import InputError


@dataclass(frozen=True)
class Intensity:
    """HU window that is mapped to 0..1; values outside are clipped."""

    a_min: float = -1000.0
    a_max: float = 400.0

    def scaled(self, hu: float) -> float:
        """Scale one value as MONAI's ScaleIntensityRange does, without the clip."""
        return (hu - self.a_min) / (self.a_max - self.a_min)


def read_preset(name: str) -> dict[str, Any]:
    """Content of a preset of this package by name, or of the user's file: JSON, or YAML by its extension.

    Raises
    ------
    InputError
        When there is none, or it is no object.
    """
    own = files("napari_lesion.training.presets") / f"{name}.json"
    source = own if own.is_file() else Path(name)
    if not source.is_file():
        raise InputError(f"There is no training preset {name}", "it is neither a preset's name nor a file")
    try:
        text = source.read_text(encoding="utf-8")
        content = yaml.safe_load(text) if source.name.endswith((".yaml", ".yml")) else json.loads(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"The training preset {name} is not valid", str(error)) from error
    if not isinstance(content, dict):
        raise InputError(f"The training preset {name} is not valid", "it is not an object")
    return content
