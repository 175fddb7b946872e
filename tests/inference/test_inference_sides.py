"""Right and left lung: apart, touching, hanging together; the pleura without the margin of the search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.inference.lungs import find_lungs
from napari_lesion.inference.organs import find_organ, found_surroundings
from napari_lesion.inference.sides import lung_sides
from napari_lesion.io.read import read_volume

SPACING = (2.5, 2.0, 2.0)
SHAPE = (70, 100, 150)


def lungs(gap: int, bridge: tuple[slice, slice] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Air of two ellipsoids with so many voxels between them, joined by a bridge of air; HU; and the right one."""
    z, y, x = np.meshgrid(*[np.arange(n, dtype=float) for n in SHAPE], indexing="ij")
    middle, radius = 75.0, 30.0
    right, left = (
        ((z - 35) / 30) ** 2 + ((y - 50) / 40) ** 2 + ((x - middle - sign * (radius + gap / 2)) / radius) ** 2 < 1
        for sign in (-1, 1)
    )
    air = right | left
    if bridge is not None:
        air[bridge[0], bridge[1], 65:85] = True
    return air, np.where(air, -850.0, 30.0).astype(np.float32), right


def test_lungs_that_lie_apart() -> None:
    air, hu, right = lungs(4)
    sides = lung_sides(air, hu, SPACING)
    assert sides.right is not None
    assert sides.left is not None
    assert sides.right[right].all()
    assert sides.left[air & ~right].all()
    assert not (sides.right & sides.left).any()
    np.testing.assert_array_equal(sides.whole, sides.right | sides.left)
    # ellipsoids have no gaps: nothing is added to them
    np.testing.assert_array_equal(sides.whole, air)


def test_vessels_and_nodules_are_filled() -> None:
    air, hu, _ = lungs(4)
    air[30:34, 44:48, :60] = False
    air[20:28, 60:68, 100:110] = False
    sides = lung_sides(air, hu, SPACING)
    whole = lungs(4)[0]
    assert sides.whole[whole].mean() > 0.999
    assert sides.right is not None
    assert sides.right[30:34, 44:48, 30:60].all()


def test_a_nodule_at_the_end_of_the_scan_is_filled() -> None:
    air, hu, _ = lungs(4)
    cut = slice(30, 40)
    nodule = (slice(30, 34), slice(46, 54), slice(105, 112))
    whole = air.copy()
    air[nodule] = False
    sides = lung_sides(air[cut], hu[cut], SPACING)
    assert sides.left is not None
    assert sides.left[whole[cut] & (np.arange(150) > 76)].all()
    np.testing.assert_array_equal(sides.whole, whole[cut])


@pytest.mark.parametrize("hu_of_junction", [-850.0, -480.0])
def test_lungs_that_touch_at_a_thin_junction_are_parted_there(hu_of_junction: float) -> None:
    air, hu, right = lungs(0, bridge=(slice(25, 45), slice(48, 52)))
    hu[air & ~lungs(0)[0]] = hu_of_junction
    sides = lung_sides(air, hu, SPACING)
    assert sides.right is not None
    assert sides.left is not None
    wrong = (sides.right & ~right & lungs(0)[0]).sum() + (sides.left & right).sum()
    assert wrong < 0.005 * air.sum()


def test_lungs_that_hang_together_broadly_have_no_sides() -> None:
    air, hu, _ = lungs(0, bridge=(slice(8, 62), slice(15, 85)))
    sides = lung_sides(air, hu, SPACING)
    assert sides.right is None
    assert sides.left is None
    assert sides.whole[air].all()


def test_a_pocket_goes_to_the_lung_beside_it() -> None:
    air, hu, _ = lungs(4)
    pocket = (slice(30, 36), slice(46, 52), slice(8, 11))
    air[30:36, 46:52, 11:13] = False
    air[pocket] = True
    sides = lung_sides(air, hu, SPACING)
    assert sides.right is not None
    assert sides.right[pocket].all()


def chest(flipped: bool) -> Volume:
    """Body with two lungs; the patient's left lies at high x, or at low x where the file runs the other way."""
    hu = lungs(8)[1]
    body = np.pad(hu, ((0, 0), (30, 30), (30, 30)), constant_values=30.0)
    body = np.pad(body, ((0, 0), (5, 5), (5, 5)), constant_values=-1000.0)
    z, y, x = body.shape
    direction = (-1, 0, 0, 0, 1, 0, 0, 0, -1) if flipped else (1, 0, 0, 0, 1, 0, 0, 0, -1)
    return Volume(body.astype(np.int16), Grid((x, y, z), (2.0, 2.0, 2.5), direction=direction), Modality.CT)


@pytest.mark.parametrize("flipped", [False, True])
def test_left_is_the_left_of_the_patient(flipped: bool) -> None:
    organ = find_lungs(chest(flipped))
    assert organ.trusted
    assert organ.array is not None
    sides = {region.name: region for region in organ.surroundings.sides}
    assert set(sides) == {"left", "right"}
    middles = {
        name: region.grid.to_physical(np.argwhere(region.array).mean(axis=0))[0] for name, region in sides.items()
    }
    assert middles["left"] > middles["right"] + 60
    inner = organ.surroundings.organ
    assert inner is not None
    assert not (inner.array & ~organ.array).any()
    assert inner.array.sum() < 0.9 * organ.array.sum()


def test_surroundings_are_remembered_with_the_volume() -> None:
    volume = chest(flipped=False)
    assert found_surroundings(volume).organ is None
    organ = find_organ(volume, "lung", Modality.CT)
    assert found_surroundings(volume) is organ.surroundings
    cut = Volume(volume.array[:, :, :150].copy(), volume.grid.cropped((slice(0, 70), slice(0, 170), slice(0, 150))))
    assert not find_organ(cut, "lung", Modality.CT).trusted
    assert found_surroundings(cut).organ is None


REAL = (
    "background/CMB-CRC-MSB-01068/ct.nii.gz",
    "background/QIN-LSC-0014/ct.nii.gz",
    "background/QIN-LSC-0028/ct.nii.gz",
    "background/QIN-LUNG-01-0007/ct.nii.gz",
    "Lung_Dx-A0001/ct.nii.gz",
    "slabs/LIDC-IDRI-0002/ct.nii.gz",
    "slabs/LIDC-IDRI-0003/ct.nii.gz",
)


@pytest.mark.real
@pytest.mark.parametrize("place", REAL)
def test_real_lungs_are_told_apart(shared_data: Path, place: str) -> None:
    organ = find_lungs(read_volume(shared_data / "data" / "chest_ct" / place))
    assert organ.trusted
    left, right = organ.surroundings.sides
    assert (left.name, right.name) == ("left", "right")
    assert not (left.array & right.array).any()
    middles = [region.grid.to_physical(np.argwhere(region.array).mean(axis=0))[0] for region in (left, right)]
    assert middles[0] - middles[1] > 100
    assert 0.3 < left.array.sum() / right.array.sum() < 3
