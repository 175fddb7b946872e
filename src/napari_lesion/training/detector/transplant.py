"""Nodules set into other places of other lungs, with their own texture and a soft border.

The cubes show each nodule in one place only. A network that sees it among other vessels learns the nodule and not
the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.crops import CONSENSUS, IGNORED, SHARE, cut
from napari_lesion.training.detector.nodules import Nodule
from napari_lesion.training.scenes import BACKGROUND, IGNORE, LESION, Scene

KEPT_MM = 1.5
"""How far around the outermost outline the nodule's own image is kept whole."""
SEAM_MM = 3.0
"""Width of the border over which it fades into the new place."""
FREE_HU = -500.0
"""Denser than this is a vessel, an airway's wall, or the chest wall."""
FREE_SHARE = 0.9
"""Share of the border of a nodule that must be aerated; one that touches more would be torn off."""
THIN = (0.2, 0.55)
"""How much of its density a nodule keeps that is thinned to ground glass: one of 0 HU comes to lie between about
-680 and -380 HU, and the lung that it is set into shows through."""
THIN_FROM_MM = 4.5
"""Smaller ones (`Graft.radius_mm`) are not thinned: nobody would see them."""

FloatArray = npt.NDArray[np.float32]
Points = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Host:
    """One scan that nodules can be set into.

    Parameters
    ----------
    scene
        The scan.
    points
        Places (n, 3) in its lungs.
    room_mm
        Distance of each place to the nearest vessel, airway wall or chest wall (n,).
    """

    scene: Scene
    points: Points
    room_mm: FloatArray


def hosts_of(scenes: Sequence[Scene], intensity: Intensity) -> list[Host]:
    """Scans with the places in their lungs and how much room there is around each."""
    import edt

    hosts = []
    for scene in scenes:
        if scene.case.kind != "scan" or not len(scene.background_points):
            continue
        free = (scene.image < intensity.scaled(FREE_HU)) & (scene.label == BACKGROUND)
        room = edt.edt(free)[tuple(scene.background_points.T)]
        hosts.append(Host(scene, scene.background_points, room.astype(np.float32)))
    return hosts


@dataclass(frozen=True, eq=False)
class Graft:
    """One nodule that can be moved.

    Parameters
    ----------
    nodule
        The nodule.
    weight
        How much of its own image is kept, 0..1, of the same shape.
    radius_mm
        Room that it needs.
    """

    nodule: Nodule
    weight: FloatArray
    radius_mm: float


def graft_of(nodule: Nodule, intensity: Intensity) -> Graft | None:
    """The nodule with its border; None when it hangs on a vessel or the chest wall, which cannot be moved with it."""
    import edt

    distance = edt.edt(nodule.share <= 0)
    border = (distance > KEPT_MM) & (distance <= KEPT_MM + SEAM_MM)
    if float((nodule.image[border] < intensity.scaled(FREE_HU)).mean()) < FREE_SHARE:
        return None
    weight: FloatArray = np.clip(1 - (distance - KEPT_MM) / SEAM_MM, 0, 1).astype(np.float32)
    reach = np.abs(np.argwhere(nodule.share > 0) - nodule.center).max()
    return Graft(nodule, weight, float(reach) + KEPT_MM)


def transplanted(
    grafts: Sequence[Graft], hosts: Sequence[Host], rng: np.random.Generator, thinned: float = 0.0
) -> Nodule:
    """One of the nodules at a place of one of the scans that has room for it.

    Parameters
    ----------
    grafts, hosts
        Nodules and scans to draw from; none may be empty.
    rng
        Draws them.
    thinned
        Share of the nodules that become ground glass, of which there are few to learn from.

    Returns
    -------
    Nodule
        With an image of its own size that is cut from the scan; as it was where the scan has no room for it.
    """
    graft = grafts[int(rng.integers(len(grafts)))]
    host = hosts[int(rng.integers(len(hosts)))]
    roomy = np.flatnonzero(host.room_mm >= graft.radius_mm)
    if not len(roomy):
        return graft.nodule
    place = host.points[int(rng.choice(roomy))]
    thin = rng.random() < thinned and graft.radius_mm >= THIN_FROM_MM
    opacity = rng.uniform(*THIN) if thin else 1.0
    return set_into(graft, host, place, float(opacity))


def set_into(graft: Graft, host: Host, place: Points, opacity: float = 1.0) -> Nodule:
    """The nodule with its centre at a voxel of the scan, its density over the lung's times ``opacity``."""
    nodule, edge = graft.nodule, min(graft.nodule.image.shape)
    there = cut((host.scene.image, host.scene.label, None), place, edge)
    here = cut((nodule.image, nodule.label, nodule.share), nodule.center, edge)
    weight = cut((graft.weight, nodule.label, None), nodule.center, edge)["image"] * (1 - here["target"][IGNORED])
    weight *= opacity
    image = weight * here["image"] + (1 - weight) * there["image"]
    label = np.where(there["target"][IGNORED] + there["target"][CONSENSUS] > 0, IGNORE, BACKGROUND)
    label[here["target"][CONSENSUS] >= 0.5] = LESION
    return replace(
        nodule,
        image=image[0].astype(np.float16),
        label=label.astype(np.uint8),
        share=here["target"][SHARE].astype(np.float16),
    )
