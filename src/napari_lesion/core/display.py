"""The anatomical view of an array: permuted and flipped without copying a voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Grid, Triple

ScalarT = TypeVar("ScalarT", bound=np.generic)
Box = tuple[slice, slice, slice]


def shifted(inner: Box, outer: Box) -> Box:
    """A box that is given inside another one, on the grid of that one."""
    z, y, x = (slice(i.start + o.start, i.stop + o.start) for i, o in zip(inner, outer, strict=True))
    return z, y, x


def union(one: Box, other: Box) -> Box:
    """Smallest box around two boxes."""
    z, y, x = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return z, y, x


AXIS_LABELS = ("S-I", "A-P", "R-L")


@dataclass(frozen=True)
class AnatomicalView:
    """How a native array is shown: first axis to inferior, second to posterior, third to the patient's left.

    On an axial slice anterior is at the top and the patient's left on the right of the screen; the head
    is up in coronal and sagittal slices. The residual rotation of an oblique grid is not drawn.

    Parameters
    ----------
    axes
        Native array axis behind each display axis.
    flips
        Whether each display axis runs against its native axis.
    shape
        Shape (z, y, x) of the native array.
    spacing
        Spacing along the display axes, mm.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    shape: tuple[int, int, int]
    spacing: Triple

    @classmethod
    def of(cls, grid: Grid) -> AnatomicalView:
        """View of the arrays on this grid."""
        left, posterior, superior = grid.patient_axes
        axes = (superior, posterior, left)
        # +1: the native axis runs to S, P, L; the display runs to I, P, L.
        signs = [np.sign(grid.matrix[patient, 2 - axis]) for patient, axis in zip((2, 1, 0), axes, strict=True)]
        spacing = tuple(grid.spacing_zyx[axis] for axis in axes)
        return cls(
            axes=axes,
            flips=(bool(signs[0] > 0), bool(signs[1] < 0), bool(signs[2] < 0)),
            shape=grid.shape,
            spacing=(spacing[0], spacing[1], spacing[2]),
        )

    @property
    def display_shape(self) -> tuple[int, int, int]:
        """Shape of the view."""
        a, b, c = (self.shape[axis] for axis in self.axes)
        return a, b, c

    def apply(self, native: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
        """NumPy view of a native array (z, y, x); writing into it writes into the native array."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        return native.transpose(self.axes)[steps]

    def to_display(self, native_zyx: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Display indices (..., 3) of (fractional) native indices (..., 3)."""
        index = np.asarray(native_zyx, dtype=np.float64)[..., list(self.axes)]
        last = np.asarray(self.display_shape) - 1
        return np.where(self.flips, last - index, index)

    def to_native(self, display: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Native indices (z, y, x) of (fractional) display indices (..., 3)."""
        index = np.asarray(display, dtype=np.float64)
        last = np.asarray(self.display_shape) - 1
        index = np.where(self.flips, last - index, index)
        native = np.empty_like(index)
        native[..., list(self.axes)] = index
        return native

    def box_to_native(self, box: Box) -> Box:
        """Native box of a display box (slices with plain start and stop)."""
        native: list[slice] = [slice(0)] * 3
        for display_axis, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            native[axis] = _turned(box[display_axis], self.shape[axis]) if flip else box[display_axis]
        return native[0], native[1], native[2]

    def box_to_display(self, box: Box) -> Box:
        """Display box of a native box (slices with plain start and stop)."""
        display = [
            _turned(box[axis], self.shape[axis]) if flip else box[axis]
            for axis, flip in zip(self.axes, self.flips, strict=True)
        ]
        return display[0], display[1], display[2]


def _turned(part: slice, n: int) -> slice:
    start, stop, _ = part.indices(n)
    return slice(n - stop, n - start)
