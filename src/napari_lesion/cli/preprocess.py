"""``napari-lesion preprocess``: named steps on an image file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from napari_lesion.cli.console import command, say, show_table


@command
def preprocess(
    path: Annotated[
        Path | None, typer.Argument(metavar="INPUT", help="Image file or DICOM folder.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Image to write: .nii.gz, .nii, .nrrd or .mha.", show_default=False),
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:KEY=VALUE,...]", help="A step; give several in the order in which they are done."
        ),
    ] = None,
    modality: Annotated[
        Literal["CT", "MR", "PT"] | None,
        typer.Option(help="Modality of the image, if the file does not say it.", show_default=False),
    ] = None,
    list_steps: Annotated[bool, typer.Option("--list", help="List the steps and what can be chosen.")] = False,
) -> None:
    """Prepare an image with named steps: window, bias correction, denoising, equalisation, resampling, masks.

    The original is never changed. FILE.run.json beside the result says what was done.
    """
    from napari_lesion.workflow.prepare import Chain

    if list_steps:
        _list()
        return
    if path is None or out is None:
        raise typer.BadParameter("give INPUT and --out FILE (or --list)")
    from napari_lesion.cli.progress import job_bars
    from napari_lesion.core.volume import Modality
    from napari_lesion.workflow.prepare import PrepareFileRequest, prepare_file

    stated = Modality(modality) if modality else None
    request = PrepareFileRequest(path, out, Chain.parse(step or ()), stated)
    with job_bars() as bars:
        made = prepare_file(request, bars.context(path.name))
    size = " × ".join(str(n) for n in made.grid.size)
    say(f"{request.chain.text}: {size} voxels in {out}")


def _list() -> None:
    from napari_lesion.core.parameters import parameter_fields
    from napari_lesion.workflow.prepare import STEPS

    rows = []
    for step in STEPS.values():
        fields = [f"{item.name}={item.default}" for item in parameter_fields(step.parameters)]
        rows.append([step.name, step.summary, ", ".join(fields)])
    show_table(["step", "what it does", "parameters"], rows)
