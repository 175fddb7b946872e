"""Texture of IBSI, computed by MIRP where that is installed; nothing of it is written here."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import LesionError
from napari_lesion.core.table import Value
from napari_lesion.measure import texture_names
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.size import IBSI
from napari_lesion.measure.spec import Family, FeatureSpec, Scale
from napari_lesion.measure.texture_names import TextureFeature

NAN: Final = float("nan")
FEWEST_VOXELS: Final = 2
INSTALL: Final = 'pip install "napari-lesion[radiomics]"'
MERGED: Final = "3d_volume_merge"

_computed: WeakKeyDictionary[LesionContext, Mapping[str, float]] = WeakKeyDictionary()


def require_texture() -> None:
    """Raise `LesionError` unless the library of the extra is installed."""
    if find_spec("mirp") is None:
        raise LesionError("Texture cannot be measured", "it needs the library MIRP", f"Install it: {INSTALL}")


def grey_levels(c: LesionContext) -> npt.NDArray[np.float64]:
    """Bins of the crop from 1 on, 0 outside the lesion and where the image is not finite.

    The bins are those of the entropy: of fixed width with edges at its multiples on CT, a fixed number between
    minimum and maximum elsewhere. The lowest bin that occurs is 1.
    """
    levels = np.zeros(c.mask.shape)
    inside = c.mask & np.isfinite(c.crop)
    x = c.crop[inside].astype(np.float64)
    if not x.size:
        return levels
    if c.scale is Scale.HU:
        bins = np.floor(x / c.settings.bin_width)
    else:
        low, extent, count = x.min(), float(np.ptp(x)), c.settings.bins
        bins = np.minimum(np.floor(count * (x - low) / extent), count - 1) if extent else np.zeros_like(x)
    levels[inside] = bins - bins.min() + 1
    return levels


def texture_of(c: LesionContext) -> Mapping[str, float]:
    """All texture features of a lesion by column name; NaN below two voxels."""
    if c not in _computed:
        _computed[c] = _texture(grey_levels(c))
    return _computed[c]


def _texture(levels: npt.NDArray[np.float64]) -> dict[str, float]:
    if np.count_nonzero(levels) < FEWEST_VOXELS:
        return {feature.column: NAN for feature in texture_names.FEATURES}
    require_texture()
    from mirp import extract_features

    with _quiet():
        tables = extract_features(
            image=np.pad(levels, 1),
            mask=np.pad(levels > 0, 1).astype(np.uint8),
            image_modality="ct",
            base_feature_families=["cm", "rlm", "szm", "dzm", "ngtdm", "ngldm"],
            base_discretisation_method="none",
            no_approximation=True,
            glcm_spatial_method=MERGED,
            glrlm_spatial_method=MERGED,
            glszm_spatial_method="3d",
            gldzm_spatial_method="3d",
            ngtdm_spatial_method="3d",
            ngldm_spatial_method="3d",
        )
    row = tables[0].iloc[0]
    return {feature.column: float(row[_name_in_mirp(feature)]) for feature in texture_names.FEATURES}


def _name_in_mirp(feature: TextureFeature) -> str:
    matrix = feature.column.split("_")[0]
    return feature.mirp + texture_names.MATRICES[matrix][1]


@contextmanager
def _quiet() -> Iterator[None]:
    """MIRP sets up the log of the whole process when nobody did; with a handler in place it leaves it alone."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _value(column: str, c: LesionContext) -> Value:
    return texture_of(c)[column]


def _spec(feature: TextureFeature) -> FeatureSpec:
    matrix = texture_names.MATRICES[feature.column.split("_")[0]][0]
    return FeatureSpec(
        feature.column,
        f"{feature.title} ({feature.column.split('_')[0].upper()})",
        Family.TEXTURE,
        partial(_value, feature.column),
        f"{matrix}: {feature.title.lower()}, 3-D, all directions in one matrix, on the bins of the entropy counted "
        "from the lowest one that occurs. Voxels as they are: comparable only between images of one voxel size.",
        ucum="1",
        reference=f"{IBSI.format(feature.ibsi)}, computed by MIRP (Zwanenburg 2024, J Open Source Softw 9:6413)",
        optional=True,
        decimals=3,
        invariance=("T",),
        needs=("crop", "mask"),
    )


TEXTURE: tuple[FeatureSpec, ...] = tuple(_spec(feature) for feature in texture_names.FEATURES)
