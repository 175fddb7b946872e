"""``napari-lesion train``: a model of one's own from outlined cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.cli.console import command, say
from napari_lesion.cli.evaluate import DATALIST_HELP
from napari_lesion.cli.options import with_parameters
from napari_lesion.training.segmenter.parameters import TrainParameters


@command
@with_parameters(parameters=TrainParameters)
def train(
    data: Annotated[Path, typer.Option("--data", metavar="DATALIST.json", help=DATALIST_HELP)],
    out: Annotated[
        Path, typer.Option("--out", metavar="BUNDLE", help="Bundle folder to write; its name is that of the model.")
    ],
    parameters: TrainParameters,
    config: Annotated[
        str, typer.Option(metavar="FILE", help="Configuration, JSON or YAML; or the name of a preset.")
    ] = "segmenter",
    start_from: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|BUNDLE", help="Model whose network, scaling and weights are taken over.", show_default=False
        ),
    ] = None,
) -> None:
    """Train a model on your own outlined cases.

    Held out is the validation section of the datalist, or the cases of one fold, or patients who are drawn by lot.
    Checkpoints and prepared cases lie in BUNDLE.run: started again, the training continues there. Several cards:
    torchrun --nproc-per-node N -m napari_lesion train ...
    """
    from napari_lesion.cli.progress import job_bars
    from napari_lesion.training.segmenter.config import load_segmenter_config
    from napari_lesion.training.segmenter.train import TrainRequest
    from napari_lesion.training.segmenter.train import train as run
    from napari_lesion.workflow.models import find_model

    wanted = parameters.on(load_segmenter_config(config))
    request = TrainRequest(data, wanted, out, find_model(start_from) if start_from else None, parameters)
    with job_bars() as bars:
        result = run(request, bars.context(out.name))
    for path, dice, found in zip(result.bundles, result.dice, result.sensitivity, strict=True):
        say(f"{path.name}: Dice {dice:.3f}, sensitivity {found:.3f} on the held-out cases, in {path}")
