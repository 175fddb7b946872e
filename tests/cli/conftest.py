"""Small real inputs for the commands, and a way to run them in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from cli_inputs import Run, write_image
from typer.testing import CliRunner

from napari_lesion.cli.main import app

SAMPLE = Path(__file__).resolve().parents[2] / "resources" / "sample"
MARGIN_MM = 15.0


@pytest.fixture
def run() -> Run:
    """Run the command line in this process; the result keeps standard output and error apart."""

    def invoke(*arguments: object) -> Any:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture(scope="session")
def nodule_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The nodule of the real sample study with 15 mm around it, and its mask by two of four readers."""
    image = sitk.ReadImage(str(SAMPLE / "lidc_0314_part.nii.gz"))
    mask = sitk.ReadImage(str(SAMPLE / "lidc_0314_part_mask.nii.gz"), sitk.sitkUInt8)
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(mask)
    box = statistics.GetBoundingBox(1)
    margin = [round(MARGIN_MM / spacing) for spacing in image.GetSpacing()]
    start = [max(0, box[axis] - margin[axis]) for axis in range(3)]
    stop = [min(image.GetSize()[a], box[a] + box[a + 3] + margin[a]) for a in range(3)]
    size = [last - first for first, last in zip(start, stop, strict=True)]
    folder = tmp_path_factory.mktemp("nodule")
    paths = folder / "nodule.nii.gz", folder / "nodule_mask.nii.gz"
    for path, whole in zip(paths, (image, mask), strict=True):
        sitk.WriteImage(sitk.RegionOfInterest(whole, size, start), str(path))
    return paths


@pytest.fixture
def nodule(nodule_files: tuple[Path, Path]) -> Path:
    """Image file of a real nodule."""
    return nodule_files[0]


@pytest.fixture
def nodule_mask(nodule_files: tuple[Path, Path]) -> Path:
    """Mask file of the same nodule."""
    return nodule_files[1]


@pytest.fixture
def air(tmp_path: Path) -> Path:
    """A volume of air with a little noise, smaller than the largest size limit: with it nothing can be found."""
    noise = np.random.default_rng(1).normal(-1000, 10, (20, 20, 20)).astype(np.int16)
    return write_image(tmp_path / "air.nii.gz", noise)
