"""What is found and how well it is outlined, by size, as one image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from napari_lesion.evaluation.sheet import FINER, FONT_SIZE, INK, PAPER

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

WIDTH: Final = 640
HEIGHT: Final = 330
LEFT: Final = 44
BOTTOM: Final = 44
TOP: Final = 12
RIGHT: Final = 12
LINE_COLOUR: Final = "#0a5ea8"
DOT_COLOUR: Final = "#57606a"
MISSED_COLOUR: Final = "#b42318"
GRID_COLOUR: Final = "#e4e8ec"
DOT: Final = 3.0
TICKS_MM: Final = 5


@dataclass(frozen=True)
class Band:
    """Sensitivity of one group of sizes.

    Parameters
    ----------
    from_mm, to_mm
        Its edges; the last one may have no upper edge.
    value, low, high
        Sensitivity and its interval.
    """

    from_mm: float
    to_mm: float
    value: float
    low: float
    high: float


def draw_size_chart(lesions: Sequence[tuple[float, float]], bands: Sequence[Band]) -> Image:
    """Draw each lesion by diameter and Dice, and the sensitivity of each group of sizes as a line with its interval.

    Parameters
    ----------
    lesions
        Diameter in mm and Dice; a Dice of 0 is a missed one, and is drawn as a cross.
    bands
        Groups that are not empty.
    """
    from PIL import Image, ImageDraw

    edges = [edge for band in bands for edge in (band.from_mm, band.to_mm) if math.isfinite(edge)]
    largest = max([*(diameter for diameter, _ in lesions), *edges])
    chart = _Chart((math.floor(largest / TICKS_MM) + 1) * TICKS_MM)
    image = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), PAPER)
    draw = ImageDraw.Draw(image)
    chart.draw_axes(draw)
    for band in bands:
        chart.draw_band(draw, band)
    for diameter, dice in lesions:
        chart.draw_lesion(draw, diameter, dice)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class _Chart:
    """The axes: diameters from 0 to ``largest`` mm, shares from 0 to 1."""

    largest: float

    def place(self, diameter: float, share: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * min(diameter, self.largest) / self.largest
        y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)
        return x * FINER, y * FINER

    def draw_axes(self, draw: ImageDraw) -> None:
        from PIL import ImageFont

        font = ImageFont.load_default(FONT_SIZE * FINER)
        for tick in range(0, int(self.largest) + 1, TICKS_MM):
            draw.line([self.place(tick, 0), self.place(tick, 1)], fill=GRID_COLOUR, width=FINER)
            x, y = self.place(tick, 0)
            draw.text((x, y + 4 * FINER), str(tick), fill=INK, font=font, anchor="ma")
        for tenth in range(0, 11, 2):
            draw.line(
                [self.place(0, tenth / 10), self.place(self.largest, tenth / 10)], fill=GRID_COLOUR, width=FINER
            )
            x, y = self.place(0, tenth / 10)
            draw.text((x - 6 * FINER, y), f"{tenth / 10:.1f}", fill=INK, font=font, anchor="rm")
        words = "diameter, mm.   Line: sensitivity, bar: 95 % interval.   Dot: Dice of a lesion, cross: missed"
        draw.text((LEFT * FINER, (HEIGHT - 20) * FINER), words, fill=INK, font=font)

    def draw_band(self, draw: ImageDraw, band: Band) -> None:
        last = min(band.to_mm, self.largest)
        middle = (band.from_mm + last) / 2
        for share in (band.low, band.high):
            x, y = self.place(middle, share)
            draw.line([(x - 5 * FINER, y), (x + 5 * FINER, y)], fill=LINE_COLOUR, width=FINER)
        draw.line([self.place(middle, band.low), self.place(middle, band.high)], fill=LINE_COLOUR, width=FINER)
        ends = [self.place(band.from_mm, band.value), self.place(last, band.value)]
        draw.line(ends, fill=LINE_COLOUR, width=3 * FINER)

    def draw_lesion(self, draw: ImageDraw, diameter: float, dice: float) -> None:
        x, y = self.place(diameter, dice)
        d = DOT * FINER
        if dice > 0:
            draw.ellipse([x - d, y - d, x + d, y + d], outline=DOT_COLOUR, width=FINER)
            return
        for sign in (1, -1):
            draw.line([(x - d, y - sign * d), (x + d, y + sign * d)], fill=MISSED_COLOUR, width=2 * FINER)
