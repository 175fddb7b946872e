"""Why a nodule was rated as it was: where in the image, which measurements, and rated nodules that look alike.

Everything here explains the classifier, not the patient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.section import Section, section_of
from napari_lesion.core.table import Row
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.inference.rating.classify import Classifier, open_classifier
from napari_lesion.inference.rating.crops import crop_places, plain_crop
from napari_lesion.inference.rating.drivers import shapley_values
from napari_lesion.inference.rating.examples import Examples, load_examples, penultimate, picture_of
from napari_lesion.inference.rating.maps import grad_cam, occlusion
from napari_lesion.io.patient import pseudonym_of_patient
from napari_lesion.measure.rating import WHY_NOT
from napari_lesion.measure.registry import FEATURES
from napari_lesion.measure.spec import Scale
from napari_lesion.models.classifier import load_members
from napari_lesion.workflow.classify import rating_of, section_flag, section_measures, volume_flag
from napari_lesion.workflow.columns import family_of
from napari_lesion.workflow.rating_words import CALCIFIED, SUSPICIOUS, TEXTURE, rating_sentences
from napari_lesion.workflow.selected import box_of_row
from napari_lesion.workflow.study import Study

FloatArray = npt.NDArray[np.float32]

GRAD_CAM, OCCLUSION = "Grad-CAM", "Occlusion"
STAGE = "Explaining the rating"
STEPS = 4
DRIVERS = 6
"""Measurements that are named."""
NEIGHBOURS = 5


@dataclass(frozen=True, eq=False)
class HeatMap:
    """A map over one slice of the volume.

    Parameters
    ----------
    name
        What made it.
    box
        Native box (z, y, x) that it fills.
    array
        0 to 1, shape of the box.
    """

    name: str
    box: Box
    array: FloatArray


@dataclass(frozen=True)
class Driver:
    """What one measurement adds to the expected rating.

    Parameters
    ----------
    name, title
        Column, and its words.
    value, unit
        The measurement on the slice; NaN where undefined.
    effect
        Points of the readers' scale from 1 to 5.
    """

    name: str
    title: str
    value: float
    unit: str
    effect: float


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A rated nodule of the training set.

    Parameters
    ----------
    picture
        0 to 255, shape (row, column).
    patient
        LIDC-IDRI patient.
    malignancy, texture
        Ratings of its readers, 1 to 5.
    """

    picture: npt.NDArray[np.uint8]
    patient: str
    malignancy: tuple[int, ...]
    texture: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a lesion was rated as it was.

    Parameters
    ----------
    label
        The lesion.
    sentences
        The rating.
    maps
        Heat maps by name.
    expected, typical
        Mean rating, 1 to 5, that the measurements alone predict, and the mean of that over the lesions of comparison.
    drivers
        The measurements that move it most, the largest first.
    families
        What the measurements of each family add together, the largest first; with ``typical`` they sum to
        ``expected``. Measurements that say the same share what they add, so that families say more than single ones.
    neighbours
        Nodules that the networks find alike, the nearest first.
    """

    label: int
    sentences: tuple[str, ...]
    maps: Mapping[str, HeatMap]
    expected: float
    typical: float
    drivers: tuple[Driver, ...]
    families: tuple[tuple[str, float], ...]
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, eq=False)
class ExplainRequest:
    """What to explain, as it stood when the job was asked for.

    Parameters
    ----------
    volume, labels
        Image and labels.
    label
        The lesion.
    box
        Native box (z, y, x) of its voxels.
    patient
        Keyed hash of the patient: nodules of the same one are not shown beside; empty when unknown.
    """

    volume: Volume
    labels: LabelMap
    label: int
    box: Box
    patient: str = field(default="")


def explain_request(study: Study, label: int) -> ExplainRequest | None:
    """Request to explain the rating of a lesion; None as long as it has not been measured."""
    box = box_of_row(study.table.rows.get(label, {}))
    if box is None:
        return None
    return ExplainRequest(study.volume, study.labels, label, box, str(study.volume.source.headers.get("patient", "")))


def explain_lesion(request: ExplainRequest, ctx: JobContext | None = None) -> Explanation:
    """Explain the rating of a lesion.

    Raises
    ------
    LesionError
        When the lesion is not one that is rated.
    ModelError
        When the bundle of the classifier is damaged.
    JobCancelled
        When the job was asked to stop.
    """
    ctx = ctx or JobContext()
    ctx.step(STAGE, 0, STEPS)
    classifier, section = _ready(request)
    crop, measures = plain_crop(section, classifier.spec), section_measures(classifier, section)
    rating = rating_of(classifier, section, ctx)
    row: Row = {SUSPICIOUS: rating.suspicious, TEXTURE: rating.texture, CALCIFIED: rating.calcified}
    examples = load_examples(classifier.info)
    ctx.step(STAGE, 1, STEPS)
    maps = {
        name: HeatMap(name, section.box, _on_section(section, classifier, make(load_members(classifier.info), crop)))
        for name, make in ((GRAD_CAM, grad_cam), (OCCLUSION, occlusion))
    }
    ctx.step(STAGE, 2, STEPS)
    expected, typical, effects = _effects(classifier, measures, examples)
    largest = [int(place) for place in np.argsort(-np.abs(effects))[:DRIVERS] if effects[place]]
    drivers = tuple(_driver(classifier.info.measures[k], float(measures[0, k]), float(effects[k])) for k in largest)
    ctx.step(STAGE, 3, STEPS)
    neighbours = _neighbours(classifier, examples, crop, request.patient) if examples else ()
    ctx.step(STAGE, STEPS, STEPS)
    families = _by_family(classifier.info.measures, effects)
    return Explanation(request.label, rating_sentences(row), maps, expected, typical, drivers, families, neighbours)


def _ready(request: ExplainRequest) -> tuple[Classifier, Section]:
    """The classifier and the section of a lesion that can be rated."""
    what = f"The rating of lesion {request.label} cannot be explained"
    classifier = open_classifier()
    if classifier is None:
        raise LesionError(what, "no classifier is installed", "Install lung_nodule_classifier")
    section = section_of(request.volume, request.labels, request.label, request.box)
    if section is None:
        raise LesionError(what, "it has no voxels")
    flag = volume_flag(request.volume, classifier.info.limits) or section_flag(section, classifier)
    if flag:
        raise LesionError(what, WHY_NOT[flag])
    return classifier, section


def _on_section(section: Section, classifier: Classifier, heat: FloatArray) -> FloatArray:
    """A map of the crop on the native pixels of the section, as an array that fills its box; 0 beside the crop."""
    from scipy.ndimage import map_coordinates

    places = [
        np.interp(np.arange(size), line, np.arange(len(line)), left=-2.0, right=-2.0)
        for size, line in zip(section.image.shape, crop_places(section, classifier.spec), strict=True)
    ]
    grid = np.meshgrid(*places, indexing="ij")
    native: FloatArray = section.to_native(map_coordinates(heat, grid, order=1, mode="constant").astype(np.float32))
    return native


def _effects(
    classifier: Classifier, measures: FloatArray, examples: Examples | None
) -> tuple[float, float, npt.NDArray[np.float64]]:
    """Expected rating of the trees, its mean over the lesions of comparison, and the share of each measurement."""
    members = [member.malignancy for member in classifier.trees]
    expected = float(np.mean([trees(measures)[0, 0] for trees in members]))
    if examples is None:
        return expected, expected, np.zeros(measures.shape[1])
    typical = float(np.mean([trees(examples.background)[:, 0].mean() for trees in members]))
    effects = np.mean([shapley_values(trees, measures[0], examples.background) for trees in members], axis=0)
    return expected, typical, effects


def _driver(name: str, value: float, effect: float) -> Driver:
    title, unit = _words().get(name, (name, ""))
    return Driver(name, title, value, unit, effect)


def _by_family(names: Sequence[str], effects: npt.NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
    sums: dict[str, float] = {}
    for name, effect in zip(names, effects, strict=True):
        family = family_of(name)
        sums[family] = sums.get(family, 0.0) + float(effect)
    return tuple(sorted(sums.items(), key=lambda item: -abs(item[1])))


@cache
def _words() -> dict[str, tuple[str, str]]:
    columns = [spec.column(Scale.HU) for spec in FEATURES if spec.applies_to(Scale.HU)]
    return {column.name: (column.title or column.name, column.unit) for column in columns}


def _neighbours(classifier: Classifier, examples: Examples, crop: FloatArray, patient: str) -> tuple[Neighbour, ...]:
    feature = penultimate(load_members(classifier.info), crop[None])[0]
    picture = picture_of(crop, classifier.spec.a_min, classifier.spec.a_max)
    places = examples.nearest(feature, picture, NEIGHBOURS, _same_patient(patient))
    return tuple(
        Neighbour(
            examples.pictures[k],
            str(examples.patients[k]),
            _votes(str(examples.malignancy[k])),
            _votes(str(examples.texture[k])),
        )
        for k in places
    )


def _same_patient(pseudonym: str) -> Callable[[str], bool]:
    """Whether a patient of the training set is the one of the study, of whom only a keyed hash is known."""
    return lambda patient: bool(pseudonym) and pseudonym_of_patient(patient) == pseudonym


def _votes(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(";") if word)


def driver_words(driver: Driver) -> str:
    """One line for people: effect, measurement and its value."""
    value = "undefined" if math.isnan(driver.value) else f"{driver.value:,.3g} {driver.unit}".strip()
    return f"{effect_words(driver.effect)}  {driver.title}, {value}"


def effect_words(effect: float) -> str:
    """Points of the readers' scale with their sign."""
    return f"{effect:+.2f}".replace("-", "−")
