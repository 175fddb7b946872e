"""Pictures of an evaluation: outlines at their place, and pictures together on one sheet."""

from __future__ import annotations

import numpy as np
import pytest

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.evaluation.picture import Picture, take_picture
from napari_lesion.evaluation.sheet import COLUMNS, EDGE, GAP, Tile, draw_picture, draw_sheet
from napari_lesion.evaluation.size_chart import Band, draw_size_chart

YELLOW, BLUE = (255, 212, 0), (0, 195, 255)


def box(low: tuple[int, int, int], high: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros((9, 40, 60), dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def taken(direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1), spacing: float = 1.0) -> Picture:
    """The truth in columns 10 to 13 and rows 4 to 9; the model's box one voxel to higher columns."""
    grid = Grid((60, 40, 9), (spacing, spacing, 2.0), direction=direction)
    array = np.full(grid.shape, -1150, dtype=np.int16)
    truth, found = box((4, 4, 10), (6, 10, 14)), box((4, 4, 11), (6, 10, 15))
    array[truth] = 350
    return take_picture(Volume(array, grid, Modality.CT), truth, found)


def extent(lines: tuple[np.ndarray, ...]) -> list[float]:
    points = np.concatenate(lines)
    return [*points.min(axis=0), *points.max(axis=0)]


def test_an_outline_lies_on_the_border_of_its_voxels() -> None:
    picture = taken()
    assert (picture.width_mm, picture.height_mm) == (60, 40)
    # x from the left edge of column 10 to the right edge of column 13, y likewise over rows 4 to 9.
    assert extent(picture.truth_lines) == [10, 4, 14, 10]
    assert extent(picture.found_lines) == [11, 4, 15, 10]
    rows, columns = np.nonzero(picture.grey == 255)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 13, 4, 9)


def test_anterior_is_at_the_top_and_the_patients_left_on_the_right() -> None:
    """On axes that run to right, anterior and superior, the same voxels lie mirrored in both directions."""
    picture = taken(direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1))
    assert extent(picture.truth_lines) == [60 - 14, 40 - 10, 60 - 10, 40 - 4]
    assert extent(picture.found_lines) == [60 - 15, 40 - 10, 60 - 11, 40 - 4]
    rows, columns = np.nonzero(picture.grey == 255)
    assert (columns.min(), rows.min()) == (46, 30)


def test_lengths_are_in_mm() -> None:
    assert extent(taken(spacing=0.5).truth_lines) == [5, 2, 7, 5]


def test_the_slice_of_largest_area_is_cut_out_around_the_nodule() -> None:
    grid = Grid((60, 40, 9), (1.0, 1.0, 2.0))
    truth = box((2, 10, 30), (3, 14, 34)) | box((6, 10, 28), (7, 20, 38))
    picture = take_picture(Volume(np.zeros(grid.shape, np.int16), grid, Modality.CT), truth, truth, 20.0)
    # The display runs from the head down: the seventh of nine slices from the feet is the third.
    assert (picture.slice_number, picture.slices) == (3, 9)
    assert picture.grey.shape == (20, 20)
    assert extent(picture.truth_lines) == [5, 5, 15, 15]


def test_the_svg_paths_are_the_same_lines() -> None:
    picture = taken()
    assert picture.truth.startswith("M")
    assert picture.truth.endswith("Z")
    numbers = [tuple(map(float, pair.split(","))) for pair in picture.truth[1:-2].split(" L")]
    np.testing.assert_allclose(numbers, picture.truth_lines[0], atol=0.005)


def nearest(pixel: tuple[int, ...], colour: tuple[int, int, int]) -> int:
    return max(abs(a - b) for a, b in zip(pixel, colour, strict=True))


def test_outlines_are_drawn_in_their_colours_where_they_lie() -> None:
    """60 mm are 240 pixels: 4 a millimetre."""
    image = draw_picture(taken(), 240)
    assert nearest(image.getpixel((40, 28)), YELLOW) < 60  # left border of the truth alone
    assert nearest(image.getpixel((60, 28)), BLUE) < 60  # right border of the model alone
    assert nearest(image.getpixel((50, 28)), (255, 255, 255)) < 10  # inside
    assert image.getpixel((10, 10)) == (0, 0, 0)  # lung
    assert image.getpixel((10, 200)) == (0, 0, 0)  # below the slice


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (COLUMNS, COLUMNS, 1), (COLUMNS + 1, COLUMNS, 2)])
def test_a_sheet_has_a_place_for_every_picture(count: int, columns: int, rows: int) -> None:
    sheet = draw_sheet([Tile(taken(), ("name", "words"))] * count)
    assert sheet.width == GAP + columns * (EDGE + GAP)
    row, column = divmod(count - 1, COLUMNS)
    height = (sheet.height - GAP) // rows
    scale = EDGE / 60
    last = GAP + column * (EDGE + GAP) + round(12 * scale), GAP + row * height + round(7 * scale)
    assert nearest(sheet.getpixel(last), (255, 255, 255)) < 10
    below = sheet.crop((last[0] - 20, GAP + row * height + EDGE, last[0] + 60, GAP + row * height + EDGE + 30))
    assert below.convert("L").getextrema()[0] < 128  # the caption


def test_the_chart_has_a_line_at_each_sensitivity() -> None:
    bands = [Band(0, 10, 0.5, 0.25, 0.75), Band(10, float("inf"), 1.0, 1.0, 1.0)]
    chart = np.asarray(draw_size_chart([(4.0, 0.0), (12.0, 0.8)], bands)).astype(int)
    blue = (chart[..., 2] - chart[..., 0] > 120).sum(axis=1)
    found = [row for row, count in enumerate(blue) if count > chart.shape[1] / 4]
    # Rows from 12 (share 1) to 286 (share 0): one half lies in the middle.
    assert all(min(abs(row - at) for row in found) <= 1 for at in (12, 149))
    assert all(min(abs(row - at) for at in (12, 149)) <= 2 for row in found)
    red = np.argwhere(chart[..., 0] - chart[..., 1] > 120)
    assert abs(red.mean(axis=0)[0] - 286) < 2
