"""The search region: right on a made-up chest, and never without the annotated nodule on real ones."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.display import AnatomicalView
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.inference.coarse import coarse_copy
from napari_lesion.inference.lungs import find_lungs
from napari_lesion.inference.organs import find_organ, mask_on, native_box

FACES = {"right": (2, slice(60, None)), "left": (2, slice(None, -60)), "front": (1, slice(45, None))}


@cache
def chest() -> tuple[np.ndarray, np.ndarray]:
    """A chest of ellipsoids at 2 mm, display order: body in air, two lungs, trachea, table; and the lungs."""
    z, y, x = np.meshgrid(*[np.arange(n) for n in (120, 140, 180)], indexing="ij")

    def ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        return sum(((axis - c) / r) ** 2 for axis, c, r in zip((z, y, x), centre, radii, strict=True)) < 1

    hu = np.full(z.shape, -1000.0)
    hu[ellipsoid((60, 70, 90), (400, 58, 82))] = 40
    hu[(abs(y - 134) < 2)] = -300
    lungs = ellipsoid((68, 70, 54), (45, 40, 26)) | ellipsoid((68, 70, 126), (45, 40, 26))
    hu[lungs] = -850
    hu[((y - 70) ** 2 + (x - 90) ** 2 < 16) & (z < 60)] = -995
    return (hu + np.random.default_rng(0).normal(0, 25, hu.shape)).astype(np.int16), lungs


def volume_of(hu: np.ndarray, direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, -1)) -> Volume:
    """Volume whose native array is in display order (first axis to inferior)."""
    z, y, x = hu.shape
    return Volume(hu, Grid((x, y, z), (2.0, 2.0, 2.0), direction=direction), Modality.CT)


def test_a_whole_chest_is_trusted() -> None:
    hu, lungs = chest()
    organ = find_lungs(volume_of(hu))
    assert organ.trusted
    assert organ.volume_ml == pytest.approx(lungs.sum() * 8 / 1000, rel=0.05)
    region = mask_on(organ, volume_of(hu).grid)
    assert region[lungs].all()
    assert not region[:, :10].any()
    assert not region[:15].any(), "the trachea above the lungs is searched"
    assert region.sum() < 1.6 * lungs.sum()


def test_the_orientation_of_the_file_does_not_matter() -> None:
    hu, _ = chest()
    expected = mask_on(find_lungs(volume_of(hu)), volume_of(hu).grid)
    # axes permuted and flipped: x to S, y to R, z to A
    native = np.ascontiguousarray(hu.transpose(1, 2, 0)[::-1, ::-1, ::-1])
    z, y, x = native.shape
    grid = Grid((x, y, z), (2.0, 2.0, 2.0), direction=(0, -1, 0, 0, 0, -1, 1, 0, 0))
    region = mask_on(find_lungs(Volume(native, grid, Modality.CT)), grid)
    np.testing.assert_array_equal(AnatomicalView.of(grid).apply(region), expected)


@pytest.mark.parametrize("place", [(68, 70, 54), (68, 70, 30), (68, 34, 54), (105, 70, 60)])
@pytest.mark.parametrize("radius", [4, 8])
def test_a_nodule_at_any_place_is_searched(place: tuple[int, int, int], radius: int) -> None:
    hu, lungs = chest()
    hu = hu.copy()
    index = np.stack(np.meshgrid(*[np.arange(n) for n in hu.shape], indexing="ij"), axis=-1)
    ball = np.linalg.norm(index - place, axis=-1) < radius
    hu[ball] = 30
    region = mask_on(find_lungs(volume_of(hu)), volume_of(hu).grid)
    # a small nodule lies inside; a mass of 32 mm at the pleura reaches in, and the engine keeps such a mark whole
    assert region[ball & lungs].mean() > (0.99 if radius == 4 else 0.5)


@pytest.mark.parametrize("face", list(FACES))
def test_a_cut_lung_is_not_trusted(face: str) -> None:
    axis, kept = FACES[face]
    hu, _ = chest()
    organ = find_lungs(volume_of(np.ascontiguousarray(hu[(slice(None),) * axis + (kept,)])))
    assert not organ.trusted
    assert organ.array is None
    assert "whole volume is searched" in organ.reason


def test_one_airless_lung_is_not_trusted() -> None:
    hu, lungs = chest()
    hu = hu.copy()
    hu[:, :, 90:][lungs[:, :, 90:]] = 20
    organ = find_lungs(volume_of(hu))
    assert not organ.trusted
    assert "one lung" in organ.reason


@pytest.mark.parametrize("fill", [-1000, 0, 40])
def test_a_volume_without_lungs_is_not_trusted(fill: int) -> None:
    assert not find_lungs(volume_of(np.full((60, 140, 180), fill, np.int16))).trusted


def test_gas_in_the_bowel_is_no_lung() -> None:
    hu, lungs = chest()
    hu = hu.copy()
    hu[lungs] = np.random.default_rng(1).normal(-1000, 25, lungs.sum()).clip(-1024)
    organ = find_lungs(volume_of(hu[60:]))
    assert not organ.trusted
    assert "No lungs" in organ.reason


def test_few_slices_are_enough() -> None:
    hu, lungs = chest()
    organ = find_lungs(volume_of(hu[60:66]))
    assert organ.trusted
    assert mask_on(organ, volume_of(hu[60:66]).grid)[lungs[60:66]].all()


def test_padding_and_missing_values_do_not_matter() -> None:
    hu, _ = chest()
    odd = hu.astype(np.float32)
    odd[:, :20, :20] = np.nan
    odd[:, -4:] = -3024
    assert find_lungs(volume_of(odd)).trusted


def test_other_models_search_everything() -> None:
    hu, _ = chest()
    volume = volume_of(hu)
    organ = find_organ(volume, "brain", Modality.MR)
    assert not organ.trusted
    assert mask_on(organ, volume.grid).all()
    assert native_box(organ, volume.grid) == tuple(slice(0, n) for n in hu.shape)


def test_found_once_for_each_volume() -> None:
    hu, _ = chest()
    volume = volume_of(hu)
    assert find_organ(volume, "lung", Modality.CT) is find_organ(volume, "lung", Modality.CT)
    assert find_organ(volume, "lung", Modality.CT) is not find_organ(replace(volume), "lung", Modality.CT)


def test_cancel() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(JobCancelled):
        find_lungs(volume_of(chest()[0]), JobContext(token))


def test_coarse_copy_keeps_places_and_means() -> None:
    array = np.arange(7 * 9 * 11, dtype=np.int16).reshape(7, 9, 11)
    grid = Grid((11, 9, 7), (0.7, 0.8, 1.0))
    coarse, coarse_grid = coarse_copy(Volume(array, grid), 2.0, -1e4, 1e4)
    assert coarse.shape == coarse_grid.shape
    assert coarse[0, 0, 0] == array[:2, :2, :3].mean()
    assert coarse[-1, -1, -1] == array[6:, 8:, 9:].mean()
    inside = coarse_grid.to_physical([1, 1, 1])
    np.testing.assert_allclose(inside, grid.to_physical([2.5, 2.5, 4]))


def _read(path: Path) -> tuple[np.ndarray, Grid]:
    import SimpleITK as sitk

    if path.is_dir():
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
        image = reader.Execute()
    else:
        image = sitk.ReadImage(str(path))
    grid = Grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    return sitk.GetArrayFromImage(image), grid


@pytest.mark.real
def test_no_crop_of_lidc_loses_its_nodule(shared_data: Path) -> None:
    folder = shared_data / "data" / "lidc_nodules"
    crops = sorted((folder / "images").glob("*.nii.gz"))
    assert len(crops) > 50
    for path in crops:
        array, grid = _read(path)
        nodule, _ = _read(folder / "masks" / path.name)
        organ = find_lungs(Volume(array, grid, Modality.CT))
        assert not organ.trusted, path.name
        assert mask_on(organ, grid)[nodule > 0].all(), path.name


@pytest.mark.real
@pytest.mark.parametrize(
    ("case", "votes"),
    [
        ("background/QIN-LSC-0014", 5),
        ("background/QIN-LSC-0028", 5),
        ("background/QIN-LUNG-01-0007", 5),
        ("slabs/LIDC-IDRI-0002", 1),
        ("slabs/LIDC-IDRI-0003", 1),
    ],
)
def test_whole_scans_and_slabs(shared_data: Path, case: str, votes: int) -> None:
    folder = shared_data / "data" / "chest_ct" / case
    array, grid = _read(folder / "ct.nii.gz")
    nodule, _ = _read(folder / "mask_agreement.nii.gz")
    organ = find_lungs(Volume(array, grid, Modality.CT))
    assert organ.trusted, organ.reason
    assert mask_on(organ, grid)[nodule >= votes].mean() > 0.99


@pytest.mark.real
def test_an_estimated_place(shared_data: Path) -> None:
    folder = shared_data / "data" / "chest_ct" / "background" / "CMB-CRC-MSB-01068"
    array, grid = _read(folder / "ct.nii.gz")
    with (folder / "nodules.csv").open(encoding="utf-8") as lines:
        places = [[float(row[f"{axis}_lps_mm"]) for axis in "xyz"] for row in csv.DictReader(lines)]
    organ = find_lungs(Volume(array, grid, Modality.CT))
    assert organ.trusted, organ.reason
    region = mask_on(organ, grid)
    assert all(region[tuple(np.rint(grid.to_index(place)).astype(int))] for place in places)


@pytest.mark.real
def test_a_mass_at_the_mediastinum_reaches_into_the_region(shared_data: Path) -> None:
    folder = shared_data / "data" / "chest_ct" / "Lung_Dx-A0001"
    array, grid = _read(folder / "ct.nii.gz")
    boxes, _ = _read(folder / "boxes.nii.gz")
    organ = find_lungs(Volume(array, grid, Modality.CT))
    assert organ.trusted, organ.reason
    region = mask_on(organ, grid)
    shares = [region[z][boxes[z] > 0].mean() for z in range(len(boxes)) if boxes[z].any()]
    assert min(shares) > 0.1


@pytest.mark.real
def test_the_whole_series_of_lidc_0314(shared_data: Path) -> None:
    folder = shared_data / "data" / "chest_ct" / "LIDC-IDRI-0314"
    array, grid = _read(folder / "dicom")
    nodule, mask_grid = _read(folder / "mask_agreement.nii.gz")
    assert grid.agrees_with(mask_grid, tolerance_voxels=0.5)
    organ = find_lungs(Volume(array, grid, Modality.CT))
    assert organ.trusted, organ.reason
    assert 2000 < organ.volume_ml < 4000
    region = mask_on(organ, grid)
    assert region[nodule > 0].all()
    # a crop around the nodule, as the sample that ships, is not trusted
    crop = (slice(100, 220), slice(150, 350), slice(100, 300))
    assert not find_lungs(Volume(array[crop], grid.cropped(crop), Modality.CT)).trusted
