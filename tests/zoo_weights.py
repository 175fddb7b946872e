"""Bundles in the shapes of the zoo with random weights, made by MONAI's own parser and trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import zoo_shapes as zoo

from napari_lesion.inference.bundles.trusted import Parsed, importable
from napari_lesion.models.config.reading import read_configuration
from napari_lesion.models.trusted import trust


def trusted_bundle(root: Path, config: dict[str, Any], stated: dict[str, Any], scripts: dict[str, str]) -> Path:
    """Write a bundle with its code and random weights, and trust it."""
    zoo.add_scripts(zoo.write(root, config, stated), scripts)
    torch.manual_seed(0)
    with importable(root):
        network = Parsed(read_configuration(root), "cpu").get("network_def")
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    (root / "models").mkdir()
    torch.save({"model": network.state_dict()}, root / "models" / "model.pt")
    trust(root)
    return root
