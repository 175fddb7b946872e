"""Images that this program makes itself, in files of its own."""

from __future__ import annotations

from pathlib import Path

from napari_lesion.core.errors import OutputError
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.io.atomic import atomic_path, extension
from napari_lesion.io.masks import write_nifti

NIFTI = (".nii.gz", ".nii")
WRITTEN_FORMATS = (*NIFTI, ".nrrd", ".mha")


def write_image(path: Path, image: Volume | LabelMap, *, compress: bool = False) -> None:
    """Write an image or label map atomically, in double precision of its grid (NIfTI: single precision).

    Parameters
    ----------
    path
        Ends with .mha, .nrrd, .nii or .nii.gz; its folder is there.
    image
        What to write, in the type of its array.
    compress
        Whether to compress: smaller, and slower to read (NIfTI: by its extension).

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    if extension(path).lower() in NIFTI:
        with atomic_path(path) as temporary:
            write_nifti(temporary, image, None)
        return
    import SimpleITK

    made = SimpleITK.GetImageFromArray(image.array)
    made.SetSpacing(image.grid.spacing)
    made.SetOrigin(image.grid.origin)
    made.SetDirection(image.grid.direction)
    with atomic_path(path) as temporary:
        try:
            SimpleITK.WriteImage(made, str(temporary), compress)
        except RuntimeError as error:
            raise OutputError(
                f"{path} could not be written", "the disk is full, or the folder is read only"
            ) from error
