"""The model card: words from a template, every figure from what was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from napari_lesion.training.cases import Case
from napari_lesion.training.config import TrainingConfig
from napari_lesion.training.folds import N_FOLDS
from napari_lesion.training.network import build_network

TEMPLATE = "card.md.j2"
FIGURES = "figures.json"
WHOLE_SCAN = "whole_scan.json"
HISTORY = "history.md"


def write_card(bundle: Path, config: TrainingConfig, cases: Sequence[Case]) -> Path:
    """Write ``docs/README.md`` of a bundle from its metadata and the files in its ``docs`` folder.

    Parameters
    ----------
    bundle
        Folder with ``configs/metadata.json`` and ``docs/figures.json``; ``docs/whole_scan.json`` and
        ``docs/history.md`` are used when they are there.
    config
        Preset of the training.
    cases
        Cases that were trained on.
    """
    import jinja2

    text = (files("napari_lesion.training.presets") / TEMPLATE).read_text(encoding="utf-8")
    docs = bundle / "docs"
    metadata = _read(bundle / "configs" / "metadata.json")
    own = metadata["napari_lesion"]
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    card = environment.from_string(text).render(
        title=own["title"],
        version=metadata["version"],
        channels=config.channels,
        parameters=round(sum(p.numel() for p in build_network(config).parameters()) / 1e6, 1),
        a_min=int(config.intensity.a_min),
        a_max=int(config.intensity.a_max),
        roi="x".join(map(str, own["roi_size"])),
        overlap=own["overlap"],
        max_slice_spacing=own["max_slice_spacing_mm"],
        figures=_read(docs / FIGURES),
        refinement=own.get("refinement"),
        default_threshold=own["default_threshold"],
        scan=_read(docs / WHOLE_SCAN) if (docs / WHOLE_SCAN).is_file() else None,
        history=(docs / HISTORY).read_text(encoding="utf-8") if (docs / HISTORY).is_file() else "",
        cases=[case.name for case in cases],
        patients=own["training_patients"],
        trained_folds=[fold for fold in range(N_FOLDS) if fold != config.fold],
    )
    path = docs / "README.md"
    path.write_text(card, encoding="utf-8")
    return path


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
