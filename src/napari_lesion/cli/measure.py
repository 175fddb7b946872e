"""``napari-lesion measure``: measure a mask that came from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from napari_lesion.cli.console import command, lesions, say

ModalityName = Literal["CT", "MR", "PT"]


@command
def measure(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="Image file or DICOM folder.")],
    mask: Annotated[
        Path,
        typer.Argument(metavar="MASK", help="Label map on the grid of the image; every value but 0 is one lesion."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.csv", help="Table to write.")],
    components: Annotated[
        bool, typer.Option("--components", help="The mask is binary: every 26-connected part of it is one lesion.")
    ] = False,
    features: Annotated[
        str, typer.Option(help="Families or names of measures with commas between them, `core` or `all`.")
    ] = "core",
    modality: Annotated[
        ModalityName | None,
        typer.Option(help="Modality of the image, if the file does not say it.", show_default=False),
    ] = None,
) -> None:
    """Measure the lesions of a mask.

    The mask must lie on the grid of the image. The table has one row a lesion.
    """
    from napari_lesion.cli.progress import job_bars
    from napari_lesion.core.volume import Modality
    from napari_lesion.workflow.measure_files import MeasureFilesRequest, measure_files

    names = tuple(name.strip() for name in features.split(",") if name.strip())
    stated = Modality(modality) if modality else None
    request = MeasureFilesRequest(image, mask, out, components, names, stated)
    with job_bars() as bars:
        table = measure_files(request, bars.context(mask.name))
    say(f"{lesions(len(table.rows))} in {out}")
