"""A pool of synthetic scans on disk: each names the patient in whose brain it was made.

A scan of the pool is a function of the seed and its number alone; those that are there already are kept.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_lesion.training.brain import contrast
from napari_lesion.training.brain.acquisition import Scan, scan, stored
from napari_lesion.training.brain.anatomy import Anatomy
from napari_lesion.training.brain.lesions import Placed, paint, place_lesions
from napari_lesion.training.brain.shapes import ShapeFile
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.config import CropConfig
from napari_lesion.training.detector.crops import Points
from napari_lesion.training.scenes import BACKGROUND, LESION

INDEX = "pool.jsonl"
HEAD_SHARE = 0.4
"""Share of the scans that show skull and scalp."""
SYNTHETIC, REAL = "synthetic", "real"
TISSUE = 3
"""Label of brain that is no lesion; `IGNORE` lies between."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PoolItem:
    """What is known of one scan of the pool.

    Parameters
    ----------
    name
        Name of its file.
    kind
        ``synthetic``, or ``real`` for an untouched labelled visit.
    patient
        In whose brain; empty for the template.
    masks
        Files of the lesion shapes that were set in.
    """

    name: str
    kind: str
    patient: str
    masks: tuple[str, ...] = ()


def synthesise(
    anatomy: Anatomy, shapes: Sequence[ShapeFile], seed: Sequence[int], intensity: Intensity
) -> tuple[Scan, Placed]:
    """One synthetic scan of an anatomy; the same for the same seed.

    Parameters
    ----------
    anatomy
        In whose brain.
    shapes
        Lesion masks to draw from.
    seed
        Decides everything.
    intensity
        z-scores that become 0 and 1.
    """
    rng = np.random.default_rng(list(seed))
    placed = place_lesions(anatomy, shapes, rng)
    own = anatomy.flair is not None and (anatomy.t1 is None or rng.random() < 0.7)
    image = contrast.own_flair(anatomy, rng) if own else contrast.from_t1(anatomy, rng)
    image = contrast.uneven(image, rng)
    lesions = list(placed.points)
    if not own:
        lesions += _old_lesions(anatomy)
    label = placed.mask(image.shape) | anatomy.lesion
    image = contrast.distract(image, anatomy, label, rng)
    image = paint(image, lesions, rng.uniform(0.2, 0.65), rng.uniform(0.4, 0.9), rng)
    if rng.random() < HEAD_SHARE:
        image = contrast.with_head(image, anatomy, rng)
    return scan(image, label, anatomy.brain, int(rng.integers(2**31)), intensity), placed


def _old_lesions(anatomy: Anatomy) -> list[Points]:
    """Lesions of the patient's own, which the T1 contrast does not show."""
    from napari_lesion.inference.components import components

    labels = components(anatomy.lesion, 26)
    return [np.argwhere(labels == label) for label in range(1, int(labels.max()) + 1)]


def real_scan(anatomy: Anatomy, intensity: Intensity) -> Scan:
    """The patient's own FLAIR with its labels, untouched."""
    if anatomy.flair is None:
        raise ValueError(anatomy.name)
    return Scan(stored(anatomy.flair, anatomy.brain, intensity), anatomy.lesion, anatomy.brain)


def fill_pool(
    folder: Path,
    anatomies: Sequence[Anatomy],
    shapes: Sequence[ShapeFile],
    count: int,
    config: CropConfig,
) -> None:
    """Add synthetic scans until each patient has ``count``, and the real scan of each patient's visit.

    Parameters
    ----------
    folder
        Where they lie; scans that are there are kept.
    anatomies
        Whose brains.
    shapes
        Lesion masks to draw from.
    count
        Synthetic scans of each patient, shared by the visits.
    config
        Seed, and z-scores that become 0 and 1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = {item.name for item in read_pool(folder)}
    visits = Counter(anatomy.patient for anatomy in anatomies)
    for number in range(count):
        for anatomy in anatomies:
            name = f"{anatomy.name}_{number:03d}"
            if name not in known and number * visits[anatomy.patient] < count:
                key = zlib.crc32(anatomy.name.encode())
                made, placed = synthesise(anatomy, shapes, (config.seed, key, number), config.intensity)
                _write(folder, PoolItem(name, SYNTHETIC, anatomy.patient, placed.sources), made)
    for anatomy in anatomies:
        name = f"{anatomy.name}_{REAL}"
        if anatomy.flair is not None and name not in known:
            _write(folder, PoolItem(name, REAL, anatomy.patient), real_scan(anatomy, config.intensity))


def _write(folder: Path, item: PoolItem, made: Scan) -> None:
    """Write the box of the brain with a margin, image and label as one array; then its line of the index.

    Labels are `LESION`, `TISSUE` in the rest of the brain, and 0 outside.
    """
    where = np.argwhere(made.brain)
    low, high = np.maximum(where.min(0) - 12, 0), where.max(0) + 13
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    label = np.where(made.lesion, LESION, np.where(made.brain, TISSUE, BACKGROUND)).astype(np.uint8)
    np.save(folder / f"{item.name}.npy", np.stack([made.image[box], label[box]]))
    with (folder / INDEX).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(item.__dict__) + "\n")
    log.info("%s: %d lesion voxels", item.name, int(made.lesion.sum()))


def read_pool(folder: Path) -> list[PoolItem]:
    """All scans of a pool."""
    path = folder / INDEX
    if not path.is_file():
        return []
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [PoolItem(**{**row, "masks": tuple(row["masks"])}) for row in rows]
