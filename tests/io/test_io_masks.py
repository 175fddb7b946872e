"""A mask lies on the very grid of the image, as two other readers see it, or it is not kept."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from grids import ALIGNED, NAMES, SIZE, aligned_grid, grids
from hypothesis import given, settings
from hypothesis import strategies as st
from io_dicom_files import Series, write_series

from napari_lesion.core.errors import GeometryError, InputError, OutputError
from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import LabelMap, Source
from napari_lesion.io.masks import read_labels, verify_labels, write_labels
from napari_lesion.io.read import read_volume

FORMATS = (".nii.gz", ".nii", ".nrrd", ".mha")


def values(size: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-900, 2000, size[::-1]).astype(np.int16)


def lesions(grid: Grid) -> LabelMap:
    """Two lesions without any symmetry."""
    array = np.zeros(grid.shape, np.uint16)
    array[0, 0, 0:2] = 1
    array[-1, -1, -1] = 7
    return LabelMap(array, grid)


def itk_geometry(path: Path) -> tuple[object, ...]:
    image = SimpleITK.ReadImage(str(path))
    return image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection()


def itk_image(grid: Grid) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(values(grid.size))
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return image


def roundtrip(folder: Path, name: str) -> Path:
    """Open an image and write a mask of it in the same format."""
    volume = read_volume(folder / name)
    mask = folder / f"mask{name[name.index('.') :]}"
    labels = lesions(volume.grid)
    write_labels(mask, labels, volume.source)
    assert verify_labels(mask, labels) == 2
    assert read_labels(mask).grid == volume.grid
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(mask))), labels.array)
    return mask


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("direction", ALIGNED, ids=NAMES)
def test_the_grid_of_the_file_is_kept_bit_for_bit(tmp_path: Path, direction: tuple[float, ...], suffix: str) -> None:
    SimpleITK.WriteImage(itk_image(aligned_grid(direction)), str(tmp_path / f"scan{suffix}"))
    mask = roundtrip(tmp_path, f"scan{suffix}")
    assert itk_geometry(mask) == itk_geometry(tmp_path / f"scan{suffix}")
    if suffix.startswith(".nii"):
        same_for_nibabel(mask, tmp_path / f"scan{suffix}")


def same_for_nibabel(mask: Path, scan: Path) -> None:
    one, other = nibabel.load(mask), nibabel.load(scan)
    np.testing.assert_array_equal(one.affine, other.affine)
    for form in ("get_qform", "get_sform"):
        (affine, code), (wanted, wanted_code) = (getattr(i, form)(coded=True) for i in (one, other))
        assert code == wanted_code
        if code:
            np.testing.assert_array_equal(affine, wanted)
    np.testing.assert_array_equal(one.header["pixdim"][:4], other.header["pixdim"][:4])
    assert int(one.header["xyzt_units"]) == int(other.header["xyzt_units"])
    assert one.shape == other.shape[:3]


@settings(max_examples=40, deadline=None)
@given(grid=grids(), suffix=st.sampled_from(FORMATS))
def test_any_grid_is_kept_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, grid: Grid, suffix: str) -> None:
    folder = tmp_path_factory.mktemp("grid")
    SimpleITK.WriteImage(itk_image(grid), str(folder / f"scan{suffix}"))
    mask = roundtrip(folder, f"scan{suffix}")
    assert itk_geometry(mask) == itk_geometry(folder / f"scan{suffix}")
    if suffix.startswith(".nii"):
        same_for_nibabel(mask, folder / f"scan{suffix}")


@settings(max_examples=40, deadline=None)
@given(grid=grids(), codes=st.sampled_from([(1, 0), (0, 1), (1, 1), (2, 4), (1, 2), (3, 3)]))
def test_nifti_written_by_nibabel_keeps_its_forms(
    tmp_path_factory: pytest.TempPathFactory, grid: Grid, codes: tuple[int, int]
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    image = nibabel.Nifti1Image(values(grid.size).T, grid.affine_ras)
    image.set_qform(grid.affine_ras, code=codes[0])
    image.set_sform(grid.affine_ras, code=codes[1])
    nibabel.save(image, folder / "scan.nii.gz")
    volume = read_volume(folder / "scan.nii.gz")
    assert volume.grid.agrees_with(grid, 0.01)
    np.testing.assert_array_equal(volume.array, values(grid.size))
    same_for_nibabel(roundtrip(folder, "scan.nii.gz"), folder / "scan.nii.gz")


def test_nifti_2_which_simpleitk_cannot_read_keeps_its_double_precision(tmp_path: Path) -> None:
    affine = np.diag([1 / 3, 0.7, 1.1, 1.0])
    nibabel.save(nibabel.Nifti2Image(values(SIZE).T, affine), tmp_path / "scan.nii")
    volume = read_volume(tmp_path / "scan.nii")
    assert volume.grid.spacing == (1 / 3, 0.7, 1.1)
    assert not volume.source.notes
    write_labels(tmp_path / "mask.nii", lesions(volume.grid), volume.source)
    assert verify_labels(tmp_path / "mask.nii", lesions(volume.grid)) == 2
    same_for_nibabel(tmp_path / "mask.nii", tmp_path / "scan.nii")


def test_a_4d_file_of_one_image_gets_a_3d_mask(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(values(SIZE).T[..., None], np.diag([2, 3, 4, 1])), tmp_path / "scan.nii")
    mask = roundtrip(tmp_path, "scan.nii")
    assert nibabel.load(mask).shape == SIZE
    np.testing.assert_array_equal(nibabel.load(mask).affine, nibabel.load(tmp_path / "scan.nii").affine)


def test_a_header_that_simpleitk_refuses_is_kept_as_it_is(tmp_path: Path) -> None:
    affine = np.array([[1, 0.002, 0, 4], [0, 1, 0, 5], [0, 0, 2, 6], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(values(SIZE).T, affine), tmp_path / "scan.nii.gz")
    volume = read_volume(tmp_path / "scan.nii.gz")
    write_labels(tmp_path / "mask.nii.gz", lesions(volume.grid), volume.source)
    assert verify_labels(tmp_path / "mask.nii.gz", lesions(volume.grid)) == 2
    same_for_nibabel(tmp_path / "mask.nii.gz", tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior", "left-anterior-superior"])
def test_nrrd_keeps_its_space(tmp_path: Path, space: str) -> None:
    header = (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: {space}\nsizes: 5 7 6\n"
        "space directions: (0.1,0.2,0.3) (0.6,-0.3,0) (0.19090909,0.38181818,-0.31818181)\n"
        "kinds: domain domain domain\nendian: little\nencoding: raw\nspace origin: (0.1,-3.3333333333333335,1e2)\n\n"
    )
    (tmp_path / "scan.nrrd").write_bytes(header.encode() + values(SIZE).tobytes())
    mask = roundtrip(tmp_path, "scan.nrrd")
    assert itk_geometry(mask) == itk_geometry(tmp_path / "scan.nrrd")
    assert f"space: {space}".encode() in mask.read_bytes()


@settings(max_examples=30, deadline=None)
@given(grid=grids(), formats=st.sampled_from(list(itertools.permutations((".nii.gz", ".nrrd", ".mha"), 2))))
def test_other_formats_are_as_exact_as_they_can_be(
    tmp_path_factory: pytest.TempPathFactory, grid: Grid, formats: tuple[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("cross")
    scan, mask = folder / f"scan{formats[0]}", folder / f"mask{formats[1]}"
    SimpleITK.WriteImage(itk_image(grid), str(scan))
    volume = read_volume(scan)
    write_labels(mask, lesions(volume.grid), volume.source)
    assert verify_labels(mask, lesions(volume.grid)) == 2
    digits = 2e-6 if formats[1] == ".nii.gz" else 1e-14
    for read, wanted in zip(itk_geometry(mask), itk_geometry(scan), strict=True):
        np.testing.assert_allclose(read, wanted, rtol=digits, atol=digits)


def test_a_mask_of_a_dicom_series_overlays_it(tmp_path: Path) -> None:
    write_series(tmp_path / "dicom", Series(orientation=(0.8, 0.6, 0, -0.6, 0.8, 0)))
    volume = read_volume(tmp_path / "dicom")
    for suffix in FORMATS:
        write_labels(tmp_path / f"mask{suffix}", lesions(volume.grid), volume.source)
        _, spacing, origin, direction = itk_geometry(tmp_path / f"mask{suffix}")
        exact = 1e-14 if suffix in (".nrrd", ".mha") else 1e-6
        np.testing.assert_allclose(spacing, volume.grid.spacing, rtol=exact)
        np.testing.assert_allclose(origin, volume.grid.origin, rtol=exact)
        np.testing.assert_allclose(direction, volume.grid.direction, atol=exact)
        affine = nibabel.load(tmp_path / f"mask{suffix}").affine if suffix.startswith(".nii") else None
        if affine is not None:
            np.testing.assert_allclose(affine, volume.grid.affine_ras, rtol=1e-6, atol=1e-5)


@pytest.mark.real
def test_masks_of_real_files_lie_on_them(shared_data: Path, tmp_path: Path) -> None:
    data = shared_data / "data"
    scans = [
        *sorted((data / "brain_flair").glob("*/flair.nii.gz"))[:6],
        *sorted((data / "other").glob("*/*.nii.gz"))[:12],
        *sorted((data / "lidc_nodules" / "images").glob("*.nii.gz"))[:3],
        data / "chest_ct" / "slabs" / "LIDC-IDRI-0002" / "ct.nii.gz",
    ]
    for scan in scans:
        volume = read_volume(scan)
        write_labels(tmp_path / "mask.nii.gz", lesions(volume.grid), volume.source)
        assert verify_labels(tmp_path / "mask.nii.gz", lesions(volume.grid)) == 2
        same_for_nibabel(tmp_path / "mask.nii.gz", scan)
        assert itk_geometry(tmp_path / "mask.nii.gz")[:4] == itk_geometry(scan)[:4]


def test_nothing_of_the_header_but_its_geometry_goes_into_the_mask(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(values(SIZE).T, np.eye(4))
    image.header["descrip"], image.header["aux_file"], image.header["db_name"] = b"Doe^Jane", b"Jane", b"19500102"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Doe^Jane"))
    nibabel.save(image, tmp_path / "scan.nii")
    content = roundtrip(tmp_path, "scan.nii").read_bytes()
    assert b"Jane" not in content
    assert b"1950" not in content


@pytest.mark.parametrize(
    ("highest", "dtype"),
    [(1, np.uint8), (255, np.uint8), (256, np.uint16), (70_000, np.uint32), (2**25 + 1, np.uint32)],
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_labels_keep_every_digit_in_the_smallest_type(tmp_path: Path, suffix: str, highest: int, dtype: type) -> None:
    grid = aligned_grid(ALIGNED[0])
    array = np.zeros(grid.shape, np.int64)
    array[1, 2, 3], array[2, 3, 4] = highest, 1
    labels = LabelMap(array, grid)
    path = tmp_path / f"mask{suffix}"
    write_labels(path, labels, Source())
    assert verify_labels(path, labels) == len({1, highest})
    again = read_labels(path)
    assert again.array.dtype == dtype
    np.testing.assert_array_equal(again.array, array)


def test_an_empty_mask_is_written_and_verified(tmp_path: Path) -> None:
    labels = LabelMap.empty(aligned_grid(ALIGNED[5]))
    write_labels(tmp_path / "mask.nii.gz", labels, Source())
    assert verify_labels(tmp_path / "mask.nii.gz", labels) == 0


@pytest.mark.parametrize("name", ["mask.mhd", "mask.nhdr", "mask.dcm", "mask"])
def test_formats_that_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"Choose \.nii\.gz"):
        write_labels(tmp_path / name, lesions(aligned_grid(ALIGNED[0])), Source())
    assert not list(tmp_path.iterdir())


def _moved(labels: LabelMap) -> LabelMap:
    x, y, z = labels.grid.origin
    return LabelMap(labels.array, Grid(labels.grid.size, labels.grid.spacing, (x + 0.4, y, z), labels.grid.direction))


def _flipped(labels: LabelMap) -> LabelMap:
    return LabelMap(labels.array[:, :, ::-1], labels.grid)


def _with(labels: LabelMap, index: tuple[int, int, int], label: int) -> LabelMap:
    array = labels.array.copy()
    array[index] = label
    return LabelMap(array, labels.grid)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (_moved, "from its place"),
        (_flipped, "from its place"),
        (lambda m: _with(m, (-1, -1, -1), 0), "Lesion 7 has 0 voxels"),
        (lambda m: _with(m, (0, 0, 2), 1), "Lesion 1 has 3 voxels"),
        (lambda m: _with(m, (3, 3, 3), 9), "Lesion 9 is in the file"),
        (lambda m: LabelMap(m.array[1:], m.grid.cropped((slice(1, None), slice(None), slice(None)))), "has the size"),
    ],
)
def test_a_mask_that_reads_otherwise_is_removed(tmp_path: Path, wrong: object, words: str) -> None:
    labels = lesions(aligned_grid(ALIGNED[0]))
    write_labels(tmp_path / "mask.nrrd", wrong(labels), Source())  # type: ignore[operator]
    with pytest.raises(OutputError, match=words):
        verify_labels(tmp_path / "mask.nrrd", labels)
    assert not list(tmp_path.iterdir())


def test_a_mask_that_cannot_be_read_is_removed(tmp_path: Path) -> None:
    labels = lesions(aligned_grid(ALIGNED[0]))
    path = tmp_path / "mask.nii.gz"
    write_labels(path, labels, Source())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(OutputError, match="removed"):
        verify_labels(path, labels)
    assert not path.exists()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((3, 3, 3), 0.5, np.float32), "not whole numbers"),
        (np.full((3, 3, 3), np.nan, np.float32), "not whole numbers"),
        (np.full((3, 3, 3), -1, np.int16), "negative"),
    ],
)
def test_images_that_are_no_masks(tmp_path: Path, array: np.ndarray, words: str) -> None:
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "mask.nii.gz")
    with pytest.raises(InputError, match=words):
        read_labels(tmp_path / "mask.nii.gz")


def test_whole_numbers_stored_as_floats_are_a_mask(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.full((3, 3, 3), 300.0), np.eye(4)), tmp_path / "mask.nii.gz")
    assert read_labels(tmp_path / "mask.nii.gz").array.dtype == np.uint16


def test_masks_that_are_not_there_or_sheared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_labels(tmp_path / "none.nii.gz")
    (tmp_path / "mask.txt").write_text("")
    with pytest.raises(InputError, match="not a mask that can be opened"):
        read_labels(tmp_path / "mask.txt")
    affine = np.eye(4)
    affine[0, 1] = 0.3
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 3, 3), np.uint8), affine), tmp_path / "mask.nii")
    with pytest.raises(GeometryError, match="no rectangular grid"):
        read_labels(tmp_path / "mask.nii")
