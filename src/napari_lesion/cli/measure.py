"""``napari-lesion measure``: measure masks that came from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.cli.console import command, lesions, say, warn
from napari_lesion.cli.options import with_parameters
from napari_lesion.workflow.parameters import MeasureParameters


@command
@with_parameters(parameters=MeasureParameters)
def measure(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="Image file or DICOM folder.")],
    masks: Annotated[
        list[Path],
        typer.Argument(metavar="MASK", help="Label maps on the grid of the image; every value but 0 is one lesion."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.csv", help="Table to write.")],
    parameters: MeasureParameters,
) -> None:
    """Measure the lesions of one or several masks.

    The masks must lie on the grid of the image. The table has one row a lesion; FILE.run.json beside it says how it
    was made. With several masks, the labels of the first one stay, those of a later one are raised by the highest
    number of the masks before it; a lesion with voxels that two masks claim has the flag `overlaps`.
    """
    from napari_lesion.cli.progress import job_bars
    from napari_lesion.workflow.measure_files import MeasureFilesRequest, measure_files

    request = MeasureFilesRequest(image, tuple(masks), out, parameters)
    with job_bars() as bars:
        measured = measure_files(request, bars.context(image.name))
    for warning in measured.warnings:
        warn(f"Note: {warning.rstrip('.')}.")
    say(f"{lesions(len(measured.table.rows))} in {out}")
