"""Sagittal and coronal pictures of the selected lesion, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import AnatomicalView
from napari_lesion.gui.palette import lesion_colours
from napari_lesion.gui.presenters.viewing import ViewerPresenter, extent_mm, look_at
from napari_lesion.gui.session import Session
from napari_lesion.gui.windows import Window
from napari_lesion.workflow.study import Study

SMALLEST_SIDE_MM = 60.0
SIDE_PER_EXTENT = 3.0
PLANES = (("Sagittal", 2, (0, 1), "A", "P"), ("Coronal", 1, (0, 2), "R", "L"))
"""Name, display axis that is fixed, axes of rows and columns, letters at the left and right edge."""


@dataclass(frozen=True, eq=False)
class PlaneImage:
    """One picture.

    Parameters
    ----------
    title
        Name of the plane.
    grey
        Grey values 0 to 255, shape (rows, columns), head at the top.
    outline
        Voxels at the border of the lesion, same shape.
    spacing_mm
        Distance of rows and of columns, mm.
    cross
        Row and column of the point that both pictures share.
    left, right
        Letters of the patient's sides at the left and right edge.
    """

    title: str
    grey: npt.NDArray[np.uint8]
    outline: npt.NDArray[np.bool_]
    spacing_mm: tuple[float, float]
    cross: tuple[int, int]
    left: str
    right: str


class PlanesView(Protocol):
    """The strip of pictures as the presenter knows it."""

    def show_planes(self, images: Sequence[PlaneImage], colour: str) -> None:
        """Show these pictures, the lesion outlined in a colour; none for no lesion."""


def plane_images(
    study: Study, label: int, centre_zyx: Sequence[float], window: Window, side_mm: float
) -> list[PlaneImage]:
    """Sagittal and coronal picture around a native index (z, y, x), at most ``side_mm`` high and wide."""
    view = AnatomicalView.of(study.volume.grid)
    image, labels = view.apply(study.volume.array), view.apply(study.labels.array)
    centre = np.round(view.to_display(centre_zyx)).astype(int)
    made = []
    for title, fixed, (down, across), left, right in PLANES:
        spacing = (view.spacing[down], view.spacing[across])
        parts: list[Any] = [slice(None)] * 3
        parts[fixed] = int(centre[fixed])
        start = []
        for axis, step in zip((down, across), spacing, strict=True):
            half = max(1, round(side_mm / 2 / step))
            first = max(0, int(centre[axis]) - half)
            parts[axis] = slice(first, min(view.display_shape[axis], int(centre[axis]) + half + 1))
            start.append(first)
        box = tuple(parts)
        cross = (int(centre[down]) - start[0], int(centre[across]) - start[1])
        made.append(
            PlaneImage(title, _grey(image[box], window), _outline(labels[box] == label), spacing, cross, left, right)
        )
    return made


class PlanesPresenter:
    """Keeps the strip in step with the selected lesion."""

    def __init__(
        self, session: Session, viewer: ViewerPresenter, view: PlanesView, colours: str = "distinct"
    ) -> None:
        self._session = session
        self._viewer = viewer
        self._view = view
        self._colours = colours
        session.study_changed.connect(self._on_study)
        session.selection_changed.connect(self._on_selection)
        session.labels_changed.connect(self._on_labels)
        session.lesions_changed.connect(self.show)
        viewer.window_changed.connect(self.show)

    def show(self) -> None:
        """Draw the pictures of the selected lesion."""
        study, label, window = self._session.study, self._session.selected, self._viewer.window
        row = study.table.rows.get(label, {}) if study is not None else {}
        lesion = study.lesions.get(label) if study is not None else None
        caliper = lesion.caliper if lesion is not None else None
        centre = look_at(row, study.volume.grid, caliper) if study is not None else None
        if study is None or window is None or centre is None:
            self._view.show_planes([], "")
            return
        side = max(SMALLEST_SIDE_MM, SIDE_PER_EXTENT * extent_mm(row))
        colour = lesion_colours(study.lesions, self._colours).get(label, "")
        self._view.show_planes(plane_images(study, label, centre, window, side), colour)

    def _on_study(self, _study: Study | None) -> None:
        self.show()

    def _on_selection(self, _label: int, _reveal: bool) -> None:
        self.show()

    def _on_labels(self, labels: frozenset[int] | None) -> None:
        if labels is None or self._session.selected in labels:
            self.show()


def _grey(values: npt.NDArray[Any], window: Window) -> npt.NDArray[np.uint8]:
    low, high = window.limits
    share = (np.nan_to_num(values.astype(np.float32), nan=low) - low) / (high - low)
    grey: npt.NDArray[np.uint8] = (np.clip(share, 0, 1) * 255).astype(np.uint8)
    return grey


def _outline(inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Voxels inside with a neighbour outside, in the plane."""
    padded = np.pad(inside, 1)
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    border: npt.NDArray[np.bool_] = inside & ~core
    return border
