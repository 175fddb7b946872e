"""Where the labels of a map lie: one pass over the volume, and none for a label whose box is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box

SPARSE_ROWS = 0.3
"""Share of rows with a label up to which these rows are copied and searched alone."""

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

    row_maxima = labels.max(axis=2)
    largest = int(row_maxima.max())
    if largest <= 0:
        return {}
    occupied = row_maxima > 0
    if largest > FIND_OBJECTS_LIMIT:
        return _boxes_of_sparse_labels(labels)
    if occupied.mean() < SPARSE_ROWS:
        return _boxes_in_rows(labels[occupied], np.argwhere(occupied), largest)
    found = ndimage.find_objects(labels, max_label=largest)
    return {label: box for label, box in enumerate(found, start=1) if box is not None}


def _boxes_in_rows(rows: npt.NDArray[np.integer], places: npt.NDArray[np.int64], largest: int) -> dict[int, Box]:
    """Boxes from the rows that hold a label at all, which are few in a typical study; ``places`` are their (z, y)."""
    from scipy import ndimage

    boxes = {}
    for label, found in enumerate(ndimage.find_objects(rows, max_label=largest), start=1):
        if found is None:
            continue
        span, width = found
        own = places[span][(rows[span, width] == label).any(axis=1)]
        (z0, y0), (z1, y1) = own.min(axis=0), own.max(axis=0)
        boxes[label] = (slice(int(z0), int(z1) + 1), slice(int(y0), int(y1) + 1), width)
    return boxes


def _boxes_of_sparse_labels(labels: npt.NDArray[np.integer]) -> dict[int, Box]:
    """Boxes where the largest label is too large for a list with one place for every number."""
    from scipy import ndimage

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
