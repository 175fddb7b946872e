"""NRRD and MetaImage files, read by SimpleITK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_lesion.core.errors import GeometryError, InputError
from napari_lesion.core.grid import ORTHONORMAL_TOLERANCE, FloatArray, Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.io.loaded import Convert, Loaded, SkewedGrid, kept_type
from napari_lesion.io.nifti import MENDABLE_SHEAR, mended, shear_of
from napari_lesion.io.textheader import damaged, read_header

NRRD_GEOMETRY = ("space", "space directions", "space origin")
PLACING_KEYS = ("TransformMatrix", "Rotation", "Orientation", "space directions")


def read_itk(path: Path, ctx: JobContext, convert: Convert = kept_type) -> Loaded:
    """Read a NRRD or MetaImage file with three dimensions (or more, of size 1).

    Parameters
    ----------
    path
        The file.
    ctx
        Progress.
    convert
        Chooses the type of the values.

    Raises
    ------
    InputError
        When the file is damaged, or not a 3-D image of one channel.
    GeometryError
        When its spacing is not positive.
    """
    import SimpleITK

    ctx.step("Reading")
    keys = read_header(path)
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    SimpleITK.ProcessObject.GlobalWarningDisplayOff()
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _refused(path, error) from error
    if reader.GetNumberOfComponents() != 1:
        raise InputError(
            f"{path.name} is a colour image or a vector field",
            f"it has {reader.GetNumberOfComponents()} channels, and a lesion is measured in one",
            "Open the original image",
        )
    size = tuple(reader.GetSize())
    if len(size) < 3 or any(n > 1 for n in size[3:]):
        raise InputError(
            f"{path.name} is not a 3-D image", f"its size is {'x'.join(map(str, size))}", "Open one 3-D volume"
        )
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _refused(path, error) from error
    pixels = convert(SimpleITK.GetArrayViewFromImage(image).reshape(size[2::-1]))
    array = pixels if pixels.base is None else pixels.copy()  # a view dies with the image
    grid, notes = _placed(image, (size[0], size[1], size[2]))
    facts: dict[str, Any] = {"orientation_stated": any(key in keys for key in PLACING_KEYS)}
    if path.name.lower().endswith((".nrrd", ".nhdr")):
        facts["format"] = "NRRD"
        facts["nrrd"] = {key: keys[key] for key in NRRD_GEOMETRY if key in keys}
    else:
        facts["format"] = "MetaImage"
    if notes:
        facts["mended"] = notes[0]
    return Loaded(array, grid, facts, notes)


def _placed(image: Any, size: tuple[int, int, int]) -> tuple[Grid | SkewedGrid, tuple[str, ...]]:
    """The grid of a SimpleITK image; directions off by rounding are mended, sheared ones handed over as they are."""
    n = image.GetDimension()
    direction = np.asarray(image.GetDirection()).reshape(n, n)[:3, :3]
    spacing, origin = image.GetSpacing()[:3], image.GetOrigin()[:3]
    affine: FloatArray = np.eye(4)
    affine[:3, :3], affine[:3, 3] = direction * np.asarray(spacing), origin
    shear = shear_of(affine) if np.isfinite(affine).all() and min(spacing) > 0 else 0.0
    if shear > MENDABLE_SHEAR:
        return SkewedGrid(size, affine, f"its axes are off the perpendicular by {shear:.3g}"), ()
    if shear > ORTHONORMAL_TOLERANCE:
        grid, moved = mended(affine, size)
        return grid, (
            f"The directions in the header were not quite perpendicular and were mended (at most {moved:.2g} mm)",
        )
    return Grid(size, spacing, origin, tuple(float(c) for c in direction.ravel())), ()


def _refused(path: Path, error: RuntimeError) -> InputError:
    """Tell a spacing of zero from a damaged file."""
    text = str(error)
    if "pacing" in text:
        return GeometryError(
            "The voxel spacing is not positive",
            f"the header of {path.name} states a spacing of zero, or none that is a number",
            "Correct the header of the file, or export the study again",
        )
    return damaged(path, "it is no image of its kind, or its data are missing")
