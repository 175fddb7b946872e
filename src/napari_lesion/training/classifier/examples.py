"""Write the rated nodules that a classifier's bundle shows beside a lesion.

``python -m napari_lesion.training.classifier.examples --data DATA --run DIR --bundle BUNDLE``
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from napari_lesion.inference.rating.crops import CropSpec
from napari_lesion.inference.rating.examples import EXAMPLES, Examples, penultimate, picture_of
from napari_lesion.models.classifier import ClassifierInfo, load_members, read_classifier
from napari_lesion.training.classifier.crops import crop_source, plain_crops
from napari_lesion.training.classifier.measured import Measures, measure_slices
from napari_lesion.training.classifier.slices import NoduleSlice, load_slices

DIRECTIONS = 32
"""Directions of largest variance in which features are compared."""
BACKGROUND = 64
"""Lesions that a score is compared with."""
SEED = 2026
LEAST_SPREAD = 1e-4
BATCH = 64

FloatArray = npt.NDArray[np.float32]

log = logging.getLogger(__name__)


def make_examples(nodules: Sequence[NoduleSlice], measures: Measures, info: ClassifierInfo) -> Examples:
    """Examples from all nodules of three and four readers.

    Parameters
    ----------
    nodules, measures
        All nodules of one image size, and their measures.
    info
        The bundle whose networks compare them.
    """
    agreed = np.flatnonzero([nodule.agreed and bool(nodule.ratings["malignancy"]) for nodule in nodules])
    chosen = [nodules[int(place)] for place in agreed]
    source, spec = crop_source(chosen), CropSpec(info.size, info.pixel_mm, info.a_min, info.a_max)
    members = load_members(info)
    features, pictures = [], []
    for start in range(0, len(chosen), BATCH):
        crops = plain_crops(source, spec, np.arange(start, min(start + BATCH, len(chosen)))).numpy()
        features.append(penultimate(members, crops))
        pictures += [picture_of(crop, info.a_min, info.a_max) for crop in crops]
    every = np.concatenate(features)
    mean, components = principal_directions(every, DIRECTIONS)
    columns = [measures.names.index(name) for name in info.measures]
    drawn = np.random.default_rng(SEED).choice(agreed, size=min(BACKGROUND, len(agreed)), replace=False)
    return Examples(
        mean=mean,
        components=components,
        features=((every - mean) @ components.T).astype(np.float32),
        pictures=np.stack(pictures),
        patients=np.array([nodule.patient_id for nodule in chosen]),
        malignancy=np.array([_votes(nodule, "malignancy") for nodule in chosen]),
        texture=np.array([_votes(nodule, "texture") for nodule in chosen]),
        background=measures.values[np.sort(drawn)][:, columns],
    )


def principal_directions(features: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Mean, and directions of largest variance after every feature was brought to a variance of one.

    The second, shape (direction, feature), holds that division already.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread < LEAST_SPREAD] = np.inf  # a feature that never varies says nothing
    _, _, directions = np.linalg.svd((features - mean) / spread, full_matrices=False)
    return mean.astype(np.float32), (directions[:count] / spread).astype(np.float32)


def _votes(nodule: NoduleSlice, rating: str) -> str:
    return ";".join(map(str, nodule.ratings[rating]))


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_slices.")],
    run: Annotated[Path, typer.Option(help="Folder of the run, with its measures.")],
    bundle: Annotated[Path, typer.Option(help="Bundle of the run; the examples are added to it.")],
) -> None:
    """Add the examples to a bundle."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    nodules = load_slices(data)
    examples = make_examples(nodules, measure_slices(nodules, run / "measures.npz"), read_classifier(bundle))
    np.savez_compressed(bundle / EXAMPLES, allow_pickle=False, **examples.to_arrays())
    log.info("%d examples, %.1f MB", len(examples.pictures), (bundle / EXAMPLES).stat().st_size / 1e6)


if __name__ == "__main__":
    typer.run(main)
