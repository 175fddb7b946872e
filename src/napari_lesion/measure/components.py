"""One label for each lesion of a mask that only says where lesions are."""

from __future__ import annotations

import numpy as np

from napari_lesion.core.volume import LabelMap
from napari_lesion.measure.topology import components_26


def split_components(labels: LabelMap) -> LabelMap:
    """Give every 26-connected component of the mask a label of its own, 1 the largest.

    Parameters
    ----------
    labels
        Mask; every value above 0 is lesion, whatever its label.

    Returns
    -------
    LabelMap
        Labels 1, 2, ... by falling volume; components of equal size in the order of their first voxel. uint16, or
        uint32 when there are more than 65535.
    """
    components, count = components_26(labels.array > 0)
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-sizes, kind="stable")
    lookup = np.zeros(count + 1, dtype=np.uint16 if count <= np.iinfo(np.uint16).max else np.uint32)
    lookup[order + 1] = np.arange(1, count + 1)
    return LabelMap(lookup[components], labels.grid)
