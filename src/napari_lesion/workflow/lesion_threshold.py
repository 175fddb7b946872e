"""Another threshold for one mark alone.

The mark stays one of the model (status ``model``): its outline is still the model's at a stated probability, and its
own threshold is kept with it. It does not follow the threshold of the study any more, until it is given that of the
study again. Like every move of a threshold it is no stroke: moving back undoes it, and the history of strokes starts
anew after it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box, shifted, union
from napari_lesion.core.errors import LesionError
from napari_lesion.core.lesion import Status
from napari_lesion.core.probability import SCALE, ProbabilityMap, threshold_byte
from napari_lesion.inference.augment import with_agreement
from napari_lesion.inference.components import components
from napari_lesion.workflow.edit_boxes import box_of
from napari_lesion.workflow.study import Study
from napari_lesion.workflow.threshold import Marks, ReaderState, install_marks

BoolArray = npt.NDArray[np.bool_]
MARGIN = 16


def threshold_of(study: Study, label: int) -> float | None:
    """Threshold that a mark of the model follows: its own, or that of the study; None for other lesions."""
    lesion = study.lesions.get(label)
    if lesion is None or lesion.status is not Status.MODEL or study.detection is None:
        return None
    return study.threshold if math.isnan(lesion.threshold) else lesion.threshold


def mark_lesion(study: Study, reader: ReaderState, label: int, threshold: float) -> Marks:
    """One mark regrown at another threshold, everything else as it is.

    Parameters
    ----------
    study
        Its detection holds the probability; nothing of it is changed.
    reader
        Present lesions.
    label
        A mark of the model that nobody edited.
    threshold
        Probability from which a voxel belongs to it, above 0 to 1.

    Returns
    -------
    Marks
        What lies at the threshold and is 26-connected to the voxel of largest probability of the mark, without
        voxels of other lesions. The threshold of the study is in it unchanged.

    Raises
    ------
    LesionError
        When the lesion is no untouched mark of the model, or the threshold lies above all of its probabilities.
    """
    if threshold_of(study, label) is None or study.detection is None:
        raise LesionError(
            f"Lesion {label} has no threshold of its own", "it is no untouched mark of the model", "Choose another"
        )
    probability, labels = study.detection.probability, reader.labels.array
    was = _box_of_label(labels, label, probability.bounds())
    values = np.where(labels[was] == label, probability.dense(was), 0)
    peak = np.unravel_index(int(values.argmax()), values.shape)
    if values[peak] < max(1, threshold_byte(threshold)):
        raise LesionError(
            f"Lesion {label} would be gone at a threshold of {threshold:.2f}",
            f"its highest probability is {values[peak] / SCALE:.2f}",
            "Choose a lower one, or reject or delete the lesion",
        )
    z, y, x = (int(i) + part.start for i, part in zip(peak, was, strict=True))
    now, mask = _grown((z, y, x), probability, labels, label, threshold)
    return _moved(study, reader, label, threshold, (union(was, now), now, mask))


def rethreshold_lesion(study: Study, label: int, threshold: float) -> Marks:
    """Regrow one mark and install it; the caller measures it afterwards. Raises as `mark_lesion`."""
    marks = mark_lesion(study, ReaderState.of(study), label, threshold)
    install_marks(study, marks)
    return marks


def _moved(
    study: Study, reader: ReaderState, label: int, threshold: float, grown: tuple[Box, Box, BoolArray]
) -> Marks:
    """The marks in the box around the old and the new mask."""
    box, now, mask = grown
    inner = tuple(slice(n.start - b.start, n.stop - b.start) for n, b in zip(now, box, strict=True))
    arrays = []
    for source in (reader.labels.array, reader.model_labels.array):
        array = source[box].copy()
        array[array == label] = 0
        part = array[inner]
        part[mask & (part == 0)] = label
        arrays.append(array)
    assert study.detection is not None
    same = study.threshold is not None and math.isclose(threshold, study.threshold, abs_tol=1e-6)
    lesion = replace(reader.lesions[label], threshold=math.nan if same else threshold)
    marks = Marks(
        threshold=study.threshold,
        min_volume_mm3=study.min_volume_mm3,
        box=box,
        labels=arrays[0],
        model_labels=arrays[1],
        lesions={**reader.lesions, label: lesion},
        dismissed=reader.dismissed,
        moved=(label,),
    )
    if not study.detection.probability.members:
        return marks
    present = marks.on(study.volume.grid, reader)
    told = with_agreement({label: lesion}, present, study.detection.probability, threshold)
    return replace(marks, lesions={**marks.lesions, **told})


def _box_of_label(labels: npt.NDArray[np.uint16], label: int, bounds: Box | None) -> Box:
    """Tight box of a mark of the model, which lies where a probability is stored."""
    inner = box_of(labels[bounds] == label) if bounds is not None else None
    if inner is None or bounds is None:
        raise LesionError(f"Lesion {label} has no voxels")
    return shifted(inner, bounds)


def _grown(
    peak: tuple[int, int, int],
    probability: ProbabilityMap,
    labels: npt.NDArray[np.uint16],
    label: int,
    threshold: float,
) -> tuple[Box, BoolArray]:
    """Tight box and voxels of the component around the peak; the box that is looked at grows until it holds it."""
    level, margin = max(1, threshold_byte(threshold)), MARGIN
    while True:
        z, y, x = (
            slice(max(0, place - margin), min(n, place + margin + 1))
            for place, n in zip(peak, labels.shape, strict=True)
        )
        around = (z, y, x)
        free = (labels[around] == 0) | (labels[around] == label)
        parts = components((probability.dense(around) >= level) & free, 26)
        mask = parts == parts[tuple(i - part.start for i, part in zip(peak, around, strict=True))]
        inner = box_of(mask)
        assert inner is not None
        open_ends = (
            (i.start == 0 and a.start > 0) or (i.stop == a.stop - a.start and a.stop < n)
            for i, a, n in zip(inner, around, labels.shape, strict=True)
        )
        if not any(open_ends):
            return shifted(inner, around), mask[inner]
        margin *= 2
