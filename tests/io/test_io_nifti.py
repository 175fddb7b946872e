"""NIfTI, NRRD and MetaImage: values, geometry, and every kind of broken file."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from napari_lesion.core.errors import GeometryError, InputError
from napari_lesion.core.findings import Level
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext
from napari_lesion.core.volume import Modality
from napari_lesion.io.check import check_input
from napari_lesion.io.read import guess_modality, read_volume

SHAPE = (8, 9, 10)
PIXDIM, QFORM_CODE, SFORM_CODE, QUATERNION, SROW = 80, 252, 254, 256, 280


def array(dtype: type = np.int16, low: int = 0, high: int = 200) -> np.ndarray:
    return np.random.default_rng(3).integers(low, high, SHAPE).astype(dtype)


def save(
    path: Path, values: np.ndarray | None = None, affine: np.ndarray | None = None, codes: tuple[int, int] = (1, 1)
) -> Path:
    affine = np.diag([-0.7, -0.7, 1.5, 1.0]) if affine is None else affine
    image = nibabel.Nifti1Image(array() if values is None else values, affine)
    image.set_qform(affine, code=codes[0])
    image.set_sform(affine, code=codes[1])
    nibabel.save(image, path)
    return path


def patch(path: Path, offset: int, form: str, *values: float) -> Path:
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, offset, *values)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_whole_numbers_that_fit_are_kept_as_int16(tmp_path: Path, dtype: type, suffix: str) -> None:
    values = array(dtype, 0, 100)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values.T.copy()), str(tmp_path / f"a{suffix}"))
    volume = read_volume(tmp_path / f"a{suffix}")
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array, values.T)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_other_values_become_float32(tmp_path: Path, dtype: type) -> None:
    values = array(dtype) + dtype(40_000)
    volume = read_volume(save(tmp_path / "a.nii", values))
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, values.T.astype(np.float32))


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(tmp_path: Path, order: str) -> None:
    image = nibabel.Nifti1Image(array(), np.eye(4), nibabel.Nifti1Header(endianness=order))
    nibabel.save(image, tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert volume.array.dtype.isnative
    np.testing.assert_array_equal(volume.array, array().T)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (2.0, 3.0), (0.1, 0.5), (-1.0, 0.0), (400.0, 0.0)])
def test_rescaling_is_that_of_simpleitk(tmp_path: Path, slope: float, intercept: float) -> None:
    path = patch(save(tmp_path / "a.nii"), 112, "<2f", slope, intercept)
    volume = read_volume(path)
    expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    np.testing.assert_allclose(volume.array, expected, rtol=1e-6)
    whole = slope.is_integer() and intercept.is_integer() and abs(slope) < 100
    assert volume.array.dtype == (np.int16 if whole else np.float32)


@pytest.mark.parametrize("name", ["a.nii.gz", "A.NII.GZ", "a.nii"])
def test_the_array_is_z_y_x_and_read_only(tmp_path: Path, name: str) -> None:
    volume = read_volume(save(tmp_path / name))
    np.testing.assert_array_equal(volume.array, array().T)
    assert not volume.array.flags.writeable
    assert (volume.source.case, volume.source.path) == (name[:1], tmp_path / name)


def test_units_other_than_millimetres_are_converted(tmp_path: Path) -> None:
    path = patch(save(tmp_path / "a.nii", affine=np.diag([0.0007, 0.0007, 0.0015, 1.0])), 123, "<b", 1)
    volume = read_volume(path)
    assert volume.grid.spacing == pytest.approx((0.7, 0.7, 1.5))
    assert "two_geometries" not in check_input(volume).codes


def test_directions_off_by_rounding_are_mended_and_noted(tmp_path: Path) -> None:
    affine = np.array([[0.7, 0.002, 0, -50], [0, 0.7, 0.001, 20], [0, 0, 1.5, 9], [0, 0, 0, 1]])
    path = save(tmp_path / "a.nii.gz", affine=affine, codes=(0, 2))
    with pytest.raises(RuntimeError):
        SimpleITK.ReadImage(str(path))
    volume = read_volume(path)
    assert volume.grid.shear < 1e-12
    assert "mended" in volume.source.notes[0]
    corners = np.array([(0, 0, 0), (9, 8, 7)])
    true = (np.diag([-1, -1, 1, 1]) @ affine @ np.c_[corners[:, ::-1], [1, 1]].T)[:3].T
    np.testing.assert_allclose(volume.grid.to_physical(corners), true, atol=0.02)
    assert "mended" in check_input(volume).codes


@pytest.mark.parametrize("codes", [(0, 2), (1, 1), (1, 2)])
def test_a_sheared_file_is_refused_or_resampled(tmp_path: Path, codes: tuple[int, int]) -> None:
    affine = np.array([[0.7, 0.2, 0, -50], [0, 0.7, 0, 20], [0, 0, 1.5, 9], [0, 0, 0, 1]])
    values = np.zeros(SHAPE, np.int16)
    values[3:6, 3:7, 4:8] = 1000
    path = save(tmp_path / "a.nii.gz", values, affine, codes)
    with pytest.raises(GeometryError, match="degrees off the perpendicular") as caught:
        read_volume(path)
    assert "resampling" in caught.value.todo
    volume = read_volume(path, resample_sheared=True)
    assert volume.grid.shear < 1e-12
    assert "Resampled" in volume.source.notes[0]
    assert "resampled" in check_input(volume).codes
    # The bright block keeps its place and its volume.
    weight = volume.array.astype(float)
    index = np.array([(weight * axis).sum() / weight.sum() for axis in np.indices(weight.shape)])
    true = (np.diag([-1, -1, 1, 1]) @ affine @ (4, 4.5, 5.5, 1))[:3]
    np.testing.assert_allclose(volume.grid.to_physical(index), true, atol=0.05)
    stored = 1000 * 3 * 4 * 4 * np.linalg.det(affine[:3, :3])
    assert weight.sum() * volume.grid.voxel_volume_mm3 == pytest.approx(stored, rel=0.02)


def test_the_sheared_fit_to_an_atlas_does_not_hide_the_scanner(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii")
    patch(patch(path, SFORM_CODE, "<h", 4), SROW, "<12f", 0.9, 0.3, 0, 1, 0, 0.8, 0, 2, 0, 0, 1.1, 3)
    volume = read_volume(path)
    assert volume.grid.spacing == pytest.approx((0.7, 0.7, 1.5))
    assert "two_geometries" in check_input(volume).codes


def test_an_invalid_qform_leaves_the_sform(tmp_path: Path) -> None:
    path = patch(save(tmp_path / "a.nii"), QUATERNION, "<3f", 0.9, 0.9, 0.9)
    assert read_volume(path).grid.direction == pytest.approx((1, 0, 0, 0, 1, 0, 0, 0, 1))
    patch(path, SFORM_CODE, "<h", 0)
    with pytest.raises(GeometryError, match="no usable geometry"):
        read_volume(path)


def test_a_file_without_directions_is_opened_and_told(tmp_path: Path) -> None:
    volume = read_volume(save(tmp_path / "a.nii", codes=(0, 0)))
    (finding,) = [f for f in check_input(volume).findings if f.code == "orientation_unknown"]
    assert finding.level == Level.YELLOW


def test_two_voxel_sizes_in_one_header_are_told(tmp_path: Path) -> None:
    path = patch(save(tmp_path / "a.nii"), SROW, "<12f", -2, 0, 0, 0, 0, -2, 0, 0, 0, 0, 2, 0)
    (finding,) = [f for f in check_input(read_volume(path)).findings if f.code == "two_geometries"]
    assert "the sform states voxels of 2x2x2 mm, and 0.7x0.7x1.5 mm are used" in finding.message


@pytest.mark.parametrize("value", [0.0, float("nan"), -1.0, float("inf")])
def test_spacing_that_is_not_positive(tmp_path: Path, value: float) -> None:
    with pytest.raises(GeometryError, match="spacing is not positive"):
        read_volume(patch(save(tmp_path / "a.nii"), PIXDIM, "<f", value))


@pytest.mark.parametrize("text", ["0 1 1", "nan 1 1"])
def test_spacing_that_is_not_positive_in_a_meta_image(tmp_path: Path, text: str) -> None:
    header = (
        f"ObjectType = Image\nNDims = 3\nElementSpacing = {text}\nDimSize = 2 2 2\n"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    (tmp_path / "a.mha").write_bytes(header.encode() + bytes(16))
    with pytest.raises(GeometryError, match="spacing is not positive"):
        read_volume(tmp_path / "a.mha")


@pytest.mark.parametrize(
    "directions", ["(0,0,0) (0,1,0) (0,0,1)", "(1,0,0) (1,0,0) (0,0,1)", "(nan,0,0) (0,1,0) (0,0,1)"]
)
def test_directions_that_span_no_volume_in_a_nrrd(tmp_path: Path, directions: str) -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n"
        f"space directions: {directions}\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(16))
    with pytest.raises(InputError, match=r"spacing is not positive|damaged"):
        read_volume(tmp_path / "a.nrrd")


def test_a_sheared_nrrd_is_refused_or_resampled(tmp_path: Path) -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 10 9 8\n"
        "space directions: (1,0,0) (0.3,1,0) (0,0,1)\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + array().tobytes())
    with pytest.raises(GeometryError, match="resampling"):
        read_volume(tmp_path / "a.nrrd")
    assert "resampled" in check_input(read_volume(tmp_path / "a.nrrd", resample_sheared=True)).codes


def _stack(n: int) -> np.ndarray:
    return np.stack([array()] * n, axis=-1)


def _colour(path: Path) -> Path:
    values = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    return path


def _itk_colour(path: Path) -> Path:
    SimpleITK.WriteImage(SimpleITK.Image([4, 5, 6], SimpleITK.sitkVectorUInt8, 3), str(path))
    return path


def _cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def _flip_byte(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return path


def _swap(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    return path


def _text(path: Path) -> Path:
    path.write_text("this is no image\n" * 100)
    return path


def _itk(path: Path, *, compressed: bool = False) -> Path:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array()), str(path), compressed)
    return path


def _mhd_alone(path: Path) -> Path:
    _itk(path)
    path.with_suffix(".raw").unlink()
    return path


BROKEN: list[tuple[str, Callable[[Path], Path], str]] = [
    ("a.nii.gz", lambda p: _cut(save(p), 0.5), "break off"),
    ("a.nii.gz", lambda p: _cut(save(p), 0.995), "break off"),
    ("a.nii.gz", lambda p: _flip_byte(save(p)), "corrupt|damaged"),
    ("a.nii", lambda p: _cut(save(p), 0.5), "Only 3[0-9]% of its voxels"),
    ("a.nii", lambda p: _cut(save(p), 0.1), "no NIfTI header"),
    ("a.nii", _text, "no NIfTI header"),
    ("a.nii.gz", _text, "no NIfTI header"),
    ("a.nii.gz", lambda p: (p.write_bytes(gzip.compress(b"text" * 400)) and p) or p, "no NIfTI header"),
    ("a.nii", lambda p: p.touch() or p, "no NIfTI header"),
    ("a.nii", lambda p: save(p, array()[..., 0]), "not a 3-D image.*2 dimensions of size 8x9"),
    ("a.nii.gz", lambda p: save(p, _stack(2)), "not a 3-D image.*8x9x10x2"),
    ("a.nii", _colour, "colour"),
    ("a.nii", lambda p: save(p, array().astype(np.complex64)), "complex64"),
    ("a.nii", lambda p: patch(save(p), 40, "<8h", 9, 8, 9, 10, 1, 1, 1, 1), "dimensions"),
    ("a.nii", lambda p: patch(save(p), 40, "<8h", 3, 8, 0, 10, 1, 1, 1, 1), "dimensions"),
    ("a.nrrd", _itk_colour, "3 channels"),
    ("a.nrrd", lambda p: _cut(_itk(p), 0.5), "damaged or incomplete"),
    ("a.nrrd", lambda p: _cut(_itk(p, compressed=True), 0.5), "damaged or incomplete"),
    ("a.nrrd", _text, "damaged or incomplete"),
    ("a.mha", lambda p: _cut(_itk(p), 0.5), "damaged or incomplete"),
    ("a.mha", _text, "damaged or incomplete"),
    ("a.mhd", _mhd_alone, "damaged or incomplete"),
    ("a.mha", lambda p: _swap(_itk(p), b"NDims = 3", b"NDims =-3"), "no size"),  # SimpleITK 2.5 crashes on it
    ("a.mha", lambda p: _swap(_itk(p), b"DimSize = 10 9 8", b"DimSize = 10 9 8000000"), "cannot hold"),
    ("a.nrrd", lambda p: _swap(_itk(p), b"sizes: 10 9 8", b"sizes: 10 9"), "no size"),
    ("a.nrrd", lambda p: _swap(_itk(p), b"dimension: 3", b"dimension: x"), "no size"),
    ("a.nii", lambda p: patch(save(p), 70, "<h", 777), "voxel type 777"),
    ("a.mha", lambda p: SimpleITK.WriteImage(SimpleITK.Image(4, 5, SimpleITK.sitkInt16), str(p)) or p, "size is 4x5"),
    ("none.nii", lambda p: p, "does not exist"),
]


@pytest.mark.parametrize(("name", "make", "words"), BROKEN, ids=[f"{n}-{w[:20]}" for n, _, w in BROKEN])
def test_broken_files_are_refused_in_plain_words(
    tmp_path: Path, name: str, make: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_volume(make(tmp_path / name))
    assert caught.value.what
    assert caught.value.todo
    assert "\n" not in caught.value.message


def test_an_offset_that_makes_no_sense_is_that_of_the_standard(tmp_path: Path) -> None:
    for offset in (float("nan"), -4.0, 1e30, 0.0):
        path = patch(save(tmp_path / "a.nii"), 108, "<f", offset)
        np.testing.assert_array_equal(read_volume(path).array, array().T)


def test_a_slope_beyond_single_precision_gives_values_that_are_counted(tmp_path: Path) -> None:
    volume = read_volume(patch(save(tmp_path / "a.nii"), 112, "<2f", 1e38, 0))
    assert "nonfinite" in check_input(volume).codes


def test_a_shear_that_no_scanner_makes_is_not_resampled(tmp_path: Path) -> None:
    affine = np.array([[0.01, 10, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    path = save(tmp_path / "a.nii", affine=affine, codes=(0, 1))
    with pytest.raises(GeometryError, match="cannot be resampled"):
        read_volume(path, resample_sheared=True)


def test_a_4d_file_with_one_image_is_fine(tmp_path: Path) -> None:
    assert read_volume(save(tmp_path / "a.nii.gz", _stack(1))).array.shape == SHAPE[::-1]


def test_a_meta_image_in_two_files(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_volume(_itk(tmp_path / "a.mhd")).array, array())


def test_voxels_that_are_no_numbers_are_counted(tmp_path: Path) -> None:
    values = array(np.float32)
    values[0, 0, :3] = np.nan
    values[1, 1, 1] = np.inf
    (finding,) = [
        f for f in check_input(read_volume(save(tmp_path / "a.nii", values))).findings if f.code == "nonfinite"
    ]
    assert finding.level == Level.YELLOW
    assert finding.message.startswith("4 voxels (0.56%)")
    values[:] = np.nan
    check = check_input(read_volume(save(tmp_path / "b.nii", values)))
    assert check.level == Level.RED


def test_an_image_of_one_value_is_told(tmp_path: Path) -> None:
    assert "constant" in check_input(read_volume(save(tmp_path / "a.nii", np.zeros(SHAPE, np.int16)))).codes


def test_a_good_file_is_green(tmp_path: Path) -> None:
    check = check_input(read_volume(save(tmp_path / "a.nii")))
    assert check.level == Level.GREEN
    assert check.headline == "10 slices, spacing 1.50 mm"


@pytest.mark.parametrize(
    ("low", "high", "modality"),
    [
        (-1024, 3000, Modality.CT),
        (-500, 4000, Modality.CT),
        (-499, 300, Modality.UNKNOWN),
        (-1000, 4001, Modality.UNKNOWN),
    ],
)
def test_the_modality_is_guessed_only_from_values_of_air_and_bone(low: int, high: int, modality: Modality) -> None:
    assert guess_modality(np.array([[[low, 0, high]]], np.int16)) == modality
    assert guess_modality(np.array([[[low, np.nan, high]]], np.float32)) == modality
    assert guess_modality(np.array([[[low, np.inf, high, -np.inf, np.nan]]], np.float32)) == modality


def test_the_word_of_the_user_goes_before_the_guess(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", array(np.int16, -1000, 1000))
    guessed, stated = read_volume(path), read_volume(path, modality=Modality.MR)
    assert (guessed.modality, guessed.source.modality_stated) == (Modality.CT, False)
    assert (stated.modality, stated.source.modality_stated) == (Modality.MR, True)


def test_a_ct_stated_by_the_user_without_negative_values_is_told(tmp_path: Path) -> None:
    volume = read_volume(save(tmp_path / "a.nii"), modality=Modality.CT)
    assert "missing_rescale" in check_input(volume).codes


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(JobCancelled):
        read_volume(save(tmp_path / "a.nii.gz"), ctx=JobContext(token))


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    [
        "chest_ct/slabs/LIDC-IDRI-0003/ct.nii.gz",
        "brain_flair/ljubljana_ms_p19/flair.nii.gz",
        "brain_flair/isles22_stroke0009/adc.nii.gz",
    ],
)
def test_real_files_read_as_by_simpleitk(shared_data: Path, name: str) -> None:
    path = shared_data / "data" / name
    volume, image = read_volume(path), SimpleITK.ReadImage(str(path))
    grid = volume.grid
    assert (grid.size, grid.spacing, grid.origin, grid.direction) == (
        image.GetSize(),
        image.GetSpacing(),
        image.GetOrigin(),
        image.GetDirection(),
    )
    np.testing.assert_allclose(volume.array, SimpleITK.GetArrayFromImage(image), rtol=1e-6)
    assert check_input(volume).level < Level.RED
