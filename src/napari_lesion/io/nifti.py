"""NIfTI: geometry as SimpleITK reads it, with nibabel as the second reader; voxels read so that damage is noticed.

SimpleITK returns a truncated NIfTI file as if it were whole, so the bytes are read here, counted, and their
gzip checksum verified; nibabel then interprets them.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import GeometryError, InputError
from napari_lesion.core.grid import FloatArray, Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.io.loaded import SHORT, Convert, Loaded, SkewedGrid, kept_type

MENDABLE_SHEAR = 5e-3
"""Departure of ``DᵀD`` from the identity that rounding in a header can explain."""
EXACT_SHEAR = 1e-6
"""Departure that single precision explains; nobody needs to hear of it."""
DISAGREEMENT_VOXELS = 0.05
"""Distance of a corner voxel in two geometries of one header, above which they are two."""
SPACING_DISAGREEMENT = 1e-3
QUATERNION_TOLERANCE = 1e-3
STANDARD_SPACE = 3
"""Codes from Talairach upwards say where a voxel lies in an atlas, not in the scanner."""
MILLIMETRES_OF_UNIT = {1: 1e3, 2: 1.0, 3: 1e-3}
LONGEST_HEADER = 540
CHUNK = 1 << 23
LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_nifti(path: Path, ctx: JobContext, convert: Convert = kept_type) -> Loaded:
    """Read a .nii or .nii.gz file with three dimensions (or more, of size 1).

    Parameters
    ----------
    path
        The file.
    ctx
        Progress and cancel.
    convert
        Chooses the type of the values.

    Raises
    ------
    InputError
        When the file is damaged, incomplete, no NIfTI, or not a 3-D image of one channel.
    GeometryError
        When its spacing is not positive, or its header holds no usable geometry.
    """
    content = _content(path, ctx)
    header = _header(path, content)
    shape = _shape(path, header)
    grid, headers, notes = _geometry(path, header, shape)
    array = convert(_voxels(path, header, content, shape))
    headers["nifti"] = geometry_fields(header)
    return Loaded(array, grid, headers, notes)


def _content(path: Path, ctx: JobContext) -> bytearray:
    """All bytes of the file, unpacked; the end mark and checksum of gzip are verified on the way."""
    total, content, looked = path.stat().st_size, bytearray(), False
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = gzip.GzipFile(fileobj=raw) if packed else raw
            while chunk := file.read(CHUNK):
                content += chunk
                ctx.step("Reading", raw.tell(), total)
                if not looked and len(content) >= LONGEST_HEADER:
                    # what will be refused anyway is not unpacked to its end
                    _shape(path, _header(path, content))
                    looked = True
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, "its compressed data break off or are corrupt") from error
    except OSError as error:
        raise InputError(f"{path.name} cannot be read", error.strerror or str(error)) from error
    return content


def _header(path: Path, content: bytearray) -> Any:
    """Header (nibabel) exactly as it stands in the file; nothing in it is mended."""
    import nibabel

    for kind, size in ((nibabel.Nifti1Header, 348), (nibabel.Nifti2Header, 540)):
        if len(content) >= size and kind.may_contain_header(bytes(content[:size])):
            return kind(bytes(content[:size]), check=False)
    raise InputError(f"{path.name} is not a NIfTI file", "its first bytes are no NIfTI header", "Check the file")


def _shape(path: Path, header: Any) -> tuple[int, int, int]:
    dims = [int(n) for n in header["dim"]]
    sizes = dims[1 : dims[0] + 1] if 1 <= dims[0] <= 7 else []
    if not sizes or min(sizes) < 1:
        raise _damaged(path, f"its header states the dimensions {dims}")
    extra = math.prod(sizes[3:])
    if _dtype(path, header).fields is not None:
        raise InputError(f"{path.name} is a colour image", "a lesion is measured in one channel", "Open the original")
    if len(sizes) < 3 or extra > 1:
        raise InputError(
            f"{path.name} is not a 3-D image",
            f"it has {len(sizes)} dimensions of size {'x'.join(map(str, sizes))}",
            "Open one 3-D volume" if extra == 1 else "Split it into 3-D volumes and open one of them",
        )
    return sizes[0], sizes[1], sizes[2]


def _dtype(path: Path, header: Any) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(header.get_data_dtype())
    except (KeyError, TypeError) as error:
        raise _damaged(path, f"its header states the unknown voxel type {int(header['datatype'])}") from error
    return dtype


def _voxels(path: Path, header: Any, content: bytearray, size: tuple[int, int, int]) -> npt.NDArray[Any]:
    """Voxels (z, y, x) after rescaling."""
    dtype, offset = _dtype(path, header), float(header["vox_offset"])
    start = int(offset) if 0 < offset < len(content) else header.single_vox_offset
    if dtype.kind not in "iufb":
        raise InputError(
            f"{path.name} cannot be measured", f"its voxels are of the type {dtype}", "Open the original image"
        )
    count = math.prod(size)
    if len(content) < start + count * dtype.itemsize:
        share = max(0, len(content) - start) / (count * dtype.itemsize)
        raise _damaged(path, f"only {share:.0%} of its voxels are there")
    raw = np.frombuffer(content, dtype, count, start).reshape(size[::-1])
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if (slope in (0.0, 1.0) and intercept == 0.0) or not math.isfinite(slope + intercept):
        return raw
    return _rescaled(raw, slope or 1.0, intercept)


def _rescaled(raw: npt.NDArray[Any], slope: float, intercept: float) -> npt.NDArray[Any]:
    """``raw * slope + intercept`` slice by slice: int16 when all results are whole and fit, else float32."""
    ends = [float(end) * slope + intercept for end in (raw.min(), raw.max())]
    whole = raw.dtype.kind in "iub" and slope.is_integer() and intercept.is_integer()
    fits = whole and min(ends) >= SHORT.min and max(ends) <= SHORT.max
    out = np.empty(raw.shape, dtype=np.int16 if fits else np.float32)
    with np.errstate(over="ignore"):  # beyond single precision is infinite, and the input check counts it
        for k, part in enumerate(raw):
            out[k] = part * np.float64(slope) + intercept
    return out


def _geometry(
    path: Path, header: Any, size: tuple[int, int, int]
) -> tuple[Grid | SkewedGrid, dict[str, Any], tuple[str, ...]]:
    pixdim = [float(p) for p in header["pixdim"][1:4]]
    if not all(math.isfinite(p) and p > 0 for p in pixdim):
        raise GeometryError(
            "The voxel spacing is not positive",
            f"the header of {path.name} states {pixdim} mm",
            "Correct the header of the file, or export the study again",
        )
    affines = _affines(header)
    facts: dict[str, Any] = {"format": "NIfTI", "orientation_stated": bool(affines)}
    sheared = _scanner_shear(header, affines)
    lost = not affines and (header["sform_code"] > 0 or header["qform_code"] > 0)
    grid = None if sheared or lost else itk_grid(path, size)
    if grid is not None:
        other = _disagreement(grid, affines)
        if other:
            facts["second_geometry"] = other
        return grid, facts, ()
    return _second_reading(path, affines, size, facts)


def _affines(header: Any) -> dict[str, FloatArray]:
    """RAS affines that the header states, in mm: ``sform`` and ``qform``."""
    found: dict[str, FloatArray] = {}
    if int(header["sform_code"]) > 0:
        found["sform"] = np.asarray(header.get_sform(), dtype=np.float64)
    if int(header["qform_code"]) > 0:
        imaginary = np.asarray([header[f"quatern_{axis}"] for axis in "bcd"], dtype=np.float64)
        if float(imaginary @ imaginary) <= 1 + QUATERNION_TOLERANCE:
            turned = header.copy()
            norm = max(1.0, float(np.linalg.norm(imaginary)))
            for axis, value in zip("bcd", imaginary / norm, strict=True):
                turned[f"quatern_{axis}"] = value
            found["qform"] = np.asarray(turned.get_qform(), dtype=np.float64)
    scale = np.diag([MILLIMETRES_OF_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)] * 3 + [1.0])
    return {name: scale @ affine for name, affine in found.items() if _usable(affine)}


def _usable(affine: FloatArray) -> bool:
    return bool(np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 0)


def _scanner_shear(header: Any, affines: dict[str, FloatArray]) -> bool:
    """Whether the sform says that the voxels themselves are sheared; that of an atlas space may be, by the fit."""
    return (
        "sform" in affines
        and int(header["sform_code"]) < STANDARD_SPACE
        and shear_of(affines["sform"]) > MENDABLE_SHEAR
    )


def shear_of(affine: FloatArray) -> float:
    """Largest departure of ``DᵀD`` from the identity, D the unit columns of the affine."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(directions.T @ directions - np.eye(3)).max())


def itk_grid(path: Path, size: tuple[int, int, int]) -> Grid | None:
    """Grid as SimpleITK reads it from the header; None when it refuses."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    SimpleITK.ProcessObject.GlobalWarningDisplayOff()
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    n = reader.GetDimension()
    direction = np.asarray(reader.GetDirection()).reshape(n, n)[:3, :3]
    if n < 3 or tuple(reader.GetSize()[:3]) != size or not np.isfinite(direction).all():
        return None
    spacing, origin = reader.GetSpacing(), reader.GetOrigin()
    try:
        return Grid(size, tuple(spacing[:3]), tuple(origin[:3]), tuple(float(c) for c in direction.ravel()))
    except GeometryError:
        return None


def _disagreement(grid: Grid, affines: dict[str, FloatArray]) -> str:
    """Words for a second geometry in the header that differs from the one in use; empty when there is none."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.size], indexing="ij")).reshape(3, -1).T
    used = grid.to_physical(corners[:, ::-1])
    for name, affine in affines.items():
        lps = LPS_OF_RAS @ affine
        other = corners @ lps[:3, :3].T + lps[:3, 3]
        if np.abs(other - used).max() <= DISAGREEMENT_VOXELS * min(grid.spacing):
            continue
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        if np.abs(spacing / np.asarray(grid.spacing) - 1).max() > SPACING_DISAGREEMENT:
            return f"the {name} states voxels of {_mm(spacing)} mm, and {_mm(grid.spacing)} mm are used"
        return f"the {name} puts the voxels elsewhere, up to {np.abs(other - used).max():.1f} mm away"
    return ""


def _mm(spacing: Any) -> str:
    return "x".join(f"{float(s):.3g}" for s in spacing)


def _second_reading(
    path: Path, affines: dict[str, FloatArray], size: tuple[int, int, int], facts: dict[str, Any]
) -> tuple[Grid | SkewedGrid, dict[str, Any], tuple[str, ...]]:
    """What nibabel makes of a geometry that SimpleITK refuses: directions off by rounding are mended."""
    if not affines:
        raise GeometryError(
            f"{path.name} has no usable geometry",
            "neither its sform nor its qform is a valid placement of voxels",
            "Correct the header of the file, or export the study again",
        )
    name = "sform" if "sform" in affines else "qform"
    affine = LPS_OF_RAS @ affines[name]
    if shear_of(affine) > MENDABLE_SHEAR:
        angle = math.degrees(math.asin(min(1.0, shear_of(affine))))
        return SkewedGrid(size, affine, f"its axes are {angle:.1f} degrees off the perpendicular"), facts, ()
    grid, moved = mended(affine, size)
    if shear_of(affine) <= EXACT_SHEAR:
        return grid, facts, ()
    note = (
        f"The directions in the header were not quite perpendicular and were mended ({name}; at most {moved:.2g} mm)"
    )
    facts["mended"] = note
    return grid, facts, (note,)


def mended(affine_lps: FloatArray, size: tuple[int, int, int]) -> tuple[Grid, float]:
    """Grid with the nearest perpendicular directions, and the largest distance, mm, that a voxel moves by it.

    The nearest rotation (or rotary reflection) is the orthogonal factor of the polar decomposition.
    """
    columns = affine_lps[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    left, _, right = np.linalg.svd(columns / spacing)
    directions = left @ right
    moved = (directions * spacing - columns) @ (np.asarray(size) - 1)
    grid = Grid(
        size,
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        (float(affine_lps[0, 3]), float(affine_lps[1, 3]), float(affine_lps[2, 3])),
        tuple(float(c) for c in directions.ravel()),
    )
    return grid, float(np.abs(moved).max())


GEOMETRY_FIELDS = (
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
    "xyzt_units",
)


def geometry_fields(header: Any) -> dict[str, Any]:
    """The fields of a header that place its voxels, so that a mask can be given the very same."""
    fields: dict[str, Any] = {name: np.asarray(header[name]).tolist() for name in GEOMETRY_FIELDS}
    fields["pixdim"] = np.asarray(header["pixdim"]).tolist()[:4]
    fields["version"] = 2 if int(header["sizeof_hdr"]) == 540 else 1
    return fields


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path.name} is damaged or incomplete", why, "Copy or export the file again")
