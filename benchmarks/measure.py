"""Measure 100 lesions of a 300x512x512 volume, beside what other libraries take for the same volume.

    python benchmarks/measure.py [--json FILE] [--quick] [--alone]

Diameters are log-uniform from 4 to 40 mm, one lesion has 120 mm, some touch. All core columns are measured with and
without the family of the boundary; importing and reading the two files are timed apart. Each ratio is the processor
time of the other library for each of its columns over ours for each of ours, on the same arrays. PyRadiomics, when it
is installed, gets a few lesions, each in a crop and in the whole volume, and its time is scaled to all of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.io.read import read_volume
from napari_lesion.measure.boxes import find_boxes
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.registry import CORE, FEATURES
from napari_lesion.measure.spec import Family, Scale

SPACING = (0.7, 0.7, 1.0)
SHAPE = (300, 512, 512)
LESIONS = 100
RADIOMICS_LESIONS = 5


def make_scene(shape: tuple[int, int, int] = SHAPE, lesions: int = LESIONS, seed: int = 8) -> tuple[Volume, LabelMap]:
    """Ellipsoids in noise; every eighth one touches the one before it."""
    random = np.random.default_rng(seed)
    grid = Grid((shape[2], shape[1], shape[0]), SPACING)
    image = np.clip(random.standard_normal(shape, dtype=np.float32) * 40 - 800, -1024, 3071).astype(np.int16)
    labels = np.zeros(shape, dtype=np.uint16)
    big = min(120.0, 0.9 * min(n * s for n, s in zip(shape, grid.spacing_zyx, strict=True)))
    diameters = [big, *np.exp(random.uniform(np.log(4), np.log(40), lesions - 1))]
    last = np.zeros(3)
    for label, diameter in enumerate(diameters, start=1):
        for attempt in range(200):
            extent = np.array(shape) * grid.spacing_zyx
            centre = random.uniform(diameter / 2 + 2, extent - diameter / 2 - 2)
            if label % 8 == 0 and attempt < 20:
                centre = last + random.uniform(-1, 1, 3) * diameter
            if _draw(image, labels, label, centre, diameter, random):
                last = centre
                break
    return Volume(image, grid, Modality.CT), LabelMap(labels, grid)


def _draw(
    image: npt.NDArray[np.int16],
    labels: npt.NDArray[np.uint16],
    label: int,
    centre: npt.NDArray[np.float64],
    diameter: float,
    random: np.random.Generator,
) -> bool:
    """Draw one ellipsoid unless most of its place is taken or it leaves the volume."""
    spacing = np.array(SPACING[::-1])
    low = np.floor((centre - diameter / 2) / spacing).astype(int) - 1
    high = np.ceil((centre + diameter / 2) / spacing).astype(int) + 2
    if low.min() < 1 or (high > np.array(labels.shape) - 1).any():
        return False
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    axes = diameter / 2 * np.array([1.0, *random.uniform(0.6, 1.0, 2)])
    turn, _ = np.linalg.qr(random.standard_normal((3, 3)))
    place = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), -1)
    inside = (((place * spacing - centre) @ turn / axes) ** 2).sum(-1) <= 1
    free = inside & (labels[box] == 0)
    if free.sum() < 0.8 * inside.sum():
        return False
    labels[box][free] = label
    image[box][free] = (random.standard_normal(int(free.sum())) * 40 + random.uniform(-600, 100)).astype(np.int16)
    return True


@dataclass(frozen=True)
class Took:
    """Wall and processor time, seconds, and the result."""

    wall: float
    cpu: float
    result: Any


def best_of(function: Callable[[], Any], repeats: int = 3) -> Took:
    """Shortest wall and processor time of a few runs; on a shared machine the latter is the one to compare."""
    walls, cpus, result = [], [], None
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Took(min(walls), min(cpus), result)


def ours(volume: Volume, labels: LabelMap) -> dict[str, Any]:
    """All core columns with and without the boundary; one lesion again with its box; memory beyond image and mask."""
    warm = Grid((8, 8, 8), SPACING)
    speck = np.zeros((8, 8, 8), dtype=np.uint16)
    speck[2:6, 2:6, 2:6] = 1
    began = time.perf_counter()
    measure_lesions(Volume(speck.astype(np.int16), warm, Modality.CT), LabelMap(speck, warm))
    figures: dict[str, Any] = {"imports_s": time.perf_counter() - began, "reading_s": reading(volume, labels)}
    core = [spec for spec in FEATURES if not spec.optional and spec.applies_to(Scale.HU)]
    names = tuple(spec.column_name(Scale.HU) for spec in core if spec.family is not Family.BOUNDARY)
    for what, features in (("without_boundary", names), ("with_boundary", (CORE,))):
        took = best_of(lambda features=features: measure_lesions(volume, labels, MeasureRequest(features=features)))
        figures |= {f"{what}_wall_s": took.wall, f"{what}_cpu_s": took.cpu}
        figures[f"{what}_columns"] = len(took.result.columns)
    figures["lesions"] = len(took.result.rows)
    single = np.array([again(volume, labels, *one) for one in find_boxes(labels.array).items()]) * 1e3
    for name, milliseconds in zip(("wall", "cpu"), single.T, strict=True):
        figures[f"one_lesion_median_{name}_ms"] = float(np.median(milliseconds))
        figures[f"one_lesion_p95_{name}_ms"] = float(np.percentile(milliseconds, 95))
        figures[f"one_lesion_largest_{name}_ms"] = float(milliseconds.max())
    tracemalloc.start()
    measure_lesions(volume, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held = volume.array.nbytes + labels.array.nbytes
    figures["peak_allocation_percent_of_image_and_mask"] = 100.0 * peak / held
    return figures


def again(volume: Volume, labels: LabelMap, label: int, box: Box) -> tuple[float, float]:
    """Wall and processor time, seconds, of all core columns of one lesion whose box is known."""
    request = MeasureRequest(only=frozenset({label}), boxes={label: box})
    took = best_of(lambda: measure_lesions(volume, labels, request))
    return took.wall, took.cpu


def reading(volume: Volume, labels: LabelMap) -> float:
    """Seconds to read image and mask from NIfTI files that are not compressed."""
    import SimpleITK as sitk

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("image.nii", "mask.nii")]
        for path, array in zip(paths, (volume.array, labels.array), strict=True):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing(volume.grid.spacing)
            sitk.WriteImage(image, str(path))
        began = time.perf_counter()
        for path in paths:
            read_volume(path)
        return time.perf_counter() - began


@dataclass(frozen=True)
class Peer:
    """A job of another library, how many columns it delivers, and by how much its time is to be scaled."""

    job: Callable[[], None]
    columns: int
    scale: float = 1.0


def peers(volume: Volume, labels: LabelMap) -> dict[str, Peer]:
    """Jobs of other libraries on the same arrays."""
    import SimpleITK as sitk
    from scipy import ndimage
    from skimage.measure import regionprops_table

    image = sitk.GetImageFromArray(volume.array)
    mask = sitk.GetImageFromArray(labels.array)
    for one in (image, mask):
        one.SetSpacing(volume.grid.spacing)
    index = np.unique(labels.array)[1:]

    def itk_shape() -> None:
        statistics = sitk.LabelShapeStatisticsImageFilter()
        statistics.ComputeFeretDiameterOn()
        statistics.ComputePerimeterOn()
        statistics.Execute(mask)

    def itk_intensity() -> None:
        sitk.LabelIntensityStatisticsImageFilter().Execute(mask, image)

    def scikit_image() -> None:
        names = ("area", "bbox", "centroid", "axis_major_length", "axis_minor_length")
        intensity = ("intensity_mean", "intensity_min", "intensity_max", "intensity_std")
        regionprops_table(
            labels.array, volume.array, spacing=volume.grid.spacing_zyx, properties=(*names, *intensity)
        )

    def scipy_ndimage() -> None:
        for function in (ndimage.mean, ndimage.standard_deviation, ndimage.minimum, ndimage.maximum):
            function(volume.array, labels.array, index)
        ndimage.center_of_mass(labels.array > 0, labels.array, index)

    return {
        "SimpleITK LabelShape with Feret": Peer(itk_shape, 32),
        "SimpleITK LabelIntensity": Peer(itk_intensity, 13),
        "scikit-image regionprops_table": Peer(scikit_image, 16),
        "scipy.ndimage, mean sd min max centre": Peer(scipy_ndimage, 7),
        **radiomics_peers(image, mask, find_boxes(labels.array)),
    }


def radiomics_peers(image: Any, mask: Any, boxes: dict[int, Box]) -> dict[str, Peer]:
    """PyRadiomics' shape and first-order features of a few lesions, whole and cropped; nothing when not installed."""
    try:
        from radiomics import featureextractor
    except ImportError:
        return {}
    import SimpleITK as sitk

    extractor = featureextractor.RadiomicsFeatureExtractor()
    extractor.disableAllFeatures()
    for name in ("shape", "firstorder"):
        extractor.enableFeatureClassByName(name)
    few = list(boxes)[:RADIOMICS_LESIONS]

    def crop(one: Any, box: Box) -> Any:
        low = [max(0, part.start - 1) for part in reversed(box)]
        high = [min(n, part.stop + 1) for n, part in zip(one.GetSize(), reversed(box), strict=True)]
        return sitk.RegionOfInterest(one, [b - a for a, b in zip(low, high, strict=True)], low)

    def whole() -> None:
        for label in few:
            extractor.execute(image, mask, label=label)

    def cropped() -> None:
        for label in few:
            extractor.execute(crop(image, boxes[label]), crop(mask, boxes[label]), label=label)

    scale = len(boxes) / len(few)
    return {"PyRadiomics, whole": Peer(whole, 32, scale), "PyRadiomics, cropped": Peer(cropped, 32, scale)}


def main() -> None:
    """Print the figures; write them when asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--quick", action="store_true", help="a small volume, for a test of this script")
    parser.add_argument("--alone", action="store_true", help="leave the other libraries out")
    arguments = parser.parse_args()
    scene = make_scene((60, 128, 128), 6) if arguments.quick else make_scene()
    figures: dict[str, Any] = {"napari-lesion": ours(*scene)}
    mine = figures["napari-lesion"]
    for name, value in mine.items():
        print(f"{name:45s} {value:10.4g}")
    if not arguments.alone:
        each = mine["with_boundary_cpu_s"] / mine["with_boundary_columns"]
        figures["peers"] = {}
        for name, peer in peers(*scene).items():
            took = best_of(peer.job, 1)
            row = {"wall_s": took.wall * peer.scale, "cpu_s": took.cpu * peer.scale, "columns": peer.columns}
            row["cpu_ratio_per_column"] = row["cpu_s"] / peer.columns / each
            figures["peers"][name] = row
            print(
                f"{name:45s} {row['cpu_s']:8.2f} s CPU, {row['cpu_ratio_per_column']:6.1f} times ours a column",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
