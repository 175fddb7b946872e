"""Cut the real sample study out of the scan LIDC-IDRI-0314, with the readers' consensus as its mask.

Run it once: ``python -m napari_lesion.phantom.cut_sample DATA_FOLDER OUTPUT_FOLDER``, where the data folder
holds ``dicom/`` (the series) and ``mask_agreement.nii.gz`` (number of readers at each voxel); docs/data.md
says where they come from.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_lesion.core.errors import InputError

CASE = "lidc_0314_part"
IMAGE_NAME = f"{CASE}.nii.gz"
MASK_NAME = f"{CASE}_mask.nii.gz"


@dataclass(frozen=True)
class SampleBox:
    """The part that is cut out.

    Parameters
    ----------
    start, size
        First voxel and number of voxels along (x, y, z) of the series as SimpleITK orders it. The default is the
        right lung around the nodule, chest wall, spine and half the heart; image rows 505 to 511, which
        are padding in one truncated slice of this series, lie outside it.
    hu_range
        Values are clipped to this range, HU: air outside the body to the densest bone kept apart.
    readers
        Readers who must agree for a voxel to be lesion.
    """

    start: tuple[int, int, int] = (70, 180, 80)
    size: tuple[int, int, int] = (200, 200, 120)
    hu_range: tuple[int, int] = (-1024, 1500)
    readers: int = 2


def cut_sample(data: Path, output: Path, box: SampleBox | None = None) -> tuple[Path, Path]:
    """Write image (int16 HU) and mask (uint8, one lesion) of the sample; native spacing, true LPS position.

    Parameters
    ----------
    data
        Folder with ``dicom/`` and ``mask_agreement.nii.gz``.
    output
        Folder of the two files.
    box
        What to cut out.

    Returns
    -------
    tuple of Path
        Image and mask.

    Raises
    ------
    InputError
        When the data folder does not hold the series or its mask.
    """
    import SimpleITK as sitk

    box = box or SampleBox()
    image = _read_series(data / "dicom")
    agreement = _read_mask(data / "mask_agreement.nii.gz")
    image = sitk.Clamp(sitk.RegionOfInterest(image, box.size, box.start), sitk.sitkInt16, *box.hu_range)
    agreement = sitk.RegionOfInterest(agreement, box.size, box.start)
    mask = sitk.Cast(agreement >= box.readers, sitk.sitkUInt8)
    mask.CopyInformation(image)
    output.mkdir(parents=True, exist_ok=True)
    paths = output / IMAGE_NAME, output / MASK_NAME
    for part, path in zip((image, mask), paths, strict=True):
        for key in part.GetMetaDataKeys():
            part.EraseMetaData(key)
        sitk.WriteImage(part, str(path), useCompression=True, compressionLevel=9)
    return paths


def _read_series(folder: Path) -> Any:
    import SimpleITK as sitk

    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)) if folder.is_dir() else ()
    if not names:
        raise InputError(f"No DICOM series in {folder}", todo="Give the folder that holds dicom/")
    return sitk.ReadImage(names)


def _read_mask(path: Path) -> Any:
    import SimpleITK as sitk

    if not path.is_file():
        raise InputError(f"There is no mask {path}", todo="Give the folder that holds mask_agreement.nii.gz")
    return sitk.ReadImage(str(path))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with dicom/ and mask_agreement.nii.gz")
    parser.add_argument("output", type=Path, help="folder of the sample files")
    options = parser.parse_args(arguments)
    cut_sample(options.data, options.output)


if __name__ == "__main__":
    main()
