"""Nodules with what each share of their readers outlined: cubes of 51 mm, and single slices of many more patients.

Arrays of cubes are (x, y, z) in RAS order as in `napari_lesion.training.scenes`, those of slices (x, y), all at 1 mm.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_lesion.training.cases import MIN_READERS, consensus_from
from napari_lesion.training.config import Intensity
from napari_lesion.training.folds import load_folds
from napari_lesion.training.scenes import BACKGROUND, LESION, Scene

MAX_READERS = 4
"""Rows of more readers are merged neighbours."""


@dataclass(frozen=True, eq=False)
class Nodule:
    """One nodule that two or more readers outlined.

    Parameters
    ----------
    name, patient_id
        Name; patient, by whom folds are made.
    n_readers
        Readers who outlined it.
    image
        Windowed to 0..1, float16, two or three axes, 1 mm.
    label
        `BACKGROUND`, `LESION` (at least half of the readers) or `IGNORE`, of the same shape.
    share
        Share of its readers who outlined each voxel, 0..1.
    """

    name: str
    patient_id: str
    n_readers: int
    image: npt.NDArray[np.float16]
    label: npt.NDArray[np.uint8]
    share: npt.NDArray[np.float16]

    @property
    def center(self) -> npt.NDArray[np.int64]:
        """Middle of the box around the consensus, voxels."""
        where = np.argwhere(self.label == LESION)
        middle: npt.NDArray[np.int64] = (where.min(0) + where.max(0)) // 2
        return middle


def cube_nodules(scenes: Sequence[Scene]) -> list[Nodule]:
    """Nodules of the cubes among prepared scenes that at least two readers outlined."""
    found = []
    for scene in scenes:
        n_readers = scene.case.n_readers
        if scene.case.kind == "cube" and n_readers >= MIN_READERS and (scene.label == LESION).any():
            share = _cube_share(scene)
            found.append(Nodule(scene.case.name, scene.case.patient_id, n_readers, scene.image, scene.label, share))
    return found


def _cube_share(scene: Scene) -> npt.NDArray[np.float16]:
    import nibabel

    mask = nibabel.as_closest_canonical(nibabel.load(str(scene.case.mask)))
    count = np.minimum(np.asarray(mask.dataobj), scene.case.n_readers)
    if count.shape != scene.label.shape:
        raise ValueError(f"{scene.case.name}: the mask is not on the 1 mm grid of its scene")
    share: npt.NDArray[np.float16] = (count / scene.case.n_readers).astype(np.float16)
    return share


def slice_nodules(folder: Path, intensity: Intensity) -> Iterator[Nodule]:
    """Yield the slices of ``lidc_slices`` at 1 mm, without those whose readers agree on no voxel.

    Parameters
    ----------
    folder
        ``lidc_slices``, with ``slices.csv`` and ``slices_*.npz``.
    intensity
        HU window.
    """
    with (folder / "slices.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    shards = {
        shard: dict(np.load(folder / f"slices_{shard}.npz")) for shard in sorted({row["shard"] for row in rows})
    }
    for row in rows:
        n_readers = int(row["n_readers"])
        if not MIN_READERS <= n_readers <= MAX_READERS:
            continue
        shard, place = shards[row["shard"]], int(row["row"])
        bits = np.unpackbits(shard["readers"][place][..., None], axis=-1)
        nodule = _slice_nodule(row, shard["image"][place], bits, intensity)
        if (nodule.label == LESION).any():
            yield nodule


def _slice_nodule(
    row: dict[str, str], hu: npt.NDArray[np.int16], bits: npt.NDArray[np.uint8], intensity: Intensity
) -> Nodule:
    from scipy.ndimage import zoom

    factor = float(row["pixel_spacing_mm"])
    n_readers = int(row["n_readers"])
    count = bits.sum(-1)
    image = np.clip((hu - np.float32(intensity.a_min)) / (intensity.a_max - intensity.a_min), 0, 1)
    # Rows of a DICOM slice run to posterior and columns to left: transposed and flipped they are RAS.
    ras = [np.ascontiguousarray(array.T[::-1, ::-1], dtype=np.float32) for array in (image, count)]
    image, count = (zoom(array, factor, order=1, mode="nearest", grid_mode=True) for array in ras)
    agreed = zoom(
        (ras[1] >= consensus_from(n_readers)).astype(np.float32), factor, order=1, mode="nearest", grid_mode=True
    )
    return Nodule(
        name=row["lidc_nodule"],
        patient_id=row["patient_id"],
        n_readers=n_readers,
        image=image.astype(np.float16),
        label=np.where(agreed >= 0.5, LESION, BACKGROUND).astype(np.uint8),
        share=(count / n_readers).astype(np.float16),
    )


def split(nodules: Sequence[Nodule], fold: int | None) -> tuple[list[Nodule], list[Nodule]]:
    """Divide nodules into those to train on and those of the fold that is held out; None holds none out."""
    folds = load_folds()
    train: list[Nodule] = []
    held: list[Nodule] = []
    for nodule in nodules:
        out = folds.held_out(nodule.patient_id, -1 if fold is None else fold)
        (held if out else train).append(nodule)
    return train, held


def reader_dice(nodule: Nodule) -> float:
    """Dice of the readers of one nodule against each other, from the share alone.

    Notes
    -----
    With c of n readers at a voxel, the common voxels of all pairs of readers sum up to the sum of c (c - 1) / 2, and
    their sizes to (n - 1) times the sum of c. This is the Dice of all pairs pooled.
    """
    count = np.rint(nodule.share.astype(np.float64) * nodule.n_readers)
    total = count.sum()
    return float((count * (count - 1)).sum() / ((nodule.n_readers - 1) * total)) if total else math.nan
