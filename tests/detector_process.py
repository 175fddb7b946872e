"""The zoo's detector in a process of its own: ``python detector_process.py FOLDER``.

MONAI looks for torchvision once, when its detectors are imported. In a process that has them already, a stand-in for
torchvision comes too late; so this starts anew. Prints what was found as JSON.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zoo_shapes as zoo
from scipy import ndimage
from zoo_weights import trusted_bundle

from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext, Progress
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.inference.bundles.outputs import Boxed
from napari_lesion.inference.bundles.run import run_bundle
from napari_lesion.models.config.reading import read_configuration

GRID = Grid((40, 36, 24), (0.9, 1.1, 2.0), (-30.0, 20.0, 5.0), (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


def smooth_volume() -> Volume:
    """A smooth random CT."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(GRID.shape), 3)
    return Volume((noise / noise.std() * 200).astype(np.int16), GRID, Modality.CT, Source(case="a"))


class _Layers(torch.nn.ModuleDict):
    """What torchvision's ``IntermediateLayerGetter`` does: the outputs of some children, by new names."""

    def __init__(self, model: torch.nn.Module, return_layers: dict[str, str]) -> None:
        names = [name for name, _ in model.named_children()]
        last = names.index(list(return_layers)[-1])
        super().__init__({name: getattr(model, name) for name in names[: last + 1]})
        self.named = return_layers

    def forward(self, image: Any) -> dict[str, Any]:
        found = {}
        for name, child in self.items():
            image = child(image)
            if name in self.named:
                found[self.named[name]] = image
        return found


def _trainable(is_trained: bool, trainable_backbone_layers: int | None, max_value: int, default_value: int) -> int:
    """What torchvision's check of the number of trainable layers gives: all of them without learnt weights."""
    if not is_trained:
        return max_value
    return default_value if trainable_backbone_layers is None else trainable_backbone_layers


def stand_in() -> None:
    """The two functions of torchvision that MONAI's detectors need: Python code, none of its compiled operations."""
    names = ("torchvision", "torchvision.models", "torchvision.models._utils", "torchvision.models.detection")
    made = {name: types.ModuleType(name) for name in (*names, "torchvision.models.detection.backbone_utils")}
    made["torchvision.models._utils"].IntermediateLayerGetter = _Layers  # type: ignore[attr-defined]
    backbone = made["torchvision.models.detection.backbone_utils"]
    backbone._validate_trainable_layers = _trainable  # type: ignore[attr-defined]
    for name, module in made.items():
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(made[parent], child, module)


def main(folder: Path) -> dict[str, Any]:
    """Build, run, and tell what came of it."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        stand_in()
    root = trusted_bundle(folder / "detector", zoo.detector(), zoo.metadata(1, 1), zoo.DETECTOR_SCRIPTS)
    seen: list[Progress] = []
    output = run_bundle([smooth_volume()], read_configuration(root), ctx=JobContext(report=seen.append))
    assert isinstance(output, Boxed)
    return {
        "index": GRID.to_index(output.centres).tolist(),
        "sizes": output.sizes.tolist(),
        "scores": output.scores.tolist(),
        "labels": output.labels.tolist(),
        "stages": sorted({progress.stage for progress in seen}),
        "written": [str(path) for path in root.rglob("eval")],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))
