"""The default phantom, made once for all tests."""

from __future__ import annotations

import pytest

from napari_lesion.phantom.chest import Chest, ChestSpec, make_chest


@pytest.fixture(scope="session")
def chest() -> Chest:
    return make_chest()


@pytest.fixture(scope="session")
def quick_spec() -> ChestSpec:
    """Half the resolution of the default: the same trunk in a second or two."""
    return ChestSpec(size=(150, 128, 100), spacing=(2.2, 2.2, 2.5))


@pytest.fixture(scope="session")
def quick_chest(quick_spec: ChestSpec) -> Chest:
    return make_chest(quick_spec)
