"""A tiny data folder, a pool made from it, and a configuration small enough for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from brain_tiny import PATIENTS, write_brains

from napari_lesion.training.brain import shapes
from napari_lesion.training.brain.anatomy import Anatomy, load_anatomies, load_template
from napari_lesion.training.brain.pool import fill_pool
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.config import CropConfig, Stretch


@pytest.fixture(scope="session")
def brain_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_brains(tmp_path_factory.mktemp("brains"))


@pytest.fixture(scope="session")
def brain_config() -> CropConfig:
    return CropConfig(
        name="brain_tiny",
        network={
            "_target_": "UNet",
            "channels": [4, 8],
            "strides": [2],
            "num_res_units": 0,
        },
        stretches=(
            Stretch("template", "template", steps=2, batch=2, roi=16, negatives=1, jitter=2),
            Stretch("brains", "brains", steps=4, batch=2, roi=16, negatives=1, jitter=2),
        ),
        soft=0.0,
        intensity=Intensity(-4.0, 6.0),
        warmup_steps=1,
        checkpoint_every=2,
        validate_every=2,
    )


@pytest.fixture(scope="session")
def template(brain_data: Path) -> Anatomy:
    return load_template(brain_data)


@pytest.fixture(scope="session")
def anatomies(brain_data: Path, template: Anatomy) -> list[Anatomy]:
    return load_anatomies(brain_data, set(PATIENTS), template)


@pytest.fixture(scope="session")
def whole_box(template: Anatomy) -> Iterator[Anatomy]:
    """The masks of the tiny data lie in heads of the template's size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "LJUBLJANA_BOX", np.array(template.box))
        patch.setattr(shapes, "TEMPLATE_BOX", np.array(template.box))
        yield template


@pytest.fixture(scope="session")
def brain_pool(
    brain_data: Path,
    whole_box: Anatomy,
    anatomies: list[Anatomy],
    brain_config: CropConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    fill_pool(folder, [whole_box, *anatomies], shapes.list_shapes(brain_data), 2, brain_config)
    return folder
