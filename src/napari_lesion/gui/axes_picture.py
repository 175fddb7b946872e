"""What napari has to draw for the axes of a lesion: shapes, widths, colours and words (no Qt, no layer)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import AnatomicalView
from napari_lesion.gui.palette import AXES, HANDLE, MANUAL_AXES
from napari_lesion.gui.presenters.axes import AxisLine

TEXT_AWAY_MM = 3.5
TEXT_AWAY_SHARE = 0.12
WIDTH_SHARE = 1 / 50
REPLACED_WIDTH = 0.5

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Handle:
    """The ring at an end point that can be dragged.

    Parameters
    ----------
    place
        Its centre, display indices.
    radius_mm, line_mm
        Radius and width of its line, mm.
    """

    place: Points
    radius_mm: float
    line_mm: float


@dataclass(frozen=True, eq=False)
class Picture:
    """Shapes in display indices with everything that napari wants to know of each; equally long lists."""

    shapes: list[Points]
    kinds: list[str]
    widths: list[float]
    colours: list[str]
    words: list[str]

    def looks_like(self, other: Picture | None) -> bool:
        """Whether only places and words are others: napari is much quicker then."""
        return other is not None and (self.kinds, self.widths, self.colours) == (
            other.kinds,
            other.widths,
            other.colours,
        )


def picture_of(lines: Sequence[AxisLine], view: AnatomicalView, handle: Handle | None = None) -> Picture:
    """Picture of some lines, at least one: what the reader set lies above what was computed, the handle on top.

    Lengths are written above the lesion and below it, as texts of lines that are too short to be seen. The width of
    lines follows the computed axes, so that it does not change under the hand.
    """
    pixel = float(np.mean(view.spacing[1:]))
    ordered = sorted(lines, key=lambda line: (line.manual, not line.replaced))
    written = sorted((line for line in lines if line.words), key=lambda line: line.axis)
    ends = [shown_ends(line, view) for line in ordered]
    places = _places(ends, len(written), view.spacing)
    longest = max((line.length_mm for line in lines if not line.manual), default=lines[0].length_mm)
    width = longest * WIDTH_SHARE / pixel
    picture = Picture(
        shapes=[*ends, *places],
        kinds=["line"] * (len(ends) + len(places)),
        widths=[width * (REPLACED_WIDTH if line.replaced else 1.0) for line in ordered] + [width] * len(places),
        colours=[MANUAL_AXES if line.manual else AXES for line in (*ordered, *written)],
        words=[""] * len(ordered) + [line.words for line in written],
    )
    if handle is not None:
        picture.shapes.append(_ring(handle, view.spacing))
        picture.kinds.append("ellipse")
        picture.widths.append(handle.line_mm / pixel)
        picture.colours.append(HANDLE)
        picture.words.append("")
    return picture


def shown_ends(line: AxisLine, view: AnatomicalView) -> Points:
    """Display indices of both ends of a line, in the slice that holds it."""
    shown = view.to_display(line.ends)
    shown[:, 0] = np.round(shown[:, 0])
    return shown


def same_lines(some: Sequence[AxisLine] | None, others: Sequence[AxisLine]) -> bool:
    """Whether both are the same lines, end for end and word for word."""
    if some is None or len(some) != len(others):
        return False
    return all(
        (one.words, one.axis, one.manual, one.replaced) == (other.words, other.axis, other.manual, other.replaced)
        and np.array_equal(one.ends, other.ends)
        for one, other in zip(some, others, strict=True)
    )


def _ring(handle: Handle, spacing: Sequence[float]) -> Points:
    """Corners of the box of a circle in an axial slice."""
    down, across = handle.radius_mm / np.asarray(spacing[1:])
    corners = [(-down, -across), (-down, across), (down, across), (down, -across)]
    plane, y, x = (float(index) for index in handle.place)
    return np.array([[plane, y + dy, x + dx] for dy, dx in corners])


def _places(ends: list[Points], count: int, spacing: Sequence[float]) -> list[Points]:
    """Lines too short to be seen, where the text of each axis stands: the first above the lesion, the next below."""
    every = np.concatenate(ends)
    low, high = every.min(axis=0), every.max(axis=0)
    away = TEXT_AWAY_MM / spacing[1] + TEXT_AWAY_SHARE * (high[1] - low[1])
    middle = (low[2] + high[2]) / 2
    rows = (low[1] - away, high[1] + away)[:count]
    return [np.array([[low[0], y, middle], [low[0], y, middle + 1e-3]]) for y in rows]
