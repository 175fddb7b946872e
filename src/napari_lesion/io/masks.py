"""Label maps in files: read, written on the very grid of the image, and verified by reading them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import GeometryError, InputError, OutputError
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import LabelMap, Source, Volume
from napari_lesion.io.atomic import atomic_path, extension
from napari_lesion.io.itk import NRRD_GEOMETRY, read_itk
from napari_lesion.io.loaded import stored_type
from napari_lesion.io.nifti import read_nifti
from napari_lesion.io.series import is_image_file

WRITTEN_FORMATS = (".nii.gz", ".nii", ".nrrd", ".mha")
MOVED_VOXELS = 0.5
"""Distance of a centroid read back, in voxels, above which a mask counts as wrong."""
MILLIMETRES = 2
HIGHEST_LISTED = 1 << 16


def read_labels(path: Path) -> LabelMap:
    """Read a label map; whole numbers stored as floats are taken.

    Returns
    -------
    LabelMap
        In the smallest of uint8, uint16 and uint32 that holds its labels.

    Raises
    ------
    InputError
        When the file cannot be read, or holds fractions, negative numbers or NaN.
    GeometryError
        When its voxels lie on no rectangular grid.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is no mask", "it is a folder", "Give a mask file")
    if not path.is_file():
        raise InputError(f"{path} does not exist", "", "Check the name")
    if not is_image_file(path):
        raise InputError(f"{path.name} is not a mask that can be opened", f"its extension is {path.suffix}")
    nifti = path.name.lower().endswith((".nii", ".nii.gz"))
    loaded = (read_nifti if nifti else read_itk)(path, JobContext(), stored_type)
    if not isinstance(loaded.grid, Grid):
        raise GeometryError(f"The mask {path.name} lies on no rectangular grid", loaded.grid.reason)
    return LabelMap(_whole(path, loaded.array), loaded.grid)


def write_labels(path: Path, labels: LabelMap, source: Source) -> None:
    """Write a label map atomically, on the very grid of the image that it belongs to.

    Where image and mask are of one format, the fields of the header that place the voxels are copied, so
    that every reader finds the same numbers in both. NIfTI holds single precision: a mask of a DICOM, NRRD
    or MetaImage study is placed in it to about seven digits.

    Parameters
    ----------
    path
        Ends with .nii.gz, .nii, .nrrd or .mha.
    labels
        Written as the smallest of uint8, uint16 and uint32 that holds all labels.
    source
        Source of the image; its path is not looked at.

    Raises
    ------
    OutputError
        When the file cannot be written, or not in this format.
    """
    path = Path(path)
    suffix = extension(path).lower()
    if suffix not in WRITTEN_FORMATS:
        reason = f"the extension {suffix or '(none)'} is none of {', '.join(WRITTEN_FORMATS)}"
        if suffix in (".mhd", ".nhdr"):
            reason = "this format needs two files, which cannot be replaced in one step"
        raise OutputError(f"{path.name} cannot be written", reason, "Choose .nii.gz, .nrrd or .mha")
    compact = LabelMap(smallest_type(labels.array), labels.grid)
    copied = source.headers if source.headers.get("header_grid") == labels.grid else {}
    with atomic_path(path) as temporary:
        if suffix in (".nii.gz", ".nii"):
            write_nifti(temporary, compact, copied.get("nifti"))
        else:
            _write_itk(temporary, compact)
            if suffix == ".nrrd" and copied.get("nrrd"):
                _copy_nrrd_geometry(temporary, copied["nrrd"])


def verify_labels(path: Path, labels: LabelMap) -> int:
    """Read a mask again and compare every lesion with what was meant to be written.

    Returns
    -------
    int
        Number of lesions that were found at their place.

    Raises
    ------
    OutputError
        When a lesion is missing, another one is there, it has another number of voxels, or its centroid is
        more than half a voxel away. The file is removed.
    """
    path = Path(path)
    try:
        written = read_labels(path)
        return _compare(path, labels, written)
    except (InputError, OutputError) as error:
        path.unlink(missing_ok=True)
        raise OutputError(
            f"{path.name} was written and found wrong, and was removed",
            error.message,
            "Export again to another folder",
        ) from error


def smallest_type(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The labels in the smallest of uint8, uint16 and uint32 that holds them.

    Raises
    ------
    OutputError
        When a label is negative or beyond 32 bits.
    """
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    if low < 0 or high >= 2**32:
        raise OutputError("The labels cannot be written", f"they run from {low} to {high}")
    dtype = np.uint8 if high < 2**8 else np.uint16 if high < 2**16 else np.uint32
    return array.astype(dtype, copy=False)


def _whole(path: Path, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    why = ""
    if array.dtype.kind == "f" and not np.array_equal(np.rint(array), array):
        why = "its values are not whole numbers"
    elif array.min(initial=0) < 0:
        why = "it has negative values"
    elif array.max(initial=0) >= 2**32:
        why = "it has values beyond 32 bits"
    if why:
        raise InputError(f"{path.name} is not a mask", why, "Give a label image")
    return smallest_type(array)


def write_nifti(path: Path, labels: LabelMap | Volume, fields: dict[str, Any] | None) -> None:
    """Write a NIfTI file where it is told to; ``fields`` of the header of the image place it, else its grid does."""
    import nibabel

    kind = nibabel.Nifti2Image if fields and fields["version"] == 2 else nibabel.Nifti1Image
    if fields is None:
        image = kind(labels.array.T, labels.grid.affine_ras)
        image.set_qform(labels.grid.affine_ras, code=1)
        image.set_sform(labels.grid.affine_ras, code=1)
        image.header.set_xyzt_units(MILLIMETRES)
    else:
        image = kind(labels.array.T, None, kind.header_class())
        image.set_data_dtype(labels.array.dtype)
        for name, value in fields.items():
            if name == "pixdim":
                image.header["pixdim"][:4] = value
            elif name != "version":
                image.header[name] = value
    nibabel.save(image, path)


def _write_itk(path: Path, labels: LabelMap) -> None:
    import SimpleITK

    image = SimpleITK.GetImageFromArray(labels.array)
    image.SetSpacing(labels.grid.spacing)
    image.SetOrigin(labels.grid.origin)
    image.SetDirection(labels.grid.direction)
    try:
        SimpleITK.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise OutputError(
            f"A mask could not be written to {path.parent}",
            "the disk is full, or the folder is read only",
            "Choose another folder",
        ) from error


def _copy_nrrd_geometry(path: Path, fields: dict[str, str]) -> None:
    """Put the lines that place the voxels into a NRRD header as the image has them.

    A NRRD file holds spacing times direction; writing the product anew would change last digits.
    """
    if not all(key in fields for key in NRRD_GEOMETRY):
        return
    header, mark, data = path.read_bytes().partition(b"\n\n")
    lines = []
    for line in header.decode("latin-1").split("\n"):
        key = line.partition(":")[0]
        lines.append(f"{key}: {fields[key]}" if key in fields else line)
    path.write_bytes("\n".join(lines).encode("latin-1") + mark + data)


def _compare(path: Path, meant: LabelMap, written: LabelMap) -> int:
    """Number of lesions at their place; OutputError at the first that is not."""
    if written.grid.size != meant.grid.size:
        raise OutputError(f"{path.name} has the size {written.grid.size}", f"{meant.grid.size} was meant")
    found = {label: (count, place) for label, count, place in _centroids(written)}
    wanted = list(_centroids(meant))
    others = sorted(set(found) - {label for label, _, _ in wanted})
    if others:
        raise OutputError(f"Lesion {others[0]} is in the file", "no such lesion was written")
    limit = MOVED_VOXELS * min(meant.grid.spacing)
    for label, count, place in wanted:
        there = found.get(label)
        if there is None or there[0] != count:
            raise OutputError(f"Lesion {label} has {there[0] if there else 0} voxels", f"{count} were written")
        distance = float(np.linalg.norm(there[1] - place))
        if not distance <= limit:
            raise OutputError(f"Lesion {label} lies {distance:.3g} mm from its place", f"{limit:.3g} mm are allowed")
    return len(wanted)


def _centroids(labels: LabelMap) -> Iterator[tuple[int, int, npt.NDArray[np.float64]]]:
    """Label, number of voxels and centroid (LPS mm) of each lesion, found in boxes instead of whole passes."""
    from scipy import ndimage

    array, values = _numbered(labels.array)
    for number, box in enumerate(ndimage.find_objects(array), start=1):
        if box is not None:
            index = np.argwhere(array[box] == number)
            start = np.array([part.start for part in box])
            value = number if values is None else int(values[number - 1])
            yield value, len(index), labels.grid.to_physical(index.mean(axis=0) + start)


def _numbered(array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Labels that `find_objects` can list one by one: renumbered from 1, with their values, where they run high."""
    if array.max(initial=0) <= HIGHEST_LISTED:
        return array, None
    values = np.unique(array[array > 0])
    return np.searchsorted(np.concatenate([[0], values]), array), values
