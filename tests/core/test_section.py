"""The axial slice of largest area, in one orientation whatever that of the array."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from napari_lesion.core.grid import Grid
from napari_lesion.core.section import section_of
from napari_lesion.core.volume import LabelMap, Modality, Volume

WHOLE = (slice(None), slice(None), slice(None))


def body() -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """Values, labels and spacing along (S, P, L), each axis rising with the patient's."""
    values = np.random.default_rng(1).integers(-1000, 400, (5, 30, 26)).astype(np.int16)
    labels = np.zeros(values.shape, np.uint16)
    labels[1:4, 10:14, 8:11] = 3
    labels[2, 14, 8:11] = 3
    return values, labels, (2.5, 0.7, 0.8)


def stored(order: tuple[int, ...], flips: tuple[bool, ...]) -> tuple[Volume, LabelMap]:
    """The same body with its axes (S, P, L) stored in another order and direction."""
    values, labels, spacing = body()
    arrays = []
    for array in (values, labels):
        turned = array.transpose(order)[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
        arrays.append(np.ascontiguousarray(turned))
    unit = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float)  # LPS of (S, P, L)
    columns = [unit[axis] * (-1 if flip else 1) for axis, flip in zip(order, flips, strict=True)][::-1]
    z, y, x = (spacing[axis] for axis in order)
    size = arrays[0].shape[::-1]
    grid = Grid((size[0], size[1], size[2]), (x, y, z), direction=tuple(np.stack(columns, axis=1).ravel().tolist()))
    return Volume(arrays[0], grid, Modality.CT), LabelMap(arrays[1], grid)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)))
def test_the_section_is_the_same_in_every_orientation(order: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    values, labels, _ = body()
    volume, stored_labels = stored(order, flips)
    section = section_of(volume, stored_labels, 3, WHOLE, margin_mm=2.0)
    assert section is not None
    np.testing.assert_array_equal(section.image, values[2, 7:18, 5:14])
    np.testing.assert_array_equal(section.mask, labels[2, 7:18, 5:14] == 3)
    assert section.spacing_mm == (0.7, 0.8)
    np.testing.assert_array_equal(section.to_native(section.image), volume.array[section.box])


def test_a_box_is_taken_at_its_word_and_the_border_of_the_image_ends_the_section() -> None:
    volume, labels = stored((0, 1, 2), (False, False, False))
    section = section_of(volume, labels, 3, (slice(1, 4), slice(10, 15), slice(8, 11)), margin_mm=100.0)
    assert section is not None
    assert (section.index, section.start, section.image.shape) == (2, (0, 0), (30, 26))
    assert section_of(volume, labels, 9, WHOLE) is None


def test_of_equal_slices_the_lowest_is_taken() -> None:
    volume, labels = stored((0, 1, 2), (True, False, False))
    labels.array[labels.array > 0] = 0
    labels.array[1:4, 10:14, 8:11] = 3
    section = section_of(volume, labels, 3, WHOLE)
    assert section is not None
    assert section.index == 3  # the array runs downwards
