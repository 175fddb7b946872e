"""Where a lesion lies: side, part, distance to the border of the organ."""

from __future__ import annotations

from napari_lesion.measure.spec import FeatureSpec

PLACE: tuple[FeatureSpec, ...] = ()
