"""The sliding window itself: cut, run, blend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.ports import Backend
from napari_lesion.inference.resample import ModelFrame
from napari_lesion.inference.windows import Start, gaussian_weights

FloatArray = npt.NDArray[np.float32]
STAGE = "Searching"


class WindowCutter:
    """Windows of an image on the model grid, as the network wants them.

    Parameters
    ----------
    image
        float32 (z, y, x) on the model grid, already scaled.
    frame
        Gives the orientation of the network input.
    roi
        Window size (z, y, x).
    """

    def __init__(self, image: FloatArray, frame: ModelFrame, roi: tuple[int, int, int]) -> None:
        self.image = image
        self.frame = frame
        self.roi = roi

    def cut(self, start: Start) -> FloatArray:
        """One window, shape (x, y, z) of the network; 0 outside the image, as in MONAI."""
        window = np.zeros(self.roi, dtype=np.float32)
        image, inner = self.places(start)
        window[inner] = self.image[image]
        return np.ascontiguousarray(self.frame.to_input(window))

    def places(self, start: Start) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """The part of the image below a window, and the same part inside the window."""
        image, inner = [], []
        for first, size, n in zip(start, self.roi, self.image.shape, strict=True):
            low, high = max(0, first), min(n, first + size)
            image.append(slice(low, high))
            inner.append(slice(low - first, high - first))
        return tuple(image), tuple(inner)


def run_windows(
    cutter: WindowCutter, starts: Sequence[Start], backend: Backend, batch: int, ctx: JobContext
) -> FloatArray:
    """Blended lesion probability on the model grid.

    Parameters
    ----------
    cutter
        Image, orientation and window size.
    starts
        Windows, from `plan_windows`.
    backend
        Runs the network.
    batch
        Windows computed together.
    ctx
        Told before each batch, so that a cancel takes effect within one.

    Returns
    -------
    numpy.ndarray
        float32, shape of the image; 0 where no window lies.
    """
    total = np.zeros(cutter.image.shape, dtype=np.float32)
    weight = np.zeros(cutter.image.shape, dtype=np.float32)
    bell = gaussian_weights(cutter.roi)
    for first in range(0, len(starts), batch):
        ctx.step(STAGE, first, len(starts))
        group = starts[first : first + batch]
        result = backend.infer(np.stack([cutter.cut(start) for start in group])[:, None])
        for start, window in zip(group, result, strict=True):
            image, inner = cutter.places(start)
            total[image] += (cutter.frame.from_input(window) * bell)[inner]
            weight[image] += bell[inner]
    ctx.step(STAGE, len(starts), len(starts))
    np.divide(total, weight, out=total, where=weight > 0)
    return total
