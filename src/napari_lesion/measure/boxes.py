"""Where the labels of a map lie: one pass over the volume, and none for a label whose box is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box

FIND_OBJECTS_LIMIT = 1_000_000
"""Largest label for `scipy.ndimage.find_objects`, whose list has one place for every number up to it."""


def find_boxes(labels: npt.NDArray[np.integer]) -> dict[int, Box]:
    """Tight (z, y, x) box of every label above 0, by label.

    Parameters
    ----------
    labels
        Label array (z, y, x), any integer type.
    """
    from scipy import ndimage

    largest = int(labels.max(initial=0))
    if largest <= FIND_OBJECTS_LIMIT:
        found = ndimage.find_objects(labels, max_label=max(largest, 1))
        return {label: box for label, box in enumerate(found, start=1) if box is not None}
    values = np.unique(labels)
    values = values[values > 0]
    dense = np.searchsorted(values, labels).astype(np.uint32) + np.isin(labels, values).astype(np.uint32)
    found = ndimage.find_objects(dense, max_label=len(values))
    return {int(value): box for value, box in zip(values, found, strict=True)}


def boxes_of(
    labels: npt.NDArray[np.integer], only: Iterable[int] | None, known: Mapping[int, Box] | None
) -> dict[int, Box]:
    """Boxes of the labels to measure, in ascending order of labels.

    A label of ``only`` whose box is known costs no look at the volume. Labels without a voxel are left out, but a
    known box is believed: it may be empty, and it may be larger than the lesion.

    Parameters
    ----------
    labels
        Label array (z, y, x).
    only
        Labels to measure; None for all.
    known
        Boxes that the caller knows. A box must hold every voxel of its label.
    """
    known = dict(known or {})
    if only is None:
        return dict(sorted(find_boxes(labels).items()))
    wanted = sorted(set(only))
    if any(label not in known for label in wanted):
        known = find_boxes(labels) | known
    return {label: known[label] for label in wanted if label in known}
