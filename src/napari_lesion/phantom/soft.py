"""Skin, fat, muscle, mediastinum, abdominal organs, lungs with their trees, and the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_lesion.core.errors import LesionError
from napari_lesion.phantom.anatomy import (
    GREAT_VESSELS,
    LEFT_BRONCHUS,
    OESOPHAGUS,
    RIGHT_BRONCHUS,
    TRACHEA,
    Anatomy,
    heart,
    tube_path,
)
from napari_lesion.phantom.space import Axes, Canvas, Field, Points, coverage, ellipsoid, smooth_max
from napari_lesion.phantom.tissue import TissueHU
from napari_lesion.phantom.tree import Segments, beside, grow_tree, render

CHAMBERS = (((32.0, -30.0, -38.0), (26.0, 18.0, 21.0)), ((-4.0, -26.0, -30.0), (19.0, 17.0, 24.0)))
ARTERY_UNITS, VEIN_UNITS = 1400, 1100
FISSURE_MM = 0.7
AIRWAY_RATIO, SMALLEST_ARTERY = 0.72, 1.4


@dataclass(frozen=True, eq=False)
class LungTrees:
    """Vessels and airways of both lungs.

    Parameters
    ----------
    vessels
        Arteries and veins.
    airways
        Lumens of the bronchi inside the lungs.
    """

    vessels: Segments
    airways: Segments


def smooth_noise(axes: Axes, width_mm: float, rng: np.random.Generator) -> Field:
    """Gaussian noise of standard deviation 1 and a correlation length, shape of the axes."""
    noise = rng.standard_normal(axes.shape, dtype=np.float32)
    noise = gaussian_filter(noise, [width_mm / step for step in axes.spacing], mode="wrap")
    scaled: Field = noise / np.float32(noise.std(dtype=np.float64))
    return scaled


def paint_trunk(canvas: Canvas, anatomy: Anatomy, tissue: TissueHU, rng: np.random.Generator) -> None:
    """Skin, subcutaneous fat, the muscles of the wall with fat between them, and fat inside the rib cage."""
    axes = canvas.coarse
    x, y, _ = axes.mesh()
    patchy = smooth_noise(axes, 9.0, rng)
    mottled = smooth_noise(axes, 3.5, rng)
    canvas.fill(anatomy.skin, tissue.skin)
    canvas.fill(anatomy.skin + 1.8, tissue.fat + 6.0 * mottled)
    flank = np.abs(np.cos(np.arctan2(np.broadcast_to(y, axes.shape), x)))
    under_skin = (10.0 + 6.0 * flank + 2.5 * patchy).astype(np.float32)
    muscle = smooth_max([anatomy.skin + under_skin, -anatomy.cage], 4.0)
    canvas.fill(muscle, tissue.muscle + 7.0 * mottled)
    for depth, roughness in ((13.0, 2.2), (24.0, 3.5)):
        canvas.sheet(anatomy.cage - depth - roughness * patchy, muscle, 1.7, tissue.fat + 15.0)
    canvas.sheet(8.0 * smooth_noise(axes, 6.0, rng), np.maximum(muscle, 14.0 - anatomy.cage), 1.1, tissue.fat + 25.0)
    canvas.fill(anatomy.cage + 0.5, tissue.fat + 5.0 * mottled)


def paint_mediastinum(canvas: Canvas, tissue: TissueHU) -> None:
    """Heart, great vessels, oesophagus, trachea and main bronchi."""
    outline = heart(canvas.coarse)
    canvas.fill(outline, tissue.fat)
    canvas.fill(outline + 3.0, tissue.myocardium)
    for centre, half in CHAMBERS:
        canvas.fill(ellipsoid(canvas.coarse, centre, half), tissue.blood)
    for rows in GREAT_VESSELS.values():
        path, radii = tube_path(rows)
        canvas.tube(path, [r + 0.8 for r in radii], tissue.muscle)
        canvas.tube(path, radii, tissue.blood)
    path, radii = tube_path(OESOPHAGUS)
    canvas.tube(path, radii, tissue.muscle - 12.0)


def paint_central_airways(canvas: Canvas, tissue: TissueHU) -> None:
    """Trachea and main bronchi: walls first, then all lumens, so that the carina is open."""
    paths = [tube_path(rows) for rows in (TRACHEA, RIGHT_BRONCHUS, LEFT_BRONCHUS)]
    for path, radii in paths:
        canvas.tube(path, [r + 1.6 for r in radii], tissue.airway_wall)
    for path, radii in paths:
        canvas.tube(path, radii, tissue.air)


def paint_abdomen(canvas: Canvas, anatomy: Anatomy, tissue: TissueHU, rng: np.random.Generator) -> None:
    """Diaphragm, liver, spleen and a stomach with its bubble of air."""
    axes = canvas.coarse
    inside = anatomy.cage + 2.0
    canvas.fill(np.maximum(inside, anatomy.diaphragm), tissue.muscle - 5.0)
    below = np.maximum(inside + 2.5, anatomy.diaphragm + 2.5)
    canvas.fill(below, tissue.fat)
    texture = smooth_noise(axes, 5.0, rng)
    liver = smooth_max([below, ellipsoid(axes, (-52.0, -14.0, -118.0), (92.0, 84.0, 84.0))], 2.0)
    canvas.fill(liver, tissue.liver + 4.0 * texture)
    spleen = smooth_max([below, ellipsoid(axes, (84.0, 30.0, -116.0), (30.0, 40.0, 48.0))], 6.0)
    canvas.fill(spleen, tissue.spleen + 3.0 * texture)
    stomach = smooth_max([below + 1.0, ellipsoid(axes, (52.0, -22.0, -112.0), (34.0, 42.0, 44.0))], 6.0)
    canvas.fill(stomach, tissue.muscle - 8.0)
    lumen = stomach + 4.0
    canvas.fill(lumen, tissue.stomach + 12.0 * texture)
    level = np.broadcast_to(axes.mesh()[1] + 30.0, axes.shape)
    canvas.fill(np.maximum(lumen, level), tissue.air)


def paint_lungs(canvas: Canvas, anatomy: Anatomy, tissue: TissueHU, rng: np.random.Generator) -> None:
    """Parenchyma, denser towards the back by gravity, and the fissures between the lobes."""
    axes = canvas.coarse
    x, y, z = axes.mesh()
    ripple = smooth_noise(axes, 30.0, rng)
    hu = tissue.lung + 0.16 * y + 13.0 * smooth_noise(axes, 2.2, rng) + 9.0 * ripple
    for part in anatomy.lungs:
        canvas.fill(part, hu)
    oblique = 0.70 * (z - 8.0) - 0.71 * y + 3.0 * ripple
    canvas.sheet(oblique, anatomy.lung, FISSURE_MM, tissue.fissure)
    middle_lobe = np.maximum(np.maximum(anatomy.lung, x), 1.0 - oblique)
    canvas.sheet(z - 12.0 + 0.05 * y + 2.0 * ripple, middle_lobe, FISSURE_MM, tissue.fissure)


def grow_lung_trees(anatomy: Anatomy, rng: np.random.Generator) -> LungTrees:
    """An arterial, a venous and a bronchial tree in each lung."""
    vessels: list[Segments] = []
    airways: list[Segments] = []
    for side, lung in zip((-1.0, 1.0), anatomy.lungs, strict=True):
        places = np.argwhere(lung < -4.0)
        if not len(places):
            raise LesionError("The synthetic study holds no lung", "its field of view is too small", "Enlarge it")
        arteries = grow_tree((side * 34, 6, 21), 5.0, _cloud(anatomy.axes, places, ARTERY_UNITS, rng), rng)
        veins = grow_tree((side * 38, 14, -4), 4.6, _cloud(anatomy.axes, places, VEIN_UNITS, rng), rng)
        vessels += [arteries, veins]
        airways.append(beside(arteries, AIRWAY_RATIO, SMALLEST_ARTERY, (0.3 * side, 0.8, -0.5)))
    joined = vessels[0].joined(vessels[1]).joined(vessels[2]).joined(vessels[3])
    return LungTrees(joined, airways[0].joined(airways[1]))


def paint_lung_trees(canvas: Canvas, anatomy: Anatomy, trees: LungTrees, tissue: TissueHU) -> None:
    """Vessels, bronchial walls and lumens, in the lungs and the hila but not in the heart."""
    allowed = smooth_max([anatomy.lung - 9.0, 1.0 - heart(canvas.coarse)], 3.0)
    inside = coverage(canvas.fine(allowed), canvas.width).reshape(-1)
    air = trees.airways
    walls = Segments(air.starts, air.ends, 1.1 * air.start_radii + 0.25, 1.1 * air.end_radii + 0.25)
    flat = canvas.hu.reshape(-1)
    for segments, hu in ((trees.vessels, tissue.blood), (walls, tissue.airway_wall), (air, tissue.air)):
        share = render(canvas, segments).reshape(-1)
        hit = np.flatnonzero(share)
        flat[hit] += share[hit] * inside[hit] * (hu - flat[hit])


def paint_table(canvas: Canvas, anatomy: Anatomy, tissue: TissueHU) -> None:
    """A curved table of carbon fibre around foam, under the back."""
    x, y, _ = canvas.coarse.mesh()
    bed = y - (119.0 - x * x / 900.0)
    shell = np.broadcast_to(np.maximum(np.maximum(-bed, bed - 26.0), np.abs(x) - 205.0), canvas.coarse.shape)
    outside = np.maximum(shell, 1.0 - anatomy.skin).astype(np.float32)
    canvas.fill(outside, tissue.table)
    canvas.fill(outside + 1.6, tissue.table_core)


def _cloud(axes: Axes, places: np.ndarray, count: int, rng: np.random.Generator) -> Points:
    """Random points (n, 3), LPS mm, in coarse voxels (z, y, x)."""
    index = places[rng.integers(len(places), size=count)] + rng.uniform(-0.5, 0.5, (count, 3))
    first = np.asarray([axes.x[0], axes.y[0], axes.z[0]], dtype=np.float64)
    cloud: Points = first + index[:, ::-1] * np.asarray(axes.spacing[::-1])
    return cloud
