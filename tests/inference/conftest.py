"""Fixtures of the inference tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.metadata import read_bundle


@pytest.fixture(scope="session")
def tiny_bundle(write_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> BundleInfo:
    """A small UNet with random weights and windows of 32 voxels."""
    return read_bundle(write_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))
