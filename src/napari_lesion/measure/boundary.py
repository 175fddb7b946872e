"""The edge of a lesion: its ring, its sharpness, its outline."""

from __future__ import annotations

from napari_lesion.measure.spec import FeatureSpec

BOUNDARY: tuple[FeatureSpec, ...] = ()
