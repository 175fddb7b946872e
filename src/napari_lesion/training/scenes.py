"""Cases as the network sees them: 1 mm, RAS, windowed, with lesion, background and what to ignore.

Arrays here are (x, y, z), increasing to right, anterior and superior, as MONAI's ``Orientationd``
with ``axcodes="RAS"`` gives them.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_lesion.training.cases import Case
from napari_lesion.training.config import Intensity

if TYPE_CHECKING:
    import torch

BACKGROUND, LESION, IGNORE = 0, 1, 2

LUNG_HU = -400.0
LUNG_CLOSING_MM = 8.0
MIN_LUNG_MM3 = 100_000
MAX_POINTS = 20_000

SCENE_VERSION = 1
ARRAYS = ("image", "label", "lung", "lesion_points", "background_points")

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scene:
    """One prepared case.

    Parameters
    ----------
    case
        Where it came from.
    image
        Windowed to 0..1, float16, shape (x, y, z), 1 mm voxels.
    label
        `BACKGROUND`, `LESION` or `IGNORE`, uint8, of the same shape.
    lung
        Where a lesion is looked for: closed lungs in a scan, everything in a cube or slab.
    lesion_points, background_points
        Voxels (n, 3) that patches are centred on.
    """

    case: Case
    image: npt.NDArray[np.float16]
    label: npt.NDArray[np.uint8]
    lung: BoolArray
    lesion_points: npt.NDArray[np.int64]
    background_points: npt.NDArray[np.int64]


def load_scene(case: Case, intensity: Intensity, seed: int = 0) -> Scene:
    """Read and prepare one case with MONAI's transforms.

    Parameters
    ----------
    case
        What to read.
    intensity
        HU window.
    seed
        Seed of the draw of background points.
    """
    keys = ["image"] if case.mask is None else ["image", "mask"]
    prepare = _preparation(keys, intensity)
    item = prepare({key: str(getattr(case, key)) for key in keys})
    image = item["image"][0].numpy()
    readers = item["mask"][0].numpy() if case.mask else np.zeros(image.shape, np.float32)
    affine = np.asarray(item["image"].affine, dtype=np.float64)  # type: ignore[attr-defined]
    label = label_voxels(case, readers, affine)
    lung = lung_region(image, intensity) if case.kind == "scan" else np.ones(image.shape, dtype=bool)
    return Scene(
        case,
        image.astype(np.float16),
        label,
        lung,
        np.argwhere(label == LESION),
        _draw_points(lung & (label == BACKGROUND), seed),
    )


def _preparation(keys: Sequence[str], intensity: Intensity) -> Callable[[dict[str, str]], dict[str, torch.Tensor]]:
    from monai import transforms as mt

    with warnings.catch_warnings():
        # LoadImage makes one of every reader; that of nvImageCodec complains where it is not installed.
        warnings.filterwarnings("ignore", "NvImgCodecPydicomReader", UserWarning)
        load = mt.LoadImaged(keys, reader="NibabelReader")
    prepare: Callable[[dict[str, str]], dict[str, torch.Tensor]] = mt.Compose(
        [
            load,
            mt.EnsureChannelFirstd(keys),
            mt.Orientationd(keys, axcodes="RAS", labels=None),
            mt.Spacingd(keys, pixdim=(1.0, 1.0, 1.0), mode=["bilinear", "nearest"][: len(keys)]),
            mt.ScaleIntensityRanged("image", intensity.a_min, intensity.a_max, 0.0, 1.0, clip=True),
        ]
    )
    return prepare


def load_scenes(cases: Sequence[Case], intensity: Intensity, cache: Path | None = None) -> list[Scene]:
    """Prepare all cases; they stay in memory (about 1 GiB for everything there is).

    Parameters
    ----------
    cases
        What to read.
    intensity
        HU window.
    cache
        Folder that prepared scenes are kept in, one file a case; None keeps nothing.
    """
    scenes = []
    for case in cases:
        key = hashlib.sha256(repr((SCENE_VERSION, case, intensity)).encode()).hexdigest()[:16]
        path = cache / f"{case.name}-{key}.npz" if cache else None
        if path is not None and path.is_file():
            with np.load(path) as stored:
                scenes.append(Scene(case, **stored))
            continue
        scenes.append(load_scene(case, intensity))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, **{name: getattr(scenes[-1], name) for name in ARRAYS})
    return scenes


def label_voxels(case: Case, readers: FloatArray, affine_ras: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Turn reader counts into lesion, background and ignored voxels.

    Parameters
    ----------
    case
        Tells from which count a voxel is lesion, and what is doubtful.
    readers
        Number of readers a voxel, shape (x, y, z), 1 mm voxels.
    affine_ras
        4x4 matrix from voxel index to RAS mm.

    Returns
    -------
    ndarray of uint8
        `LESION` where the consensus is; `IGNORE` within the margin of any mark and in doubtful
        spheres; else `BACKGROUND`.
    """
    import edt

    label = np.zeros(readers.shape, dtype=np.uint8)
    marked = readers > 0
    if case.margin_mm > 0 and marked.any():
        label[edt.edt(~marked) <= case.margin_mm] = IGNORE
    inverse = np.linalg.inv(affine_ras)
    for sphere in case.doubtful:
        x, y, z = sphere.center
        center = (inverse @ np.array([-x, -y, z, 1.0]))[:3]
        fill_sphere(label, center, sphere.radius_mm)
    label[readers >= case.lesion_from] = LESION
    return label


def fill_sphere(label: npt.NDArray[np.uint8], center: npt.NDArray[np.float64], radius: float) -> None:
    """Set a sphere to `IGNORE` in place; centre and radius in voxels, parts outside are cut off."""
    low = np.maximum(np.floor(center - radius), 0).astype(int)
    high = np.minimum(np.ceil(center + radius) + 1, label.shape).astype(int)
    if np.any(high <= low):
        return
    axes = [np.arange(a, b) - c for a, b, c in zip(low, high, center, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    box = label[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    box[x**2 + y**2 + z**2 <= radius**2] = IGNORE


def lung_region(image: FloatArray, intensity: Intensity) -> BoolArray:
    """Find the lungs of a windowed 1 mm image by threshold, and close them over vessels and nodules.

    Air that reaches the left, right, front or back face lies outside the body. The closing (8 mm)
    takes in nodules that touch the chest wall.
    """
    import cc3d
    import edt

    air = image < intensity.scaled(LUNG_HU)
    labels, count = cc3d.connected_components(air, connectivity=6, return_N=True)
    volumes = np.bincount(labels.ravel(), minlength=count + 1)
    faces = np.concatenate([labels[[0, -1]].ravel(), labels[:, [0, -1]].ravel()])
    keep = volumes >= MIN_LUNG_MM3
    keep[np.unique(faces)] = False
    keep[0] = False
    lung = np.pad(keep[labels], int(LUNG_CLOSING_MM) + 1)
    grown = edt.edt(~lung) <= LUNG_CLOSING_MM
    closed = edt.edt(grown) > LUNG_CLOSING_MM
    inner = slice(int(LUNG_CLOSING_MM) + 1, -int(LUNG_CLOSING_MM) - 1)
    region: BoolArray = (closed | lung)[inner, inner, inner]
    return region


def _draw_points(where: BoolArray, seed: int) -> npt.NDArray[np.int64]:
    points = np.argwhere(where)
    if len(points) > MAX_POINTS:
        points = points[np.random.default_rng(seed).choice(len(points), MAX_POINTS, replace=False)]
    return points
