"""The trunk as signed distances: skin, rib cage, mediastinum, diaphragm, lungs and the organs between them.

Everything here lives on axes of half the image's resolution: these surfaces are smooth, and a signed
distance interpolates well. Origin: mid-plane, middle of the chest, a little below the carina; LPS mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.interpolate import PchipInterpolator

from napari_lesion.phantom.space import Axes, Field, Points, capsule, ellipsoid, normalised, smooth_max, smooth_min

# Profiles along the body: rows of (z, half width, half depth, y of the middle), mm.
SKIN = (
    (-150, 143, 108, 2),
    (-60, 149, 111, 2),
    (0, 152, 111, 3),
    (60, 157, 103, 8),
    (95, 160, 92, 12),
    (125, 160, 84, 16),
)
CAGE = (
    (-150, 118, 84, 4),
    (-60, 119, 87, 3),
    (0, 114, 82, 6),
    (45, 100, 69, 13),
    (75, 79, 54, 21),
    (93, 55, 39, 30),
    (102, 33, 25, 35),
    (107, 16, 13, 38),
    (109, 3, 3, 39),
)
BULGING = ("aortic_arch", "descending_aorta", "pulmonary_trunk", "superior_vena_cava")
FAR = 20.0
PLEURA_MM = 1.5
"""Distance of the lung from the inner surface of the rib cage."""

Rows = tuple[tuple[float, ...], ...]

HEART = ((20.0, -20.0, -34.0), (54.0, 40.0, 43.0))
HEART_AXIS = (0.72, -0.52, -0.46)

GREAT_VESSELS: dict[str, Rows] = {
    "ascending_aorta": ((-6, -18, -6, 14.5), (-14, -22, 24, 15), (-12, -18, 48, 14.5), (0, -2, 60, 13.5)),
    "aortic_arch": ((0, -2, 60, 13.5), (12, 18, 62, 13), (21, 38, 52, 12.5), (22, 44, 36, 12)),
    "descending_aorta": ((22, 44, 36, 12), (21, 43, 0, 11.5), (16, 40, -60, 11), (8, 38, -150, 10.5)),
    "pulmonary_trunk": ((6, -38, 2, 13), (12, -26, 20, 13.5), (14, -8, 29, 12.5)),
    "right_pulmonary_artery": ((14, -8, 27, 11), (-8, -2, 25, 10.5), (-34, 4, 20, 8.5)),
    "left_pulmonary_artery": ((14, -8, 29, 11.5), (28, 6, 31, 10), (39, 14, 24, 8)),
    "superior_vena_cava": ((-27, -10, 2, 9), (-29, -14, 40, 8.5), (-24, -12, 76, 8)),
    "left_brachiocephalic_vein": ((-24, -13, 74, 8), (0, -24, 80, 6.5), (34, -20, 96, 6), (46, -8, 112, 6)),
    "right_brachiocephalic_vein": ((-24, -12, 76, 8), (-28, -8, 96, 7), (-42, -4, 112, 6)),
    "brachiocephalic_artery": ((-2, -4, 66, 6.5), (-12, 0, 88, 6), (-22, 4, 112, 5.5)),
    "left_carotid_artery": ((8, 6, 68, 4.5), (12, 8, 90, 4), (16, 10, 115, 3.8)),
    "left_subclavian_artery": ((17, 22, 66, 5.5), (23, 22, 90, 5), (36, 20, 112, 4.5)),
    "inferior_vena_cava": ((-22, 6, -52, 12), (-22, 14, -80, 12), (-22, 20, -150, 12)),
    "azygos_vein": ((-8, 46, -150, 3.2), (-7, 44, 20, 3.8), (-12, 34, 44, 4.2), (-25, 4, 46, 4.5)),
    "right_inferior_pulmonary_vein": ((0, 14, -8, 9), (-26, 22, -12, 7), (-40, 26, -16, 6)),
    "right_superior_pulmonary_vein": ((-4, 6, 2, 9), (-28, -8, 8, 7), (-40, -10, 14, 6)),
    "left_inferior_pulmonary_vein": ((6, 14, -8, 9), (26, 24, -12, 7), (42, 28, -14, 6)),
    "left_superior_pulmonary_vein": ((6, 4, 4, 9), (26, -6, 10, 7), (42, -10, 16, 6)),
}
OESOPHAGUS = ((2, 34, 112, 5.5), (3, 36, 50, 6), (1, 32, 10, 6.5), (5, 28, -40, 6.5), (10, 24, -78, 7.5))
TRACHEA = ((0, 8, 118, 8.2), (-1, 14, 70, 8.4), (-2, 18, 44, 8.6))
RIGHT_BRONCHUS = ((-2, 18, 44, 7.2), (-18, 15, 34, 6.8), (-32, 12, 24, 5.6))
LEFT_BRONCHUS = ((-2, 18, 44, 7.0), (16, 18, 32, 6.2), (36, 17, 18, 5.2))


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Signed distances (negative inside, mm) on the coarse axes, shape (z, y, x).

    Parameters
    ----------
    axes
        The coarse axes.
    skin, cage
        Surface of the body; inner surface of the rib cage (the parietal pleura where it meets lung).
    mediastinum, diaphragm
        Everything between the lungs; what lies below the domes.
    lungs
        Right and left lung, with their vessels and airways.
    """

    axes: Axes
    skin: Field
    cage: Field
    mediastinum: Field
    diaphragm: Field
    lungs: tuple[Field, Field]

    @property
    def lung(self) -> Field:
        """Signed distance of both lungs."""
        return np.minimum(*self.lungs)


def make_anatomy(axes: Axes) -> Anatomy:
    """Shape of the trunk on these axes."""
    skin = normalised(_profile(axes, SKIN, 2.6), axes)
    cage = normalised(_profile(axes, CAGE, 2.25), axes)
    mediastinum = make_mediastinum(axes)
    diaphragm = make_diaphragm(axes)
    x = axes.mesh()[0]
    pleura = cage + PLEURA_MM
    lungs = [
        smooth_max([pleura, -mediastinum, -diaphragm, np.broadcast_to(side * x + 2.0, axes.shape)], 7.0)
        for side in (1.0, -1.0)
    ]
    return Anatomy(axes, skin, cage, mediastinum, diaphragm, (lungs[0], lungs[1]))


def _profile(axes: Axes, rows: Rows, power: float) -> Field:
    """Implicit function of a stack of superellipses; 0 on the surface, negative inside."""
    x, y, z = axes.mesh()
    table = np.asarray(rows, dtype=np.float64)
    clipped = np.clip(axes.z, table[0, 0], table[-1, 0])
    width, depth, middle = (
        PchipInterpolator(table[:, 0], table[:, column])(clipped).astype(np.float32)[:, None, None]
        for column in (1, 2, 3)
    )
    rho = (np.abs(x) / width) ** power + (np.abs(y - middle) / depth) ** power
    above = np.maximum(z - np.float32(table[-1, 0]), 0.0) / 4.0
    implicit: Field = rho ** np.float32(1 / power) - 1.0 + above
    return implicit


def make_mediastinum(axes: Axes) -> Field:
    """Heart, great vessels and the fat around them, and the spine with its muscles."""
    x, y, _ = axes.mesh()
    half = np.interp(axes.y, (-90, -62, -30, 10, 45, 120), (3, 5, 19, 27, 24, 30)).astype(np.float32)[None, :, None]
    narrow = np.interp(axes.z, (-150, -80, 20, 75, 110), (1.1, 1.0, 1.0, 1.05, 1.3)).astype(np.float32)[:, None, None]
    column = np.abs(x - 1.0) - half * narrow
    spine = np.sqrt(x * x + (y - spine_y(axes.z)[:, None, None] - 2) ** 2) - 27.0
    tubes = [RIGHT_BRONCHUS, LEFT_BRONCHUS, *(GREAT_VESSELS[name] for name in BULGING)]
    parts: list[Field] = [
        np.broadcast_to(column, axes.shape).astype(np.float32),
        np.broadcast_to(spine, axes.shape),
        heart(axes) - 4.0,
        _tubes(axes, tubes, 2.0),
    ]
    return reduce(lambda a, b: smooth_min(a, b, 9.0), parts)


def make_diaphragm(axes: Axes) -> Field:
    """Two domes, the right one higher, falling steeply to the costophrenic angles; negative below."""
    x, y, z = axes.mesh()
    right = _dome(x, y, (-66.0, -8.0), -50.0)
    left = _dome(x, y, (68.0, -6.0), -62.0)
    weight = 1.0 / (1.0 + np.exp(-x / 9.0))
    height = right * (1 - weight) + left * weight
    slope_y, slope_x = np.gradient(height[0], axes.spacing[1], axes.spacing[2])
    distance: Field = ((z - height) / np.sqrt(1 + slope_x**2 + slope_y**2)).astype(np.float32)
    return distance


def _dome(x: Field, y: Field, middle: tuple[float, float], top: float) -> Field:
    behind = np.where(y > middle[1], np.float32(1.12), np.float32(0.72))
    radius = np.sqrt((x - middle[0]) ** 2 + (behind * (y - middle[1])) ** 2)
    height: Field = top - 9.0 * (radius / 45.0) ** 2 - 11.0 * (radius / 56.0) ** 4
    return height


def heart(axes: Axes) -> Field:
    """Signed distance of the heart with its pericardium."""
    long = np.asarray(HEART_AXIS) / np.linalg.norm(HEART_AXIS)
    side = np.cross(long, (0.0, 0.0, 1.0))
    side /= np.linalg.norm(side)
    return ellipsoid(axes, *HEART, turn=np.stack([long, side, np.cross(long, side)]))


def spine_y(z: Field) -> Field:
    """Y of the middle of the vertebral bodies at a height: the thoracic kyphosis, mm."""
    return np.interp(z, (-150, -60, 20, 70, 120), (50, 56, 61, 58, 48)).astype(np.float32)


def tube_path(rows: Rows) -> tuple[Points, list[float]]:
    """Points (n, 3) and radii of rows (x, y, z, radius), with a smooth curve put through them."""
    table = np.asarray(rows, dtype=np.float64)
    knots = np.arange(len(table))
    fine = PchipInterpolator(knots, table)(np.linspace(0, len(table) - 1, 5 * (len(table) - 1) + 1))
    return fine[:, :3], [float(r) for r in fine[:, 3]]


def _tubes(axes: Axes, paths: Sequence[Rows], margin: float) -> Field:
    """Distance to the nearest of several tubes, made thicker by a margin; `FAR` where none is near."""
    distance = np.full(axes.shape, FAR, dtype=np.float32)
    for rows in paths:
        table = np.asarray(rows, dtype=np.float64)
        for pair in (table[i : i + 2] for i in range(len(table) - 1)):
            reach = pair[:, 3].max() + FAR
            box = axes.box(pair[:, :3].min(axis=0) - reach, pair[:, :3].max(axis=0) + reach)
            near = capsule(axes.mesh(box), pair[:, :3], pair[:, 3] + margin)
            np.minimum(distance[box], near, out=distance[box])
    return distance
