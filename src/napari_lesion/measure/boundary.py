"""The edge of a lesion: its ring, its sharpness, its outline."""

from __future__ import annotations

from napari_lesion.measure.boundary_edge import EdgeProfile
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.spec import FeatureSpec

__all__ = ["BOUNDARY", "EdgeProfile", "edge_profile"]


def edge_profile(context: LesionContext) -> EdgeProfile:
    """Intensity along the normals of a lesion's surface, from 5 mm inside to 5 mm outside.

    Parameters
    ----------
    context
        From `napari_lesion.measure.engine.lesion_context`.

    Returns
    -------
    EdgeProfile
        Offsets, median and quartiles over the surface, the two levels, the width and the place of the edge. NaN
        where less than half of the surface can be seen, and throughout for a lesion of fewer than 8 voxels.
    """
    return context.edge


BOUNDARY: tuple[FeatureSpec, ...] = ()
