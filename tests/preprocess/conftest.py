"""A synthetic chest on a coarse grid, made once."""

from __future__ import annotations

import pytest

from napari_lesion.phantom.chest import Chest, ChestSpec, make_chest

SPEC = ChestSpec(size=(165, 141, 110), spacing=(2.0, 2.0, 2.27), nodules=())


@pytest.fixture(scope="session")
def small_chest() -> Chest:
    """The default chest at 2 mm, without nodules."""
    return make_chest(SPEC)
