"""The sliding window itself: cut, run, blend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

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
    mirrored
        Whether a window that reaches over the image sees it mirrored there (MONAI's ``padding_mode="reflect"``);
        otherwise it sees 0.
    """

    def __init__(
        self, image: FloatArray, frame: ModelFrame, roi: tuple[int, int, int], *, mirrored: bool = False
    ) -> None:
        self.image = image
        self.frame = frame
        self.roi = roi
        self.mirrored = mirrored

    def cut(self, start: Start) -> FloatArray:
        """One window, shape (x, y, z) of the network; outside the image 0, or the image mirrored, as in MONAI."""
        image, inner = self.places(start)
        outside = [(part.start, size - part.stop) for part, size in zip(inner, self.roi, strict=True)]
        window = np.pad(self.image[image], outside, mode="reflect" if self.mirrored else "constant")
        return np.ascontiguousarray(self.frame.to_input(window))

    def places(self, start: Start) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """The part of the image below a window, and the same part inside the window."""
        image, inner = [], []
        for first, size, n in zip(start, self.roi, self.image.shape, strict=True):
            low, high = max(0, first), min(n, first + size)
            image.append(slice(low, high))
            inner.append(slice(low - first, high - first))
        return tuple(image), tuple(inner)


def window_results(
    cutter: WindowCutter, starts: Sequence[Start], backend: Backend, batch: int, ctx: JobContext, stage: str
) -> Iterator[tuple[int, FloatArray]]:
    """Run the network on windows in their order; while it computes, the next are cut and the last are used.

    Parameters
    ----------
    cutter
        Image, orientation and window size.
    starts
        Windows.
    backend
        Runs the network, in a thread of its own.
    batch
        Windows computed together.
    ctx
        Told before each batch, so that a cancel takes effect within one.
    stage
        What it is told.

    Yields
    ------
    int, numpy.ndarray
        Number of the window, and its probability, float32 (z, y, x).
    """
    with ThreadPoolExecutor(1, "network") as network:
        running: Future[FloatArray] | None = None
        for first in range(0, len(starts), batch):
            windows = np.stack([cutter.cut(start) for start in starts[first : first + batch]])[:, None]
            done = running.result() if running else ()
            ctx.step(stage, first, len(starts))
            running = network.submit(backend.infer, windows)
            for number, result in enumerate(done, start=first - batch):
                yield number, cutter.frame.from_input(result)
        if running:
            for number, result in enumerate(running.result(), start=first):
                yield number, cutter.frame.from_input(result)
    ctx.step(stage, len(starts), len(starts))


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
    blend = _Blend(cutter.image.shape, cutter.roi)
    ordered = sorted(starts)
    for number, window in window_results(cutter, ordered, backend, batch, ctx, STAGE):
        blend.add(window, *cutter.places(ordered[number]))
    return blend.finish()


class _Blend:
    """Weighted mean of windows that come in ascending order along the first axis.

    The weights are kept only for as many planes as a window has: planes that no further window reaches are divided
    at once. Of a whole body that is 70 MiB instead of a gigabyte and a half.

    Parameters
    ----------
    shape
        Shape of the image.
    roi
        Window size in the same axis order.
    """

    def __init__(self, shape: tuple[int, ...], roi: tuple[int, int, int]) -> None:
        self._bell = gaussian_weights(roi)
        self._total = np.zeros(shape, dtype=np.float32)
        self._weight = np.zeros((min(roi[0], shape[0]), *shape[1:]), dtype=np.float32)
        self._done = 0

    def add(self, window: FloatArray, image: tuple[slice, ...], inner: tuple[slice, ...]) -> None:
        """Add a window, whose part ``inner`` lies at ``image``."""
        self._divide(image[0].start)
        self._total[image] += (window * self._bell)[inner]
        planes = slice(image[0].start - self._done, image[0].stop - self._done)
        self._weight[planes, *image[1:]] += self._bell[inner]

    def finish(self) -> FloatArray:
        """The mean; 0 where no window lies."""
        self._divide(len(self._total))
        return self._total

    def _divide(self, upto: int) -> None:
        """Divide the planes before ``upto``, which are complete, and move the weights on."""
        ready = min(upto - self._done, len(self._weight))
        if ready > 0:
            part, weight = self._total[self._done : self._done + ready], self._weight[:ready]
            np.divide(part, weight, out=part, where=weight > 0)
            left = len(self._weight) - ready
            self._weight[:left] = self._weight[ready:]
            self._weight[left:] = 0.0
        self._done = max(self._done, upto)
