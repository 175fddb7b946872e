"""Draw the pictures of docs/boundary.md: synthetic bodies, and nodules of LIDC-IDRI where their folder is given.

    python docs/images/make_boundary.py [DATA]

DATA holds ``lidc_nodules`` as benchmarks/readers.py wants it. Values below the pictures are measured, not typed.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from napari_lesion.core.grid import Grid
from napari_lesion.core.table import Row
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.io.read import read_volume
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.ring import grown
from napari_lesion.measure.topology import distance_inside, largest_components

HERE = Path(__file__).parent
SPACING = (0.7, 0.7, 0.7)
TILE = 260
LINE = 20
ORANGE, BLUE = (255, 150, 40), (90, 170, 255)
SIMILAR_MM = (11.0, 16.0)


def places(half_mm: float = 17.0) -> np.ndarray:
    """Voxel centres, mm, around the middle."""
    axis = np.arange(-round(half_mm / SPACING[0]), round(half_mm / SPACING[0]) + 1) * SPACING[0]
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def rendered(mask: np.ndarray, blur_mm: float = 0.7, noise: float = 20.0) -> np.ndarray:
    """A body of 50 HU in -850 HU as a scanner of a given blur sees it."""
    sharp = np.where(mask, 50.0, -850.0)
    smooth = ndimage.gaussian_filter(sharp, blur_mm / SPACING[0])
    return np.round(smooth + np.random.default_rng(3).normal(0, noise, mask.shape)).astype(np.int16)


def measured(labels: np.ndarray, image: np.ndarray, grid: Grid | None = None) -> Row:
    """All core columns of label 1."""
    z, y, x = image.shape
    grid = grid or Grid((x, y, z), SPACING)
    study = Volume(image, grid, Modality.CT), LabelMap(labels.astype(np.uint8), grid)
    return measure_lesions(*study, MeasureRequest(only=frozenset({1}))).rows[1]


def tile(image: np.ndarray, mask: np.ndarray, lines: list[str], extra: np.ndarray | None = None) -> Image.Image:
    """One slice with the outline of a mask, another region in blue, and lines of text below."""
    from skimage.measure import find_contours

    grey = np.clip((image.astype(float) + 1000) / 1400 * 255, 0, 255).astype(np.uint8)
    scale = TILE / max(grey.shape)
    picture = Image.fromarray(grey).resize((TILE, TILE), Image.Resampling.BICUBIC).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for region, colour in ((extra, BLUE), (mask, ORANGE)):
        for line in [] if region is None else find_contours(np.pad(region, 1).astype(float), 0.5):
            draw.line([tuple((p[::-1] - 0.5) * scale) for p in line], fill=colour, width=2)
    whole = Image.new("RGB", (TILE, TILE + LINE * len(lines) + 8), (20, 20, 24))
    whole.paste(picture, (0, 0))
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(14)
    for row, text in enumerate(lines):
        pen.text((8, TILE + 4 + LINE * row), text, fill=(230, 230, 230), font=font)
    return whole


def save(name: str, tiles: list[Image.Image]) -> None:
    """Join tiles in a row and write them."""
    gap = 6
    wide = sum(t.width for t in tiles) + gap * (len(tiles) - 1)
    sheet = Image.new("RGB", (wide, tiles[0].height), (255, 255, 255))
    left = 0
    for one in tiles:
        sheet.paste(one, (left, 0))
        left += one.width + gap
    sheet.quantize(64).save(HERE / name, optimize=True)


def edges() -> None:
    """The same ball, sharper and softer."""
    body = np.linalg.norm(places(), axis=-1) <= 8
    tiles = []
    for blur in (0.5, 1.0, 1.8):
        image = rendered(body, blur)
        row = measured(body, image)
        lines = [f"blur of SD {blur} mm", f"edge width {row['edge_width_10_90_mm']:.2f} mm"]
        lines.append(f"gradient {row['edge_gradient_hu_per_mm']:.0f} HU/mm")
        tiles.append(tile(image[len(image) // 2], body[len(body) // 2], lines))
    small = np.linalg.norm(places(), axis=-1) <= 7
    row = measured(small, image := rendered(body, 1.0))
    lines = ["mask 1 mm too small", f"edge offset {row['edge_offset_mm']:+.2f} mm", ""]
    tiles.append(tile(image[len(image) // 2], small[len(body) // 2], lines))
    save("boundary_edge.png", tiles)


def rings() -> None:
    """What counts as background beside another lesion."""
    where = places()
    one = np.linalg.norm(where - (0, 0, -4), axis=-1) <= 7
    two = (np.linalg.norm(where - (0, 2, 8), axis=-1) <= 5) & ~one
    image = rendered(one) + np.where(two, 700, 0).astype(np.int16)
    tiles = []
    for title, labels in (("alone", one * 1), ("beside a lesion", one * 1 + two * 2)):
        row = measured(labels, image)
        pixel, away = SPACING[0], distance_inside(~one, SPACING, closed=False)
        ring = (away > pixel * 1.0001) & (away <= (pixel + 3) * 1.0001)
        ring &= ~grown(labels == 2, SPACING, pixel) & (labels != 2)
        lines = [title, f"ring {row['ring_mean_hu']:.0f} ± {row['ring_sd_hu']:.0f} HU", f"CNR {row['cnr']:.1f}"]
        tiles.append(tile(image[len(image) // 2], one[len(one) // 2], lines, ring[len(one) // 2]))
    save("boundary_ring.png", tiles)


def forms() -> None:
    """Round, long, lobed and spiky."""
    where = places()
    ball = np.linalg.norm(where, axis=-1) <= 8
    long = np.linalg.norm(where / (6.0, 6.5, 12.0), axis=-1) <= 1
    lobes = np.any([np.linalg.norm(where - c, axis=-1) <= 6 for c in ((0, -5, -4), (0, 6, -3), (0, 0, 6.5))], axis=0)
    spiky = ball.copy()
    for angle in np.arange(6) * np.pi / 3 + 0.3:
        way = np.array([0.0, np.sin(angle), np.cos(angle)])
        along = where @ way
        across = np.linalg.norm(where - along[..., None] * way, axis=-1)
        spiky |= (along >= 0) & (along <= 14) & (across <= 1.8 * (14 - along) / 6)
    tiles = []
    for title, body in (("ball", ball), ("ellipsoid", long), ("three lobes", lobes), ("six spikes", spiky)):
        image = rendered(body, 0.5)
        row = measured(body, image)
        lines = [
            title,
            f"irregularity {row['boundary_irregularity']:.3f}",
            f"concavity {row['surface_concavity']:.3f}",
            f"spiculation {row['spiculation_index']:.3f}",
            f"spicules {row['spicule_count']:.0f}, lobes {row['lobulation_count']:.0f}",
        ]
        tiles.append(tile(image[len(image) // 2], body[len(body) // 2], lines))
    save("boundary_form.png", tiles)


def nodules(folder: Path) -> None:
    """Nodules of similar size with the lowest and the highest concavity."""
    with (folder / "nodules.csv").open(encoding="utf-8", newline="") as file:
        cases = list(csv.DictReader(file))
    found: list[tuple[float, Any]] = []
    for case in cases:
        readers = read_volume(folder / "masks" / f"{case['case']}.nii.gz").array
        mask = largest_components(2 * readers >= max(2, int(case["n_readers"])))[0]
        volume = read_volume(folder / "images" / f"{case['case']}.nii.gz")
        row = measured(mask, volume.array, volume.grid)
        if SIMILAR_MM[0] <= row["equivalent_sphere_diameter_mm"] <= SIMILAR_MM[1] and int(case["n_readers"]) >= 3:
            found.append((row["surface_concavity"], (case, row, volume.array, mask)))
    found.sort(key=lambda pair: pair[0])
    tiles = []
    for _, (case, row, image, mask) in (*found[:2], *found[-2:]):
        middle = int(mask.sum(axis=(1, 2)).argmax())
        lines = [
            case["patient_id"],
            f"concavity {row['surface_concavity']:.3f}, {row['equivalent_sphere_diameter_mm']:.0f} mm",
            f"readers: spiculation {float(case['spiculation_mean']):.1f}",
            f"readers: lobulation {float(case['lobulation_mean']):.1f}",
        ]
        tiles.append(tile(image[middle], mask[middle], lines))
    save("boundary_nodules.png", tiles)


if __name__ == "__main__":
    edges()
    rings()
    forms()
    if len(sys.argv) > 1:
        nodules(Path(sys.argv[1]) / "lidc_nodules")
