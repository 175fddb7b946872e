"""Pictures of several cases with their captions, as one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from napari_lesion.evaluation.picture import Line, Picture

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

TRUTH_COLOUR: Final = "#ffd400"
FOUND_COLOUR: Final = "#00c3ff"
"""Those of the report of an evaluation."""
PAPER: Final = "#ffffff"
INK: Final = "#1b1f24"

COLUMNS: Final = 4
EDGE: Final = 168
GAP: Final = 8
LINE: Final = 16
FONT_SIZE: Final = 12
FINER: Final = 3
"""Outlines are drawn this many times larger and made smaller again, so that they are smooth."""


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet.

    Parameters
    ----------
    picture
        What is shown.
    caption
        Lines below it.
    """

    picture: Picture
    caption: tuple[str, ...]


def draw_sheet(tiles: Sequence[Tile]) -> Image:
    """Draw the pictures row by row, `COLUMNS` in each, their captions below them.

    The outline of the truth is wide and yellow, that of the marks narrow and blue on top of it: where both
    agree both are seen, also by those who do not tell the colours apart.
    """
    from PIL import Image, ImageDraw

    lines = max(len(tile.caption) for tile in tiles)
    height = EDGE + LINE * lines + GAP
    rows = -(-len(tiles) // COLUMNS)
    columns = min(COLUMNS, len(tiles))
    sheet = Image.new("RGB", (GAP + columns * (EDGE + GAP), GAP + rows * height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        left, top = GAP + column * (EDGE + GAP), GAP + row * height
        sheet.paste(draw_picture(tile.picture, EDGE), (left, top))
        _write(draw, left, top + EDGE, tile.caption)
    return sheet


def draw_picture(picture: Picture, edge: int) -> Image:
    """Draw the slice with its outlines into a square of ``edge`` pixels; black where the slice ends before."""
    from PIL import Image, ImageDraw

    size = edge * FINER
    scale = size / max(picture.width_mm, picture.height_mm)
    shape = round(picture.width_mm * scale), round(picture.height_mm * scale)
    canvas = Image.new("RGB", (size, size))
    canvas.paste(Image.fromarray(picture.grey).resize(shape, Image.Resampling.BICUBIC).convert("RGB"), (0, 0))
    draw = ImageDraw.Draw(canvas)
    _trace(draw, picture.truth_lines, scale, TRUTH_COLOUR, 3 * FINER)
    _trace(draw, picture.found_lines, scale, FOUND_COLOUR, int(1.4 * FINER))
    return canvas.resize((edge, edge), Image.Resampling.LANCZOS)


def _trace(draw: ImageDraw, lines: Sequence[Line], scale: float, colour: str, width: int) -> None:
    for line in lines:
        draw.line([(float(x) * scale, float(y) * scale) for x, y in line], fill=colour, width=width, joint="curve")


def _write(draw: ImageDraw, left: int, top: int, caption: Sequence[str]) -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(FONT_SIZE)
    for number, text in enumerate(caption):
        draw.text((left, top + number * LINE + 1), text, fill=INK, font=font)
