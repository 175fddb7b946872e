"""Error of the distance to the pleura, with the lungs that the detection finds, on synthetic chests.

    python benchmarks/pleura.py [--balls N] [--json FILE]

Balls of 4 to 20 mm are put at random places of both lungs; the true gap comes from the surface of the synthetic lung.
The balls are measured, and not painted: the lungs are found in the same image for all of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.volume import LabelMap
from napari_lesion.inference.lungs import find_lungs
from napari_lesion.measure.engine import MeasureRequest, lesion_context
from napari_lesion.measure.place import border_distance, side_of
from napari_lesion.phantom.anatomy import Anatomy, make_anatomy
from napari_lesion.phantom.chest import ChestSpec, make_chest
from napari_lesion.phantom.space import Canvas

SAMPLINGS = {
    "1.1 x 1.1 x 1.25 mm": ChestSpec(),
    "0.7 x 0.7 x 2.5 mm": ChestSpec(size=(470, 400, 100), spacing=(0.7, 0.7, 2.5)),
    "0.9 x 0.9 x 5 mm": ChestSpec(size=(366, 312, 50), spacing=(0.9, 0.9, 5.0)),
}
FINER = 3
RADII_MM = (2.0, 10.0)
FEWEST_VOXELS = 8
Ball = tuple[npt.NDArray[np.float64], float, float]


def balls_in(lung: npt.NDArray[np.float32], anatomy: Anatomy, count: int, seed: int) -> Iterator[Ball]:
    """Centre (LPS mm), radius and true gap to the surface of one lung, of balls that do not reach it."""
    import edt
    from scipy import ndimage

    axes = anatomy.axes
    inside = ndimage.zoom(lung, FINER, order=1, grid_mode=True, mode="nearest") < 0
    spacing = tuple(s / FINER for s in axes.spacing)
    depth = edt.edt(inside, anisotropy=spacing, parallel=0)
    places = np.argwhere(depth > RADII_MM[0])
    random = np.random.default_rng(seed)
    first = np.array([axes.z[0], axes.y[0], axes.x[0]])
    for place in places[random.permutation(len(places))[:count]]:
        radius = random.uniform(*RADII_MM)
        gap = float(depth[tuple(place)]) - float(np.mean(spacing)) / 2 - radius
        if gap >= 0:
            yield (first + ((place + 0.5) / FINER - 0.5) * axes.spacing)[::-1], radius, gap


def ball_labels(grid: Grid, centre: npt.NDArray[np.float64], radius: float) -> tuple[LabelMap, Box] | None:
    """A ball on a grid and its box; None where it leaves the image or holds next to nothing."""
    middle, reach = grid.to_index(centre), radius / np.array(grid.spacing_zyx) + 1
    low, high = np.floor(middle - reach).astype(int), np.ceil(middle + reach).astype(int) + 1
    if (low < 0).any() or (high > grid.shape).any():
        return None
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    index = np.stack(np.meshgrid(*[np.arange(part.start, part.stop) for part in (z, y, x)], indexing="ij"), axis=-1)
    inside = np.linalg.norm((index - middle) * grid.spacing_zyx, axis=-1) <= radius
    labels = LabelMap.empty(grid)
    labels.array[z, y, x] = inside
    return (labels, (z, y, x)) if inside.sum() >= FEWEST_VOXELS else None


def errors(spec: ChestSpec, count: int) -> dict[str, Any]:
    """Errors, mm, of one sampling, and how many balls were put on the right side."""
    chest, anatomy = make_chest(spec), make_anatomy(Canvas(ChestSpec().grid, -1000.0).coarse)
    request = MeasureRequest(surroundings=find_lungs(chest.volume).surroundings)
    found, right_side = [], 0
    for name, lung in zip(("right", "left"), anatomy.lungs, strict=True):
        for centre, radius, gap in balls_in(lung, anatomy, count // 2, seed=3):
            ball = ball_labels(spec.grid, centre, radius)
            if ball is None:
                continue
            context = lesion_context(chest.volume, ball[0], Lesion(1, Status.MANUAL), ball[1], request)
            assert context is not None
            found.append(border_distance(context) - gap)
            right_side += side_of(context) == name
    error = np.array(found)
    return {
        "balls": len(error),
        "right_side": right_side,
        "median_mm": float(np.median(error)),
        "p95_abs_mm": float(np.percentile(np.abs(error), 95)),
        "smallest_mm": float(error.min()),
        "largest_mm": float(error.max()),
    }


def main() -> None:
    """Print one line a sampling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--balls", type=int, default=800)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {name: errors(spec, options.balls) for name, spec in SAMPLINGS.items()}
    for name, row in results.items():
        print(
            f"{name:<20} {row['balls']} balls, {row['right_side']} on the right side; error: median "
            f"{row['median_mm']:+.2f}, 95 % within {row['p95_abs_mm']:.2f}, from {row['smallest_mm']:+.2f} to "
            f"{row['largest_mm']:+.2f} mm"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
