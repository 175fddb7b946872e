"""A bundle made by others, as a prediction that the rest of the program takes."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.probability import ProbabilityMap, to_bytes
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.inference.backends.choose import chosen
from napari_lesion.inference.bundles.outputs import Boxed, BundleOutput, Scored, Segmented
from napari_lesion.inference.bundles.run import run_bundle
from napari_lesion.inference.components import components
from napari_lesion.inference.engine import Prediction
from napari_lesion.inference.ports import OrganMask
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.config.reading import read_configuration

LESION_WORDS: Final = re.compile(
    r"lesion|nodul|tumou?r|cancer|metasta|cyst|stroke|infarct|mass|polyp|haemorrhage|hemorrhage|plaque|oedema|edema",
    re.IGNORECASE,
)
"""Class names of which every connected part is a lesion of its own; another class is one row."""
MAX_LABEL: Final = np.iinfo(np.uint16).max


def predict_foreign(
    volumes: Sequence[Volume], bundle: BundleInfo, settings: EngineSettings, ctx: JobContext | None = None
) -> Prediction:
    """Run a bundle made by others over the images of one study.

    Parameters
    ----------
    volumes
        One volume a channel of the network, all on one grid.
    bundle
        The model.
    settings
        Device.
    ctx
        Progress by window, and cancel within one.

    Raises
    ------
    ModelError
        When it is refused, needs trust, needs other images, or fails.
    JobCancelled
        When the job was asked to stop.
    """
    began = time.perf_counter()
    device = "cuda" if chosen(settings)[0].startswith("cuda") else "cpu"
    output = run_bundle(volumes, read_configuration(bundle.path), device, ctx)
    prediction = Prediction(
        ProbabilityMap(volumes[0].grid),
        OrganMask.whole(volumes[0].grid, "", "The whole image was searched by the model's own steps"),
        windows=0,
        seconds={"bundle": time.perf_counter() - began},
        device=device,
        backend="MONAI",
        precision="",  # its own steps decide
    )
    return _understood(prediction, output, volumes[0].grid)


def _understood(prediction: Prediction, output: BundleOutput, grid: Grid) -> Prediction:
    """The prediction with what the bundle gave."""
    if isinstance(output, Scored):
        return replace(prediction, labels=LabelMap.empty(grid), scores=output.named, notes=(_score_words(output),))
    if isinstance(output, Boxed):
        labels, lesions = ellipsoids(output, grid)
        note = "The model gives boxes, not outlines: each is shown as the ellipsoid inside its box."
        return replace(prediction, labels=labels, lesions=lesions, notes=(note,))
    if output.probability is not None and len(output.classes) == 1:
        return replace(prediction, probability=ProbabilityMap.from_dense(to_bytes(output.probability[0]), grid))
    labels, lesions = class_marks(output, grid)
    return replace(prediction, labels=labels, lesions=lesions)


def _score_words(output: Scored) -> str:
    named = (f"{name} {score:.3f}" for name, score in output.named.items())
    return "Scores of the model for the whole image: " + ", ".join(named) + "."


def class_marks(output: Segmented, grid: Grid) -> tuple[LabelMap, dict[int, Lesion]]:
    """Lesions of a segmentation with classes: each part of a lesion class, each other class as a whole.

    Parameters
    ----------
    output
        Classes on the native grid.
    grid
        Native grid.

    Returns
    -------
    tuple
        Label map, and one lesion a label whose ``finding`` is the name of its class.
    """
    from scipy.ndimage import find_objects

    labels = np.zeros(grid.shape, dtype=np.uint16)
    lesions: dict[int, Lesion] = {}
    for number in (int(value) for value in np.unique(output.labels) if value):
        mask = output.labels == number
        name = output.meanings.get(number, f"class {number}")
        parts = components(mask, 26) if LESION_WORDS.search(name) else mask.astype(np.uint32)
        boxes = find_objects(parts)[: MAX_LABEL - len(lesions)]
        for part, box in enumerate(boxes, start=1):
            label = len(lesions) + 1
            inside = parts[box] == part
            labels[box][inside] = label
            probability = _probability(output, number, box, inside)
            lesions[label] = Lesion(label, Status.MODEL, probability, finding=name)
    return LabelMap(labels, grid), lesions


def _probability(output: Segmented, number: int, box: tuple[slice, ...], inside: npt.NDArray[np.bool_]) -> float:
    if output.probability is None or number not in output.classes:
        return float("nan")
    return float(output.probability[output.classes.index(number)][box][inside].max())


def ellipsoids(output: Boxed, grid: Grid) -> tuple[LabelMap, dict[int, Lesion]]:
    """The ellipsoid inside each box, the best score last drawn; a box without a voxel marks the nearest one."""
    labels = np.zeros(grid.shape, dtype=np.uint16)
    lesions: dict[int, Lesion] = {}
    order = np.argsort(-output.scores, kind="stable")
    for label, which in reversed(list(enumerate(order, start=1))):
        _draw(labels, label, output.centres[which], output.sizes[which], grid)
    present = set(np.unique(labels).tolist())
    for label, which in enumerate(order, start=1):
        if label in present:
            lesions[label] = Lesion(label, Status.MODEL, float(output.scores[which]))
    return LabelMap(labels, grid), lesions


def _draw(
    labels: npt.NDArray[np.uint16],
    label: int,
    centre: npt.NDArray[np.float64],
    size: npt.NDArray[np.float64],
    grid: Grid,
) -> None:
    half = np.maximum(size, 1e-3) / 2
    corners = np.array(np.meshgrid(*([-1, 1],) * 3)).reshape(3, -1).T * half + centre
    index = grid.to_index(corners)
    low = np.clip(np.floor(index.min(axis=0)).astype(int), 0, np.array(grid.shape) - 1)
    high = np.clip(np.ceil(index.max(axis=0)).astype(int), 0, np.array(grid.shape) - 1)
    box = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
    places = np.stack(np.meshgrid(*(np.arange(p.start, p.stop) for p in box), indexing="ij"), axis=-1)
    distance = (((grid.to_physical(places.reshape(-1, 3)) - centre) / half) ** 2).sum(axis=1)
    inside = (distance <= 1).reshape(places.shape[:3])
    if not inside.any():
        inside.flat[int(distance.argmin())] = True
    labels[box][inside] = label
