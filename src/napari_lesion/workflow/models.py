"""The models that can be chosen."""

from __future__ import annotations

from pathlib import Path

from napari_lesion.core.errors import ModelError
from napari_lesion.models.bundle import BundleInfo, OperatingPoint
from napari_lesion.models.catalogue import find_bundle, list_bundles

__all__ = ["BundleInfo", "OperatingPoint", "default_model", "find_model", "list_models"]


def list_models() -> list[BundleInfo]:
    """Bundles that ship with the package, then those of the user."""
    return list_bundles()


def find_model(name: str | Path | None) -> BundleInfo:
    """The bundle of this name or folder; the first one of the catalogue for None."""
    return find_bundle(name) if name else default_model()


def default_model() -> BundleInfo:
    """The first bundle of the catalogue.

    Raises
    ------
    ModelError
        When no bundle is installed.
    """
    bundles = list_bundles()
    if not bundles:
        raise ModelError("No model is installed", "the package holds none", "Install napari-lesion again")
    return bundles[0]
