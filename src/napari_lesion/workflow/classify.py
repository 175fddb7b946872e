"""Rate the nodules of a chest CT as readers would: which of them can be, their sections, their ratings."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.errors import ModelError
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.rating import Rating
from napari_lesion.core.section import Section, section_of
from napari_lesion.core.table import Column
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.inference.rating.classify import Answers, Classifier, open_classifier
from napari_lesion.inference.rating.crops import plain_crop
from napari_lesion.measure.axial_slice import measure_axial_slice
from napari_lesion.measure.rating import DAMAGED, NO_LUNG, PIXELS, RATING, SIZE, THICK
from napari_lesion.measure.spec import Scale, scale_of
from napari_lesion.models.classifier import Limits, find_classifier

FloatArray = npt.NDArray[np.float32]

STAGE: Final = "Rating the nodules"

_known: WeakKeyDictionary[Volume, dict[tuple[Any, ...], Rating]] = WeakKeyDictionary()
"""Ratings by volume and by what they follow from: an export, or a stroke elsewhere, does not compute them again."""

log = logging.getLogger(__name__)


def rate_lesions(
    volume: Volume, labels: LabelMap, boxes: Mapping[int, Box], ctx: JobContext | None = None
) -> dict[int, Rating]:
    """Ratings by label, each with its probabilities or with the reason why there are none.

    Parameters
    ----------
    volume, labels
        Image and labels on one grid.
    boxes
        Native box of each label to rate.
    ctx
        Progress, and cancel before each lesion.

    Returns
    -------
    dict
        Empty on images that are not in HU, and where no classifier is installed. A label without voxels is left out.

    Raises
    ------
    JobCancelled
        When the job was asked to stop.

    Notes
    -----
    A damaged bundle costs the ratings, not the measurements: each lesion is flagged, and the log says what is wrong.
    """
    ctx = ctx or JobContext()
    if not boxes or scale_of(volume) is not Scale.HU:
        return {}
    try:
        classifier = open_classifier()
        if classifier is None:
            return {}
        return _rated(classifier, volume, labels, boxes, ctx)
    except ModelError as error:
        log.warning("%s", error)
        return {label: Rating(flag=DAMAGED) for label in boxes}


def _rated(
    classifier: Classifier, volume: Volume, labels: LabelMap, boxes: Mapping[int, Box], ctx: JobContext
) -> dict[int, Rating]:
    flag = volume_flag(volume, classifier.info.limits)
    if flag:
        return {label: Rating(flag=flag) for label in boxes}
    ratings: dict[int, Rating] = {}
    for label, box in ctx.track(boxes.items(), STAGE, len(boxes)):
        section = section_of(volume, labels, label, box)
        if section is not None:
            ratings[label] = _kept_rating(classifier, volume, section, ctx)
    return ratings


def _kept_rating(classifier: Classifier, volume: Volume, section: Section, ctx: JobContext) -> Rating:
    """The rating that was computed for this very mask of this volume before, or a new one."""
    known = _known.setdefault(volume, {})
    key = (classifier.info.identity, section.index, section.start, section.mask.shape, section.mask.tobytes())
    if key not in known:
        flag = section_flag(section, classifier)
        known[key] = Rating(flag=flag) if flag else rating_of(classifier, section, ctx)
    return known[key]


def rating_of(classifier: Classifier, section: Section, ctx: JobContext | None = None) -> Rating:
    """Rating of one lesion by its section."""
    answers = classifier.rate([plain_crop(section, classifier.spec)], section_measures(classifier, section), ctx)
    return _rating(classifier, answers)


def classifier_record(columns: Iterable[Column]) -> dict[str, str] | None:
    """Which classifier filled the columns of a table, for its record; None where they are not among them."""
    names = {spec.name for spec in RATING}
    if names.isdisjoint(column.name for column in columns):
        return None
    try:
        info = find_classifier()
        weights = info.weights_sha256 if info else ""
    except ModelError as error:
        return {"error": str(error)}
    return {"name": info.name, "version": info.version, "sha256": weights} if info else None


def section_measures(classifier: Classifier, section: Section) -> FloatArray:
    """What the trees ask for, shape (1, measure); NaN where undefined."""
    found = measure_axial_slice(section.image, section.mask, section.spacing_mm)
    return np.array([[found.get(name, math.nan) for name in classifier.info.measures]], dtype=np.float32)


def volume_flag(volume: Volume, limits: Limits) -> str:
    """Why no lesion of a volume can be rated; empty when they can."""
    grid = volume.grid
    edges = [edge for axis, edge in enumerate(grid.spacing_zyx) if axis != grid.axial_axis]
    if grid.spacing_zyx[grid.axial_axis] > limits.max_slice_spacing_mm * 1.01:
        return THICK
    return PIXELS if max(edges) > limits.max_pixel_mm * 1.01 else ""


def section_flag(section: Section, classifier: Classifier) -> str:
    """Why a lesion cannot be rated; empty when it can."""
    limits, spec = classifier.info.limits, classifier.spec
    area = float(section.mask.sum()) * math.prod(section.spacing_mm)
    smallest, largest = limits.diameter_mm
    if not smallest <= 2 * math.sqrt(area / math.pi) <= largest:
        return SIZE
    beside = section.image[_within_crop(section, spec.size * spec.pixel_mm) & ~section.mask]
    dark, bright = limits.aerated_hu
    aerated = float(((beside > dark) & (beside < bright)).mean()) if beside.size else 0.0
    return NO_LUNG if aerated < limits.min_aerated_share else ""


def _within_crop(section: Section, edge_mm: float) -> npt.NDArray[np.bool_]:
    """Pixels of a section that lie in the square that the network sees."""
    centre = np.argwhere(section.mask).mean(axis=0)
    rows, columns = (
        np.abs(np.arange(size) - middle) * edge <= edge_mm / 2
        for size, middle, edge in zip(section.image.shape, centre, section.spacing_mm, strict=True)
    )
    inside: npt.NDArray[np.bool_] = rows[:, None] & columns
    return inside


def _rating(classifier: Classifier, answers: Answers) -> Rating:
    texture = classifier.info.textures[int(answers.texture[0].argmax())]
    return Rating(float(answers.suspicious[0]), texture, float(answers.calcified[0]))
