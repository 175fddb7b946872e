"""Ribs with their cartilages, sternum, spine, shoulder blades and collar bones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from napari_lesion.phantom.anatomy import Anatomy, spine_y
from napari_lesion.phantom.space import Canvas, Field, capsule, coverage, smooth_min
from napari_lesion.phantom.tissue import TissueHU

RIB_PITCH = 23.0
RIBS, TOP_RIB, RIB_TILT = 12, 96.0, 0.88
VERTEBRA = 23.5
DISC = 5.0
RIB_SHELL, BLADE_SHELL = (-1.0, 14.0), (12.0, 30.0)
UNDER_SKIN = 5.0


@dataclass(frozen=True, eq=False)
class Wall:
    """The voxels of the chest wall on the full grid, as one list.

    Parameters
    ----------
    index
        Flat indices (n,).
    depth
        Distance outside the inner surface of the rib cage, mm.
    angle
        Angle around the chest: 0 behind the spine, pi behind the sternum.
    x, y, z
        LPS mm.
    """

    index: npt.NDArray[np.int64]
    depth: Field
    angle: Field
    x: Field
    y: Field
    z: Field


def paint_skeleton(canvas: Canvas, anatomy: Anatomy, tissue: TissueHU) -> None:
    """Paint all bones with cortex and marrow, cartilage, discs and the spinal canal."""
    cage = canvas.fine(anatomy.cage)
    wall = make_wall(canvas, cage, *RIB_SHELL)
    paint_ribs(canvas, wall, tissue)
    _bone(canvas, wall, _sternum(wall), tissue)
    cage[canvas.fine(anatomy.skin) > -UNDER_SKIN] = np.inf
    wall = make_wall(canvas, cage, *BLADE_SHELL)
    _bone(canvas, wall, _shoulder_blades(wall), tissue)
    paint_spine(canvas, tissue)
    for side in (-1.0, 1.0):
        path = np.asarray([(side * 18, -58, 84), (side * 50, -56, 94), (side * 90, -36, 106), (side * 128, -16, 112)])
        canvas.tube(path, (7.0, 5.8, 5.5, 6.5), tissue.cortex)
        canvas.tube(path, (5.4, 4.0, 3.8, 5.0), tissue.marrow)


def make_wall(canvas: Canvas, cage: Field, low: float, high: float) -> Wall:
    """Voxels at some depths (mm) outside the rib cage, with coordinates that follow the wall."""
    index = np.flatnonzero((cage > low) & (cage < high))
    z, y, x = np.unravel_index(index, canvas.grid.shape)
    axes = canvas.axes
    at = axes.x[x], axes.y[y], axes.z[z]
    middle = np.interp(axes.z, (-150, 0, 60, 109), (6, 8, 16, 39)).astype(np.float32)[z]
    angle = np.arctan2(np.abs(at[0]), at[1] - middle).astype(np.float32)
    return Wall(index, cage.reshape(-1)[index], angle, *at)


def rib_drop(angle: Field) -> Field:
    """How far a rib has come down at an angle, mm; the cartilage in front of 2.45 rad rises again."""
    drop: Field = 46.0 * (1 - np.cos(np.minimum(angle, 2.45))) - 26.0 * np.clip(angle - 2.45, 0.0, None)
    return drop


def paint_ribs(canvas: Canvas, wall: Wall, tissue: TissueHU) -> None:
    """Ribs: flat ellipses around curves that run down and forward on the rib cage, ending in cartilage."""
    across = RIB_TILT * _above_nearest_rib(wall)
    widths = np.where(wall.angle < 0.5, 4.6, 6.2)
    distance = _ellipse(wall.depth - 5.2, across, 3.6, widths)
    bony = np.where((wall.angle > 0.22) & (wall.angle < 2.45), distance, 9.0)
    front = (wall.angle >= 2.45) & (wall.angle < 2.95) & (wall.z < 75) & (wall.z > -75)
    _paint(canvas, wall, np.where(front, distance, 9.0), tissue.cartilage)
    _bone(canvas, wall, bony.astype(np.float32), tissue, cortex=1.1)


def _above_nearest_rib(wall: Wall) -> Field:
    """Height above the nearest rib, mm; the upper ribs come down less than the others."""
    drop = rib_drop(wall.angle)
    height = wall.z - TOP_RIB + np.where(wall.x > 0, np.float32(2.5), np.float32(0.0))
    nearest = np.full(wall.z.shape, np.inf, dtype=np.float32)
    for rib in range(RIBS):
        above = height + RIB_PITCH * rib + min(1.0, 0.34 + 0.17 * rib) * drop
        nearest = np.where(np.abs(above) < np.abs(nearest), above, nearest)
    return nearest


def _sternum(wall: Wall) -> Field:
    width = np.interp(wall.z, (-70, -50, 10, 52, 62, 78), (4, 14, 17, 13, 24, 27)).astype(np.float32)
    flat = _ellipse(wall.depth - 7.0, wall.x, 5.4, width)
    ends = np.maximum(wall.z - 80.0, -62.0 - wall.z)
    plate: Field = np.where(wall.angle > 2.2, np.maximum(flat, ends), 9.0).astype(np.float32)
    return plate


def _shoulder_blades(wall: Wall) -> Field:
    """Thin plates outside the upper ribs, thicker at their lateral border."""
    middle = np.interp(wall.z, (-25, 20, 95), (0.95, 0.88, 0.9)).astype(np.float32)
    half = np.interp(wall.z, (-25, 0, 60, 110), (0.05, 0.2, 0.42, 0.5)).astype(np.float32)
    beyond = np.maximum(np.abs(wall.angle - middle) - half, 0.0) * 95.0
    thick = 1.5 + 3.2 * np.exp(-(((wall.angle - middle - half) / 0.09) ** 2))
    centre = 19.0 + 3.0 * np.sin(2.2 * (wall.angle - middle))
    plate = np.maximum(np.abs(wall.depth - centre) - thick, beyond)
    blade: Field = np.maximum(plate, -25.0 - wall.z).astype(np.float32)
    return blade


def paint_spine(canvas: Canvas, tissue: TissueHU) -> None:
    """Vertebral bodies with end plates and discs, the canal with the cord, arches and processes."""
    box = canvas.axes.box((-48, 25, -1e4), (48, 135, 1e4))
    x, y, z = canvas.axes.mesh(box)
    middle = spine_y(z)
    level = (z + 8.0) / VERTEBRA
    height = (level - np.rint(level)) * VERTEBRA
    waist = 1.0 - 0.10 * np.cos(2 * np.pi * height / VERTEBRA)
    round_body = _ellipse(x, y - middle, 16.5 * waist, 13.2 * waist)
    body = -smooth_min(-round_body, -np.broadcast_to(np.abs(height) - (VERTEBRA - DISC) / 2, round_body.shape), 3.0)
    canal = np.sqrt(x * x + (y - middle - 22.0) ** 2)
    arch = np.maximum(np.abs(canal - 11.0) - 2.6, np.abs(height - 1.0) - 8.0)
    bone = reduce(lambda a, b: smooth_min(a, b, 3.0), [body, arch, *_processes(x, y, z - height, middle, height)])
    canvas.blend(box, _share(canvas, round_body + 1.0), tissue.disc)
    canvas.blend(box, _share(canvas, bone), tissue.cortex)
    canvas.blend(box, _share(canvas, bone + 1.2), tissue.marrow)
    inside = np.broadcast_to(canal - 8.2, bone.shape).astype(np.float32)
    canvas.blend(box, _share(canvas, inside), tissue.fat)
    canvas.blend(box, _share(canvas, inside + 1.2), tissue.cord)


def _processes(x: Field, y: Field, base: Field, middle: Field, height: Field) -> list[Field]:
    """Spinous and transverse processes, in the frame of each vertebra."""
    frame = np.abs(x), y - middle, height
    spinous = capsule(frame, np.asarray([(0.0, 33.0, -1.0), (0.0, 52.0, -8.5)]), (3.6, 3.0))
    transverse = capsule(frame, np.asarray([(8.0, 20.0, 3.0), (31.0, 31.0, 4.0)]), (4.8, 4.4))
    shape = np.broadcast_shapes(x.shape, y.shape, base.shape)
    return [np.broadcast_to(part, shape) for part in (spinous, transverse)]


def _ellipse(u: Field, v: Field, a: float | Field, b: float | Field) -> Field:
    """First-order signed distance of an ellipse with half axes a along u and b along v."""
    rho = np.sqrt((u / a) ** 2 + (v / b) ** 2)
    slope = np.sqrt((u / a**2) ** 2 + (v / b**2) ** 2) / np.maximum(rho, 1e-3)
    distance: Field = ((rho - 1.0) / np.maximum(slope, 1e-3)).astype(np.float32)
    return distance


def _share(canvas: Canvas, distance: Field) -> Field:
    return coverage(distance, canvas.width)


def _paint(canvas: Canvas, wall: Wall, distance: Field, hu: float) -> None:
    near = distance < canvas.width
    flat = canvas.hu.reshape(-1)
    index = wall.index[near]
    share = _share(canvas, distance[near])
    flat[index] += share * (hu - flat[index])


def _bone(canvas: Canvas, wall: Wall, distance: Field, tissue: TissueHU, cortex: float = 1.3) -> None:
    _paint(canvas, wall, distance, tissue.cortex)
    _paint(canvas, wall, distance + cortex, tissue.marrow)
