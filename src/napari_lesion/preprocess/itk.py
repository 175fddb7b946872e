"""SimpleITK filters that tell how far they are, and stop when asked to."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_lesion.core.grid import Grid
from napari_lesion.preprocess.base import FloatArray, Report


def itk_image(array: FloatArray, grid: Grid) -> Any:
    """SimpleITK image of an array (x, y, z) on its grid."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.T, dtype=np.float32))
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return image


class Watch:
    """Runs a filter; each of its iterations is reported, and what the report raises ends it.

    Parameters
    ----------
    made
        A SimpleITK filter object with iterations.
    report
        Called with (done, total).
    total
        Most iterations.
    """

    def __init__(self, made: Any, report: Report, total: int) -> None:
        self._filter = made
        self._report = report
        self._total = total
        self._done = 0
        self._raised: Exception | None = None

    def run(self, *images: Any) -> Any:
        """Execute the filter."""
        import SimpleITK

        self._filter.AddCommand(SimpleITK.sitkIterationEvent, self._on_iteration)
        try:
            made = self._filter.Execute(*images)
        except RuntimeError:
            if self._raised is None:
                raise
            made = None
        finally:
            self._filter.RemoveAllCommands()
        if self._raised is not None:
            raise self._raised
        return made

    def _on_iteration(self) -> None:
        """Count; an exception cannot pass through ITK, so it is kept and the filter told to stop."""
        if self._raised is not None:
            return
        self._done += 1
        try:
            self._report(min(self._done, self._total), self._total)
        except Exception as error:  # noqa: BLE001 (raised again by `run`)
            self._raised = error
            self._filter.Abort()
