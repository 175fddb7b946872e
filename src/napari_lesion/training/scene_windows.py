"""The engine's windows over a prepared case, whose voxels are those of the network already."""

from __future__ import annotations

import numpy as np

from napari_lesion.core.grid import Grid
from napari_lesion.inference.resample import ModelFrame
from napari_lesion.inference.sliding import WindowCutter
from napari_lesion.training.scenes import Scene


def scene_cutter(scene: Scene, roi: tuple[int, int, int], *, mirrored: bool) -> WindowCutter:
    """Windows of a scene.

    Parameters
    ----------
    scene
        A prepared case, (x, y, z) at 1 mm.
    roi
        Size of the windows, voxels.
    mirrored
        Whether a window that reaches over the image sees it mirrored there.
    """
    x, y, z = scene.image.shape
    box = (slice(0, x), slice(0, y), slice(0, z))
    frame = ModelFrame(Grid((z, y, x), (1.0, 1.0, 1.0)), box, (1.0, 1.0, 1.0), (0, 1, 2), (False, False, False))
    return WindowCutter(scene.image.astype(np.float32), frame, roi, mirrored=mirrored)
