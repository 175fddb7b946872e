"""``napari-lesion adapt``: a model continued on one's own corrected cases, kept only when it is not worse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.cli.console import command, say, warn
from napari_lesion.cli.evaluate import DATALIST_HELP
from napari_lesion.cli.options import with_parameters
from napari_lesion.core.errors import LesionError
from napari_lesion.workflow.parameters import AdaptParameters


@command
@with_parameters(parameters=AdaptParameters)
def adapt(
    data: Annotated[Path, typer.Option("--data", metavar="DATALIST.json", help=DATALIST_HELP)],
    out: Annotated[
        Path, typer.Option("--out", metavar="BUNDLE", help="Bundle folder to write; its name is that of the model.")
    ],
    parameters: AdaptParameters,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|BUNDLE", help="Model of `napari-lesion models`, or a bundle folder.", show_default=False
        ),
    ] = None,
) -> None:
    """Adapt a model to your own corrected cases.

    Cases of at least two patients are needed: a quarter of the patients (or the validation section, or fold 0) is
    kept back. Before and after are measured on them as `napari-lesion evaluate` does. A model whose Dice or
    sensitivity fell is not kept; the exit code is 2 then.
    """
    from napari_lesion.cli.progress import job_bars
    from napari_lesion.workflow.adapt import AdaptRequest
    from napari_lesion.workflow.adapt import adapt as run
    from napari_lesion.workflow.models import find_model

    request = AdaptRequest(find_model(model), data, out, parameters)
    with job_bars() as bars:
        result = run(request, bars.context(out.name))
    say(f"Before: {result.before.words}")
    say(f"After: {result.after.words}")
    if result.path is None:
        warn(f"Error: {result.sentence}.")
        raise typer.Exit(LesionError.exit_code)
    say(f"{result.path.name} is in {result.path}")
