"""Cases on the grid of the network, kept on disk: read once, mapped into memory by every process after that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.core.grid import require_same_grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.inference.engine import network_image, own_intensity
from napari_lesion.inference.organs import find_organ, mask_on
from napari_lesion.inference.resample import ModelFrame, to_model
from napari_lesion.io.atomic import atomic_path, write_text
from napari_lesion.io.datalist import DatalistCase
from napari_lesion.io.fingerprint import voxel_sha256
from napari_lesion.io.masks import read_labels
from napari_lesion.io.read import read_volume
from napari_lesion.training.scenes import BACKGROUND, IGNORE, LESION
from napari_lesion.training.segmenter.config import SegmenterConfig

VERSION: Final = 1
ARRAYS: Final = ("image", "label", "lesion_points", "background_points")
MAX_POINTS: Final = 200_000


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """One case as the network sees it.

    Parameters
    ----------
    case
        Entry of the datalist.
    image
        Scaled values, float16, shape (x, y, z) of the network.
    label
        `BACKGROUND`, `LESION` or `IGNORE`, uint8, of the same shape.
    lesion_points, background_points
        Flat indices of voxels that windows are centred on; background only inside the search region.
    image_sha256, label_sha256
        Hashes of the voxels of both files.
    """

    case: DatalistCase
    image: npt.NDArray[np.float16]
    label: npt.NDArray[np.uint8]
    lesion_points: npt.NDArray[np.int64]
    background_points: npt.NDArray[np.int64]
    image_sha256: str
    label_sha256: str


def prepare_cases(
    cases: Sequence[DatalistCase], config: SegmenterConfig, cache: Path, ctx: JobContext
) -> list[PreparedCase]:
    """Prepare all cases, or map those that were prepared before.

    Raises
    ------
    InputError
        When a file cannot be used, or a label map lies on another grid.
    OutputError
        When the cache cannot be written.
    """
    return [_prepared(case, config, cache) for case in ctx.track(cases, "Preparing the cases", len(cases))]


def _prepared(case: DatalistCase, config: SegmenterConfig, cache: Path) -> PreparedCase:
    folder = cache / _key(case, config)
    record = folder / "record.json"
    if not record.is_file():
        _store(folder, case, config)
    hashes = json.loads(record.read_text(encoding="utf-8"))
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    return PreparedCase(case, **arrays, **hashes)


def _key(case: DatalistCase, config: SegmenterConfig) -> str:
    """Hash of what a prepared case depends on: its files and the grid and scaling of the network."""
    states = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in case.files]
    wanted = [config.modality, config.organ, asdict(config.intensity), config.spacing_mm, config.axcodes]
    stated = json.dumps([VERSION, states, *wanted, config.lesion_from], default=str)
    return hashlib.sha256(stated.encode()).hexdigest()[:24]


def _store(folder: Path, case: DatalistCase, config: SegmenterConfig) -> None:
    """Write the arrays, and the record last: a case with a record is whole."""
    volume = read_volume(case.image, modality=Modality(config.modality))
    truth = _on_grid(case.label_file, volume)
    label = np.where(truth.array >= config.lesion_from, LESION, BACKGROUND).astype(np.uint8)
    if case.ignore is not None:
        label[(_on_grid(case.ignore, volume).array > 0) & (label == BACKGROUND)] = IGNORE
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in _on_network_grid(volume, label, config).items():
        with atomic_path(folder / f"{name}.npy") as temporary:
            np.save(temporary, array)
    hashes = {
        "image_sha256": voxel_sha256(volume),
        "label_sha256": voxel_sha256(Volume(truth.array, volume.grid)),
    }
    write_text(folder / "record.json", json.dumps(hashes) + "\n")


def _on_grid(path: Path, volume: Volume) -> LabelMap:
    labels = read_labels(path)
    require_same_grid(volume.grid, labels.grid, f"The mask {path.name}")
    return labels


def _on_network_grid(volume: Volume, label: npt.NDArray[np.uint8], config: SegmenterConfig) -> dict[str, Any]:
    """Image and label as the engine would resample them, and where windows may be centred."""
    z, y, x = (slice(0, n) for n in volume.grid.shape)
    frame = ModelFrame.of(volume.grid, (z, y, x), config.spacing_mm, config.axcodes)
    organ = find_organ(volume, config.organ, Modality(config.modality))
    intensity = own_intensity(volume, organ, config.intensity)
    image, _ = network_image(volume, frame, intensity, JobContext())
    lesion, ignored = (to_model((label == value).astype(np.float32), frame) >= 0.5 for value in (LESION, IGNORE))
    resampled = np.where(lesion, LESION, np.where(ignored, IGNORE, BACKGROUND)).astype(np.uint8)
    searched = mask_on(organ, frame.grid) & (resampled == BACKGROUND)
    parts = [np.ascontiguousarray(frame.to_input(part)) for part in (image, resampled, searched)]
    return {
        "image": parts[0].astype(np.float16),
        "label": parts[1],
        "lesion_points": _some(np.flatnonzero(parts[1] == LESION)),
        "background_points": _some(np.flatnonzero(parts[2])),
    }


def _some(points: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if len(points) <= MAX_POINTS:
        return points
    return np.sort(np.random.default_rng(0).choice(points, MAX_POINTS, replace=False))


def require_lesions(train: Sequence[PreparedCase], held_out: Sequence[PreparedCase]) -> None:
    """Refuse sides without a single lesion: nothing could be learned, or nothing be seen.

    Raises
    ------
    InputError
        When all label maps of a side are empty.
    """
    for side, words in ((train, "to train on"), (held_out, "that is held out")):
        if not any(len(case.lesion_points) for case in side):
            raise InputError(
                f"No case {words} holds a lesion",
                "all its label maps are empty at the spacing of the network",
                "Check the label maps, and lesion_from of the configuration",
            )


def data_sha256(cases: Sequence[PreparedCase]) -> str:
    """One hash over all images and label maps of a training, whatever their order."""
    pairs = sorted((case.image_sha256, case.label_sha256) for case in cases)
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()
